//! A child process: in a group of its own, for a limited time, looked after while it runs.
//!
//! Owns its end. Callers rely on this: once [`run`] returns, the child is gone, and where it was ended before its time so is
//! every process of its group. What leaves its group is nobody's here.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// How soon it is seen that a child has ended.
const LOOK: Duration = Duration::from_millis(20);

/// How long a group has between being told to end and being ended.
const GRACE: Duration = Duration::from_secs(10);

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// It took longer than it may.
    OutOfTime,
    /// Whoever looked after it had it ended.
    Stopped,
}

/// Runs a command to its end. `goes_on` is asked all the while, and ends it by saying no.
pub(crate) fn run(
    command: &mut Command,
    limit: Option<Duration>,
    goes_on: &mut dyn FnMut() -> bool,
) -> io::Result<Ended> {
    let mut child = command.process_group(0).spawn()?;
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ended::Exited(status));
        }
        let ended = if limit.is_some_and(|limit| begun.elapsed() >= limit) {
            Ended::OutOfTime
        } else if goes_on() {
            thread::sleep(LOOK);
            continue;
        } else {
            Ended::Stopped
        };
        end(&mut child, goes_on)?;
        return Ok(ended);
    }
}

fn end(child: &mut Child, goes_on: &mut dyn FnMut() -> bool) -> io::Result<()> {
    let group = Pid::from_child(child);
    // A group without processes cannot be told anything, and need not be.
    let _ = kill_process_group(group, Signal::TERM);
    let told = Instant::now();
    let is_there = || test_kill_process_group(group).is_ok();
    while told.elapsed() < GRACE && (child.try_wait()?.is_none() || is_there()) {
        // Its job is kept for as long as it may still write to it.
        goes_on();
        thread::sleep(LOOK);
    }
    let _ = kill_process_group(group, Signal::KILL);
    child.wait().map(drop)
}
