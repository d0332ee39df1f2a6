//! The two files of an open database: the main file and its log.
//!
//! Owns what SQLite does not check: whether both are still the files at the path, and when the log
//! is on the disk. Other programs replace, rename and remove files; a change that is committed to a
//! removed file is lost with it. Callers rely on this: while [`Files::are_in_place`] is true, other
//! processes see what is committed, and after [`Files::flush`] it survives a power cut.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::{Error, Problem};

/// The identity of a file, whatever its name. No other file gets it while this one is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    device: u64,
    inode: u64,
}

impl From<&Metadata> for Identity {
    fn from(metadata: &Metadata) -> Identity {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// The databases that this process has open, by their main files: the log of each, and how many
/// connections there are. SQLite lets all connections of a process to one main file share an index
/// of the log. A connection with another log would read that log with the wrong index, so it must
/// wait until the others have closed.
static OPEN: Mutex<BTreeMap<Identity, Shared>> = Mutex::new(BTreeMap::new());

struct Shared {
    log: Identity,
    connections: usize,
    has_failed: Arc<AtomicBool>,
}

/// Logs that were left next to a new main file. They are kept open, so that no other file gets
/// their identity.
static LEFT: Mutex<Vec<Left>> = Mutex::new(Vec::new());

struct Left {
    main: Identity,
    log_path: PathBuf,
    log: Identity,
    _kept_open: File,
}

fn open_databases() -> MutexGuard<'static, BTreeMap<Identity, Shared>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The files of an open database.
#[derive(Debug)]
pub(crate) struct Files {
    path: PathBuf,
    main: Identity,
    log_path: PathBuf,
    /// Kept open, so that no other file gets its identity.
    log: File,
    log_identity: Identity,
    /// Whether the log's directory entry is on the disk, too.
    is_named_on_disk: AtomicBool,
    /// Whether a flush has failed, of any connection of this process.
    has_failed: Arc<AtomicBool>,
    /// Whether the connection is one of those in [`OPEN`].
    is_counted: AtomicBool,
}

impl Files {
    /// Opens a database with `connect`, which leaves it in WAL mode and reads from it, so that the
    /// log exists.
    pub(crate) fn open<T>(
        path: &Path,
        connect: impl FnOnce() -> Result<T, Error>,
    ) -> Result<(Files, T), Error> {
        let moved = || Problem::Moved.at(path);
        let mut open = open_databases();
        let main = match fs::metadata(path) {
            Ok(main) => main,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(Problem::Missing.at(path));
            }
            Err(cause) => return Err(Problem::Unreachable(cause).at(path)),
        };
        check_links(path)?;
        let main = Identity::from(&main);
        let log_path = log_of(path)?;
        check_left(path, main, &log_path)?;
        let known = open.get(&main).map(|shared| shared.log);
        let is_known = |known: Identity| {
            let log = File::open(&log_path).ok();
            Some(known) == identity(&log_path) && log.is_some_and(|log| is_log(&log))
        };
        if known.is_some_and(|known| !is_known(known)) {
            return Err(moved());
        }
        let connected = connect()?;
        let log = File::open(&log_path).map_err(|_| moved())?;
        let log_identity = Identity::from(&log.metadata().map_err(|_| moved())?);
        // SQLite has opened the files by name between these two checks.
        if identity(path) != Some(main) || known.is_some_and(|known| known != log_identity) {
            return Err(moved());
        }
        let shared = open.entry(main).or_insert(Shared {
            log: log_identity,
            connections: 0,
            has_failed: Arc::default(),
        });
        shared.connections += 1;
        let files = Files {
            path: path.into(),
            main,
            log_path,
            log,
            log_identity,
            is_named_on_disk: AtomicBool::new(false),
            has_failed: Arc::clone(&shared.has_failed),
            is_counted: AtomicBool::new(true),
        };
        Ok((files, connected))
    }

    /// Releases the files before a connection to files in place is closed: other connections need
    /// not wait for it.
    pub(crate) fn let_go(&self) {
        if !self.is_counted.swap(false, Ordering::Relaxed) {
            return;
        }
        let mut open = open_databases();
        if let Some(shared) = open.get_mut(&self.main) {
            shared.connections = shared.connections.saturating_sub(1);
            if shared.connections == 0 {
                open.remove(&self.main);
            }
        }
    }

    /// Whether the files at the path are the open ones, and the log is a log.
    pub(crate) fn are_in_place(&self) -> bool {
        identity(&self.path) == Some(self.main)
            && identity(&self.log_path) == Some(self.log_identity)
            && self.have_a_log()
    }

    /// Whether the log is a log, or empty.
    pub(crate) fn have_a_log(&self) -> bool {
        is_log(&self.log)
    }

    /// Whether a flush has failed, so that the log may have a hole on the disk that no later flush
    /// fills.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// After everything is in the main file and on the disk: the log begins anew.
    pub(crate) fn is_whole_again(&self) {
        self.has_failed.store(false, Ordering::Relaxed);
    }

    /// How long the log is, in bytes.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.log.metadata().map_or(0, |log| log.len())
    }

