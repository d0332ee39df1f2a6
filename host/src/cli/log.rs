//! The log on the standard error, which never delays a verb or makes it fail.
//!
//! Owns a bounded queue of lines, and the thread that writes them. Leaves the lines to `tracing`
//! and to the verbs. Callers rely on this: handing over a line neither fails nor waits, even if the
//! standard error is a full disk, a closed pipe, or a pipe that is not read; and a line stays one
//! line, whatever text it contains. A line that cannot be written is dropped and counted.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use serial_gate::printable::{printable, printable_json};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use super::variables::variable;

/// How many lines may wait for the thread: far more than ever wait if the reader keeps up.
const WAITING: usize = 1_024;

/// How long the end of the process waits for its last lines.
const PATIENCE: Duration = Duration::from_secs(5);

/// How soon to try a full queue again.
const RETRY: Duration = Duration::from_millis(5);

/// Reads a filter of log lines. A word that is not a level is refused: the library would take it for
/// a part of the program, and show nothing else.
fn filter_of(text: &str) -> Option<Targets> {
    let is_clear = |word: &str| word.contains('=') || word.trim().parse::<LevelFilter>().is_ok();
    text.split(',').all(is_clear).then_some(())?;
    text.parse().ok()
}

/// The sending end of the queue.
#[derive(Clone)]
pub struct Log {
    steps: SyncSender<Step>,
    dropped: Arc<AtomicU64>,
}

enum Step {
    Write(Vec<u8>),
    /// Answers once all lines before it are written.
    Tell(Sender<()>),
}

/// Which lines a verb's log has, unless `SERIAL_GATE_LOG` asks for others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// None: the verb reports what it finds.
    Off,
    /// Errors, and the warnings about the options: the verb reports the notes itself, or runs with
    /// settings that are wrong on purpose.
    Errors,
    /// Warnings.
    Warnings,
    /// Progress, of a verb that runs for long and prints nothing else.
    Progress,
}

impl Level {
    fn filter(self) -> Targets {
        let others = |level| Targets::new().with_default(level);
        match self {
            Level::Off => others(LevelFilter::OFF),
            Level::Errors => others(LevelFilter::ERROR)
                .with_target("serial_gate::cli::options", LevelFilter::WARN),
            Level::Warnings => others(LevelFilter::WARN),
            Level::Progress => others(LevelFilter::INFO),
        }
    }
}

impl Log {
    /// Starts the thread. It writes panics, too: the usual handler would wait for the standard
    /// error.
    pub fn start() -> Log {
        let (steps, waiting) = mpsc::sync_channel(WAITING);
        let log = Log {
            steps,
            dropped: Arc::default(),
        };
        let dropped = log.dropped();
        // Without a thread every line is dropped, and counted.
        let _ = thread::Builder::new()
            .name("log".into())
            .spawn(move || write(&waiting, &dropped));
        let panics = log.clone();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = thread::current();
            let name = thread.name().unwrap_or("unnamed");
            panics.end(format!("thread `{name}` {panic}\n").into_bytes());
        }));
        log
    }

    /// Subscribes to the library's log. If a verb runs for long and prints JSON, a machine collects
    /// the log, so its lines are JSON, too, with their time.
    pub fn listen(&self, level: Level, prints_json: bool) {
        let json = prints_json && level == Level::Progress;
        let wanted = variable("SERIAL_GATE_LOG")
            .filter(|wanted| !wanted.is_empty())
            .map(|wanted| wanted.to_str().and_then(filter_of));
        let is_unclear = wanted == Some(None);
        let log = self.clone();
        let lines = Lines { log, json };
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(move || lines.clone())
            // The subscriber would print its own errors to the standard error, and could panic.
            .log_internal_errors(false)
            .with_ansi(false)
            .with_target(false);
        let lines = if json {
            lines.json().flatten_event(true).boxed()
        } else {
            lines.without_time().boxed()
        };
        let by_level = || {
            level
                .filter()
                .with_target(module_path!(), LevelFilter::WARN)
        };
        let filter = wanted.flatten().unwrap_or_else(by_level);
        // This fails only if there is a subscriber, and a process makes one log.
        let _ = tracing_subscriber::registry()
            .with(lines)
            .with(filter)
            .try_init();
        if is_unclear {
            tracing::warn!(
                "`SERIAL_GATE_LOG` is ignored: set it to a level (`error`, `warn`, `info`, \
                 `debug`, `trace`, `off`), or to levels of parts, as in \
                 `info,serial_gate::http=debug`"
            );
        }
    }

    /// How many lines were dropped so far.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    /// Writes the last text, and waits a moment until everything is written.
    pub fn end(&self, last: Vec<u8>) {
        let end = Instant::now() + PATIENCE;
        let (done, is_written) = mpsc::channel();
        if self.put(Step::Write(last), end) && self.put(Step::Tell(done), end) {
            // Written or not, the process ends.
            let _ = is_written.recv_timeout(end.saturating_duration_since(Instant::now()));
        }
    }

    /// Waits for a place in the queue; false when there was none in time.
    fn put(&self, mut step: Step, end: Instant) -> bool {
        loop {
            match self.steps.try_send(step) {
                Ok(()) => return true,
                Err(TrySendError::Full(full)) if Instant::now() < end => step = full,
                Err(_) => return false,
            }
            thread::sleep(RETRY);
        }
    }
}

/// The subscriber's lines. Whatever text a line contains, it stays one line.
#[derive(Clone)]
struct Lines {
    log: Log,
    json: bool,
}

/// The subscriber writes a whole line in one call.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = match self.json {
            true => printable_json(text),
            false => printable(text),
        };
        let step = Step::Write(format!("{text}\n").into_bytes());
        if self.log.steps.try_send(step).is_err() {
            self.log.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(waiting: &Receiver<Step>, dropped: &AtomicU64) {
    let mut stderr = io::stderr();
    for step in waiting {
        match step {
            Step::Write(line) => {
                if stderr.write_all(&line).is_err() {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            Step::Tell(done) => {
                // The end may have stopped waiting.
                let _ = done.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(line: &str, json: bool) -> String {
        let (steps, waiting) = mpsc::sync_channel(1);
        let log = Log {
            steps,
            dropped: Arc::default(),
        };
        // Whatever goes wrong is a line that differs.
        let _ = Lines { log, json }.write_all(line.as_bytes());
        match waiting.try_recv() {
            Ok(Step::Write(line)) => String::from_utf8_lossy(&line).into_owned(),
            _ => String::new(),
        }
    }

    #[test]
    fn a_line_is_one_line_whatever_it_says() {
        assert_eq!(
            written(" WARN a\n ERROR b\r\u{1b}[2J\u{202e}c\n", false),
            " WARN a\\u{a} ERROR b\\u{d}\\u{1b}[2J\\u{202e}c\n"
        );
        assert_eq!(
            written("{\"message\":\"a\u{85}\u{202e}\"}\n", true),
            "{\"message\":\"a\\u0085\\u202e\"}\n"
        );
    }
}
