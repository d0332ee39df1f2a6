//! The lines that the jobs of a worker print, on the standard output and the standard error.
//!
//! Owns a thread for each of the two, so that a stream which nobody reads holds up neither the other nor
//! the worker. Leaves the lines to the worker. Callers rely on this: a line is written whole; and
//! where an output is closed, its lines are dropped and the jobs go on.

use std::io::{self, Write};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serial_gate::worker::Stream;

/// How many texts may wait, each of some lines.
const WAITING: usize = 16;

/// How long the end waits for the last lines.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(5);

pub struct JobLines {
    stdout: SyncSender<String>,
    stderr: SyncSender<String>,
    writers: [JoinHandle<()>; 2],
}

impl JobLines {
    pub fn start() -> io::Result<JobLines> {
        let (stdout, out) = writer(io::stdout())?;
        let (stderr, err) = writer(io::stderr())?;
        Ok(JobLines {
            stdout,
            stderr,
            writers: [out, err],
        })
    }

    /// Has lines written; gives them back if there is no room for them now.
    pub fn put(&self, stream: Stream, text: String) -> Result<(), String> {
        let to = match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        };
        match to.try_send(text) {
            Err(TrySendError::Full(text)) => Err(text),
            Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
        }
    }

    /// Waits a moment until everything is written.
    pub fn end(self) {
        let JobLines {
            stdout,
            stderr,
            writers,
        } = self;
        drop((stdout, stderr));
        let begun = Instant::now();
        // Written or not, the worker ends.
        while begun.elapsed() < PATIENCE && !writers.iter().all(JoinHandle::is_finished) {
            thread::sleep(LOOK);
        }
    }
}

fn writer(mut to: impl Write + Send + 'static) -> io::Result<(SyncSender<String>, JoinHandle<()>)> {
    let (texts, waiting) = mpsc::sync_channel::<String>(WAITING);
    let write = move || {
        for text in waiting {
            // Nobody reads it any more, or its disk is full.
            let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
        }
    };
    let thread = thread::Builder::new().name("lines".into()).spawn(write)?;
    Ok((texts, thread))
}
