//! The decision log: what the policy said at each claim, one JSON object a line.
//!
//! Owns the format and the rotation. Many processes may write to one file: a lock file makes them
//! take turns. A claim that gets no job adds no line if nothing has changed since the last one.
//! Leaves a line that cannot be written to `look`, which drops and counts it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::gate::Gate;
use crate::model::{Decision, Settings, Snapshot, verdict_to_json};
use crate::policy;
use crate::store::Claimed;

/// Where decisions are written to.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// The file. When it is full it becomes `FILE.1`, that one `FILE.2`, and so on.
    pub path: PathBuf,
    /// How long it may become, in bytes.
    pub max_bytes: u64,
    /// How many full files are kept.
    pub kept: u32,
    /// Whether the whole state is written down, which a replay needs.
    pub snapshots: bool,
}

/// A line of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// When it was decided.
    pub time: Timestamp,
    /// The generation that decided.
    pub generation: Option<i64>,
    /// The settings that it decided by.
    pub settings: Settings,
    /// The SHA-256 of the settings and the state.
    pub input: String,
    /// The verdicts, by job.
    pub decisions: Vec<LoggedDecision>,
    /// The job that was claimed then.
    pub claimed: Option<i64>,
    /// The state, if it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Snapshot>,
}

/// A decision as it is logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedDecision {
    /// The job.
    pub job: i64,
    /// `"claim"`, or an object with the reasons of the hold.
    pub verdict: Value,
}

/// A line that was not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the decision log `{}`", path.display())]
pub(super) struct NotLogged {
    path: PathBuf,
    #[source]
    cause: io::Error,
}

/// The log of this process.
pub(super) struct DecisionLog {
    pub options: LogOptions,
    /// The input that was logged last.
    last: Option<String>,
    /// Whether the last line could not be added.
    has_failed: bool,
}

impl DecisionLog {
    /// Nothing was logged yet.
    pub fn new(options: LogOptions) -> DecisionLog {
        DecisionLog {
            options,
            last: None,
            has_failed: false,
        }
    }

    /// Adds a line, if the input is another than the last one.
    pub fn add(
        &mut self,
        gate: &Gate,
        now: Timestamp,
        state: &Snapshot,
        decisions: &[Decision],
        claimed: Option<&Claimed>,
    ) -> Result<(), NotLogged> {
        let (settings, generation) = (gate.settings().clone(), gate.generation_id());
        let digest = |text: Result<Vec<u8>, _>| text.map(|text| policy::digest(&text));
        let input = digest(serde_json::to_vec(&(&settings, state))).unwrap_or_default();
        let line = digest(serde_json::to_vec(&(&input, generation, decisions)));
        let line = line.unwrap_or_default();
        if claimed.is_none() && self.last.as_ref() == Some(&line) {
            return Ok(());
        }
        let entry = Entry {
            time: now,
            generation,
            settings,
            input,
            decisions: decisions
                .iter()
                .map(|decision| LoggedDecision {
                    job: decision.job,
                    verdict: verdict_to_json(&decision.verdict),
                })
                .collect(),
            claimed: claimed.map(|claimed| claimed.id),
            snapshot: self.options.snapshots.then(|| state.clone()),
        };
        // Claims do not wait a second time for a process that has stopped with the lock.
        let patience = if self.has_failed {
            Duration::ZERO
        } else {
            PATIENCE
        };
        let added = add_line(&self.options, &entry, patience);
        self.has_failed = added.is_err();
        added.map_err(|cause| NotLogged {
            path: self.options.path.clone(),
            cause,
        })?;
        self.last = Some(line);
        Ok(())
    }
}

fn add_line(options: &LogOptions, entry: &Entry, patience: Duration) -> io::Result<()> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    let lock_file = with_extension(&options.path, "lock");
    // Opening a pipe would wait for its reader.
    for path in [&options.path, &lock_file] {
        if path.exists() && !path.is_file() {
            let problem = format!("`{}` is not a regular file", path.display());
            return Err(io::Error::other(problem));
        }
    }
    // Released when it is dropped, also by a process that dies.
    let _turn = lock(&lock_file, patience)?;
    let append = || {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&options.path)
    };
    let mut file = append()?;
    let length = file.metadata()?.len();
    if length > 0 && length + line.len() as u64 > options.max_bytes {
        rotate(options)?;
        file = append()?;
    }
    let length = file.metadata()?.len();
    file.write_all(&line)
        // Half a line would spoil the next one. If this fails as well, the disk is beyond help.
        .inspect_err(|_| file.set_len(length).unwrap_or_default())
}

/// How long another process may take for its line.
const PATIENCE: Duration = Duration::from_secs(1);

fn lock(path: &Path, patience: Duration) -> io::Result<File> {
    // Not truncated: a file of this name may have been there before.
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begun.elapsed() > patience => {
                return Err(io::Error::other("another process holds its lock"));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn rotate(options: &LogOptions) -> io::Result<()> {
    if options.kept == 0 {
        return std::fs::remove_file(&options.path);
    }
    for number in (1..options.kept).rev() {
        let older = with_extension(&options.path, &number.to_string());
        if older.exists() {
            std::fs::rename(
                &older,
                with_extension(&options.path, &(number + 1).to_string()),
            )?;
        }
    }
    std::fs::rename(&options.path, with_extension(&options.path, "1"))
}

/// The path with one more extension.
fn with_extension(path: &Path, extension: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".");
    path.push(extension);
    path.into()
}