    /// Remembers the log if it is still there while the main file was replaced: SQLite would apply
    /// the changes of the old file to the new one.
    pub(crate) fn remember_if_left(&self) {
        let is_left = identity(&self.path) != Some(self.main)
            && identity(&self.log_path) == Some(self.log_identity);
        if !is_left {
            return;
        }
        match self.log.try_clone() {
            Ok(log) => logs_left().push(Left {
                main: self.main,
                log_path: self.log_path.clone(),
                log: self.log_identity,
                _kept_open: log,
            }),
            Err(error) => tracing::error!("a log that was left is not remembered: {error}"),
        }
    }

    /// Waits until everything that was committed is on the disk.
    pub(crate) fn flush(&self) -> io::Result<()> {
        if self.has_failed() {
            return Err(io::Error::other("an earlier flush has failed"));
        }
        // Linux reports a failure once, and afterwards treats the lost pages as written.
        self.log
            .sync_data()
            .inspect_err(|_| self.has_failed.store(true, Ordering::Relaxed))?;
        if !self.is_named_on_disk.load(Ordering::Relaxed) {
            let folder = self.log_path.parent().unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()?;
            self.is_named_on_disk.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn logs_left() -> MutexGuard<'static, Vec<Left>> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Refuses a main file with the log of another.
fn check_left(path: &Path, main: Identity, log_path: &Path) -> Result<(), Error> {
    let log = identity(log_path);
    let mut left = logs_left();
    // Once the log is gone, or its main file is back, the entry is no longer needed.
    left.retain(|left| left.log_path != log_path || (Some(left.log) == log && left.main != main));
    if left.iter().any(|left| left.log_path == log_path) {
        return Err(Problem::OldLog(log_path.into()).at(path));
    }
    Ok(())
}

/// Refuses a main file with several names. Each name has its own log, so that each would be another
/// queue.
pub(crate) fn check_links(path: &Path) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(main) if main.is_file() && main.nlink() > 1 => {
            Err(Problem::Linked(main.nlink()).at(path))
        }
        // A file that is missing or unreadable is reported when it is opened.
        _ => Ok(()),
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Whether a file has the beginning of a log, or nothing: a log that was emptied by another program
/// has neither once something was written to it.
fn is_log(file: &File) -> bool {
    // SQLite's file format, section 4.1.
    const MAGIC: [[u8; 4]; 2] = [[0x37, 0x7f, 0x06, 0x82], [0x37, 0x7f, 0x06, 0x83]];
    let mut beginning = [0; 4];
    match file.read_at(&mut beginning, 0) {
        Ok(0) => true,
        Ok(_) => MAGIC.contains(&beginning),
        Err(_) => false,
    }
}

fn identity(path: &Path) -> Option<Identity> {
    // What cannot be looked at is not known to be there.
    fs::metadata(path).ok().map(|found| Identity::from(&found))
}

/// SQLite follows symbolic links and puts the log next to their target.
pub(crate) fn log_of(path: &Path) -> Result<PathBuf, Error> {
    let real = fs::canonicalize(path).map_err(|cause| Problem::Unreachable(cause).at(path))?;
    let mut log = real.into_os_string();
    log.push("-wal");
    Ok(log.into())
}
