//! The log on the standard error. It never matters.
//!
//! Owns the way of a line to the standard error: a bounded queue, and one thread that writes.
//! Leaves the lines to `tracing` and to the verbs. Callers rely on this: whatever becomes of the
//! standard error (a full disk, a closed pipe, a pipe whose reader has stopped), handing over a
//! line neither fails nor waits; and a line is one line, whatever texts it has. A line that cannot
//! be written is dropped and counted.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use serial_gate::printable::{printable, printable_json};
use tracing_subscriber::EnvFilter;

use super::empty_variables::variable;

/// How many lines may wait for the thread: far more than a reader that keeps up ever leaves.
const WAITING: usize = 1_024;

/// How long the end of the process waits for its last lines.
const PATIENCE: Duration = Duration::from_secs(1);

/// How soon a full queue is looked at again.
const LOOK: Duration = Duration::from_millis(5);

/// A way to the standard error. A clone leads to the same queue.
#[derive(Clone)]
pub struct Log {
    steps: SyncSender<Step>,
    dropped: Arc<AtomicU64>,
}

enum Step {
    Write(Vec<u8>),
    /// All before it is written.
    Tell(Sender<()>),
}

/// Which lines are written, and how they look.
pub struct Style {
    /// The level, unless `SERIAL_GATE_LOG` asks for another.
    pub level: &'static str,
    /// JSON with its time, for a log that is collected; otherwise plain lines for a person.
    pub json: bool,
}

impl Log {
    /// Starts the thread. A panic is said here, too: its own message would wait for the standard
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
        let told = log.clone();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = thread::current();
            let name = thread.name().unwrap_or("unnamed");
            told.end(format!("thread `{name}` {panic}\n").into_bytes());
        }));
        log
    }

    /// Takes the library's log.
    pub fn listen(&self, style: &Style) {
        let wanted = variable("SERIAL_GATE_LOG").and_then(|filter| filter.into_string().ok());
        let filter = wanted.and_then(|filter| EnvFilter::try_new(filter).ok());
        let filter = filter.unwrap_or_else(|| EnvFilter::new(style.level));
        let lines = Lines {
            log: self.clone(),
            json: style.json,
        };
        let lines = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(move || lines.clone())
            // It would print what went wrong to the standard error itself, and panic if it cannot.
            .log_internal_errors(false)
            .with_ansi(false)
            .with_target(false);
        // There is one log, so nobody can have been there before.
        let _ = if style.json {
            lines.json().flatten_event(true).try_init()
        } else {
            lines.without_time().try_init()
        };
    }

    /// How many lines were dropped so far.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    /// Writes what is to be said last, and waits a moment until all is written.
    pub fn end(&self, last: Vec<u8>) {
        let end = Instant::now() + PATIENCE;
        let (told, is_written) = mpsc::channel();
        if self.put(Step::Write(last), end) && self.put(Step::Tell(told), end) {
            // Whether it is written or not, the process ends.
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
            thread::sleep(LOOK);
        }
    }
}

/// The lines of the subscriber. Whatever a text in one of them holds, it neither ends the line nor
/// looks like another.
#[derive(Clone)]
struct Lines {
    log: Log,
    json: bool,
}

/// One call is one line: the subscriber writes it whole.
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
            Step::Tell(told) => {
                // The end may have waited for long enough.
                let _ = told.send(());
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
