//! The output of a job's command: each line is printed with its job before it, and the last lines
//! are kept.
//!
//! Owns the pipes and the thread that reads them. Leaves what a line looks like to `line`, the
//! printing to the caller of the worker, and the storing to `job`. Callers rely on this: a line is
//! printed whole or not at all; memory does not grow with what a command writes; and a command that
//! has ended is not waited for because a process that it left behind has the pipes open, or because
//! nobody reads what the worker prints.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};

use super::child::Ended;
use super::line::{Form, Last, Unfinished};

/// The size of one read.
const PIECE: usize = 8 << 10;

/// How long to wait for output before the next look whether the command has ended.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// How much is read after the end of the command: more than the pipes hold. Other processes may
/// write without end.
const AFTER_THE_END: usize = 4 << 20;

/// How soon to try again to print.
const RETRY: Duration = Duration::from_millis(5);

/// For how long to try again after the end of the command.
const PATIENCE: Duration = Duration::from_secs(5);

/// One of the two outputs of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
}

/// Prints whole lines. It does not wait: lines for which there is no room now come back.
pub type Put<'a> = &'a (dyn Fn(Stream, String) -> Result<(), String> + Sync);

/// Runs a command and prints its output meanwhile. Returns how it ended, and its last lines.
pub(super) fn run(
    command: &mut Command,
    form: &Form,
    put: Put<'_>,
    run: impl FnOnce(&mut Command) -> io::Result<Ended>,
) -> (io::Result<Ended>, Last) {
    let pipes = pipe().and_then(|out| Ok((out, pipe()?)));
    let ((out, to_out), (err, to_err)) = match pipes {
        Ok(pipes) => pipes,
        Err(error) => return (Err(error), Last::default()),
    };
    command.stdout(to_out).stderr(to_err);
    let is_over = &AtomicBool::new(false);
    let printer = Printer {
        put,
        is_over,
        until: None,
        unprinted: 0,
    };
    thread::scope(|scope| {
        let reader = thread::Builder::new().name("output".into());
        let reader = match reader.spawn_scoped(scope, move || read([out, err], form, printer)) {
            Ok(reader) => reader,
            Err(error) => return (Err(error), Last::default()),
        };
        let ran = run(command);
        // This process has ends to write to as well.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        is_over.store(true, Ordering::Release);
        (ran, reader.join().unwrap_or_default())
    })
}

fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (from, to) = io::pipe()?;
    fcntl_setfl(&from, OFlags::NONBLOCK)?;
    Ok((from, to))
}

/// Reads both pipes in turn until the command has ended and nothing is there.
fn read([mut out, mut err]: [PipeReader; 2], form: &Form, mut printer: Printer<'_>) -> Last {
    let mut last = Last::default();
    let mut lines = [Unfinished::default(), Unfinished::default()];
    let (mut piece, mut left) = (vec![0; PIECE], AFTER_THE_END);
    loop {
        // Before the reads: what was written before the end is read.
        let is_over = printer.is_over.load(Ordering::Acquire);
        let mut read = 0_usize;
        let [out_lines, err_lines] = &mut lines;
        for (stream, pipe, lines) in [
            (Stream::Stdout, &mut out, out_lines),
            (Stream::Stderr, &mut err, err_lines),
        ] {
            // Nothing there yet, at the end, or broken: the end of the command shows which.
            let Ok(count @ 1..) = pipe.read(&mut piece) else {
                continue;
            };
            read = read.saturating_add(count);
            let mut text = String::new();
            lines.take_in(piece.get(..count).unwrap_or_default(), &mut |line| {
                last.push(stream, form.write(stream, line, &mut text));
            });
            printer.put(stream, text);
        }
        left = left.saturating_sub(if is_over { read } else { 0 });
        if is_over && (read == 0 || left == 0) {
            break;
        }
        if read == 0 {
            let mut fds = [&out, &err].map(|pipe| PollFd::new(pipe, PollFlags::IN));
            // After an error, the next reads show what there is.
            let _ = poll(&mut fds, Some(&LOOK));
        }
    }
    for (stream, lines) in [Stream::Stdout, Stream::Stderr].into_iter().zip(lines) {
        let mut text = String::new();
        lines.end(&mut |line| last.push(stream, form.write(stream, line, &mut text)));
        printer.put(stream, text);
    }
    if printer.unprinted > 0 {
        tracing::warn!(
            "{} bytes of the output of job {} are not printed: nobody reads what this worker prints",
            printer.unprinted,
            form.job
        );
    }
    last
}

struct Printer<'a> {
    put: Put<'a>,
    /// Whether the command has ended.
    is_over: &'a AtomicBool,
    /// The end of the patience, once it is needed.
    until: Option<Instant>,
    unprinted: usize,
}

impl Printer<'_> {
    /// Prints whole lines. The command waits until there is room for them.
    fn put(&mut self, stream: Stream, text: String) {
        if text.is_empty() {
            return;
        }
        let mut text = text;
        while let Err(unprinted) = (self.put)(stream, text) {
            if self.is_over.load(Ordering::Acquire) {
                let now = Instant::now();
                if now >= *self.until.get_or_insert(now + PATIENCE) {
                    self.unprinted = self.unprinted.saturating_add(unprinted.len());
                    return;
                }
            }
            thread::sleep(RETRY);
            text = unprinted;
        }
    }
}
