//! A child process: in its own group, for a limited time, watched while it runs.
//!
//! Owns its end, and why one cannot be started. Leaves its environment to its callers, who rely on
//! this: once [`run`] returns, the child is gone, and where it was ended before its time so is
//! every process of its group. A process that leaves the group is not followed.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process_group, test_kill_process_group, waitid,
};

/// How soon it is seen that a child has ended.
const LOOK: Duration = Duration::from_millis(20);

/// How long a group has between being told to end and being ended.
const GRACE: Duration = Duration::from_secs(10);

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It ended, with this status.
    Exited(ExitStatus),
    /// It took longer than it may.
    OutOfTime,
    /// It was cancelled.
    Stopped,
    /// It wanted an answer from the terminal.
    Asked,
}

/// Runs a command to its end. `cancelled` is asked all the while, and ends it by saying yes.
pub(crate) fn run(
    command: &mut Command,
    limit: Option<Duration>,
    cancelled: &mut dyn FnMut() -> bool,
) -> io::Result<Ended> {
    watch(command, limit, cancelled, false)
}

/// The same for a command that gets no answers: if it reads from a terminal, it is ended. It would
/// wait for ever, because its group is not the terminal's.
pub(crate) fn run_unattended(
    command: &mut Command,
    limit: Option<Duration>,
    cancelled: &mut dyn FnMut() -> bool,
) -> io::Result<Ended> {
    watch(command, limit, cancelled, true)
}

fn watch(
    command: &mut Command,
    limit: Option<Duration>,
    cancelled: &mut dyn FnMut() -> bool,
    is_unattended: bool,
) -> io::Result<Ended> {
    let mut child = command.process_group(0).spawn()?;
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ended::Exited(status));
        }
        let ended = if limit.is_some_and(|limit| begun.elapsed() >= limit) {
            Ended::OutOfTime
        } else if is_unattended && asks(&child) {
            Ended::Asked
        } else if cancelled() {
            Ended::Stopped
        } else {
            thread::sleep(LOOK);
            continue;
        };
        end(&mut child, cancelled)?;
        return Ok(ended);
    }
}

/// Whether a child was stopped because its group wanted to use the terminal.
fn asks(child: &Child) -> bool {
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
    let stopped = waitid(WaitId::Pid(Pid::from_child(child)), options);
    let signal = stopped
        .ok()
        .flatten()
        .and_then(|found| found.stopping_signal());
    signal.is_some_and(|signal| {
        [Signal::TTIN, Signal::TTOU]
            .map(Signal::as_raw)
            .contains(&signal)
    })
}

/// Why a program cannot be started, and what to do about it.
pub(crate) fn cannot_start(program: &OsStr, cause: &io::Error) -> String {
    use io::ErrorKind as K;
    let path = Path::new(program);
    let is_path = path.components().nth(1).is_some() || path.is_absolute();
    let why = match cause.kind() {
        K::NotFound if !is_path => {
            "no folder of `PATH` has it: install it, or name its path".into()
        }
        K::NotFound if path.exists() => {
            "its first line names a program that is not there: correct that line".into()
        }
        K::NotFound => "there is no such file: correct its path".into(),
        K::PermissionDenied => {
            "it may not be run by this user: `chmod +x` makes a file a program".into()
        }
        K::NotADirectory => "a part of its path is no folder: correct its path".into(),
        _ if cause.raw_os_error() == Some(NOT_A_PROGRAM) => {
            "it is no program: begin a script with a line such as `#!/bin/sh`".into()
        }
        _ => plainly(cause),
    };
    format!("cannot start `{}`: {why}", path.display())
}

/// `ENOEXEC`, for which the standard library has no name.
pub(crate) const NOT_A_PROGRAM: i32 = 8;

/// An error of the system, without its number.
pub(crate) fn plainly(cause: &io::Error) -> String {
    let text = cause.to_string();
    let words = text.split(" (os error ").next().unwrap_or_default();
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

fn end(child: &mut Child, cancelled: &mut dyn FnMut() -> bool) -> io::Result<()> {
    let group = Pid::from_child(child);
    // A group without processes cannot be told anything, and need not be.
    let _ = kill_process_group(group, Signal::TERM);
    // A stopped process does not hear of it.
    let _ = kill_process_group(group, Signal::CONT);
    let told = Instant::now();
    let is_there = || test_kill_process_group(group).is_ok();
    while told.elapsed() < GRACE && (child.try_wait()?.is_none() || is_there()) {
        // Its job is kept for as long as it may still write to it.
        cancelled();
        thread::sleep(LOOK);
    }
    let _ = kill_process_group(group, Signal::KILL);
    child.wait().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_program_cannot_be_started_is_said_in_words() {
        let error = |number| io::Error::from_raw_os_error(number);
        for (program, number, why) in [
            ("git", 2, "no folder of `PATH` has it"),
            ("./nowhere", 2, "there is no such file"),
            ("/proc/self/exe", 2, "its first line"),
            ("./text", 13, "`chmod +x`"),
            ("./text", 8, "`#!/bin/sh`"),
            ("./a/b", 20, "no folder"),
            ("git", 11, "resource temporarily unavailable"),
        ] {
            let said = cannot_start(OsStr::new(program), &error(number));
            assert!(said.contains(why) && !said.contains("os error"), "{said}");
        }
    }
}
