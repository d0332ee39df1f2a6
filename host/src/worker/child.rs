//! A child process: in its own group, with a time limit.
//!
//! Owns its end, and the text for one that cannot be started. Leaves its environment to the
//! callers. Callers rely on this: when [`run`] returns, the child is gone; if it was ended early,
//! every process of its group is gone, too. A process that leaves the group is not followed.

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

/// How often to look whether a child has ended.
const LOOK: Duration = Duration::from_millis(20);

/// The time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Exited(ExitStatus),
    OutOfTime,
    /// It was cancelled.
    Stopped,
    /// It tried to use the terminal.
    Asked,
}

/// Runs a command to its end. `cancelled` is called again and again, and ends it by returning true.
pub(crate) fn run(
    command: &mut Command,
    limit: Option<Duration>,
    cancelled: &mut dyn FnMut() -> bool,
) -> io::Result<Ended> {
    watch(command, limit, cancelled, false)
}

/// The same for a command without a user: if it reads from the terminal, it is ended. It would wait
/// for ever, because its group is not in the foreground.
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

/// The text for a program that cannot be started, with what to do about it.
pub(crate) fn cannot_start(program: &OsStr, cause: &io::Error) -> String {
    use io::ErrorKind as K;
    let path = Path::new(program);
    let is_path = path.components().nth(1).is_some() || path.is_absolute();
    let why = match cause.kind() {
        K::NotFound if !is_path => {
            "no folder of `PATH` has it: install it, or name its path".into()
        }
        K::NotFound if path.exists() => {
            "its first line names a program that does not exist: correct that line".into()
        }
        K::NotFound => "there is no such file: correct its path".into(),
        K::PermissionDenied => {
            "it may not be run by this user: `chmod +x` makes a file a program".into()
        }
        K::NotADirectory => "a part of its path is not a folder: correct its path".into(),
        _ if cause.raw_os_error() == Some(NOT_A_PROGRAM) => {
            "it is not a program: begin a script with a line such as `#!/bin/sh`".into()
        }
        _ => plainly(cause),
    };
    format!("cannot start `{}`: {why}", path.display())
}

/// `ENOEXEC`, for which the standard library has no name.
pub(crate) const NOT_A_PROGRAM: i32 = 8;

/// An error of the operating system, in lower case and without its number.
pub(crate) fn plainly(cause: &io::Error) -> String {
    let text = cause.to_string();
    let words = text.split(" (os error ").next().unwrap_or_default();
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

fn end(child: &mut Child, cancelled: &mut dyn FnMut() -> bool) -> io::Result<()> {
    let group = Pid::from_child(child);
    // This fails if the group has no processes left.
    let _ = kill_process_group(group, Signal::TERM);
    // A stopped process receives a signal only when it continues.
    let _ = kill_process_group(group, Signal::CONT);
    let told = Instant::now();
    let is_there = || test_kill_process_group(group).is_ok();
    while told.elapsed() < GRACE && (child.try_wait()?.is_none() || is_there()) {
        // This also sends heartbeats: the job is kept while its processes may still write.
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
            ("./a/b", 20, "not a folder"),
            ("git", 11, "resource temporarily unavailable"),
        ] {
            let said = cannot_start(OsStr::new(program), &error(number));
            assert!(said.contains(why) && !said.contains("os error"), "{said}");
        }
    }
}
