//! A disk that keeps only what was flushed, and the queue on it after a power cut.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use tempfile::TempDir;

use super::Gate;

/// `disk.c`, compiled.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/support/disk.c");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let made = folder.join(format!("disk-{}.so", std::process::id()));
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]);
    compiler.arg(&made).arg(source).args(["-ldl", "-pthread"]);
    let compiled = compiler
        .status()
        .expect("these tests need a C compiler, `cc`");
    assert!(compiled.success());
    // Several runs of the tests may use the file, so it is replaced at once.
    let library = folder.join("disk.so");
    fs::rename(made, &library).unwrap();
    library
});

/// A disk, under a queue.
#[derive(Clone)]
pub struct Disk {
    folder: Arc<TempDir>,
}

/// What the processes did, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// These marks were written to the log.
    Written(Vec<String>),
    /// A transaction is whole in the log.
    Committed,
    /// A flush of the log or of its name begins.
    FlushBegins,
    /// It has ended.
    Flushed,
    /// An answer leaves for this port; 0 for the standard output.
    Left { port: u16, marks: Vec<String> },
}

impl Disk {
    /// A disk and a prepared queue on it.
    pub fn with_queue() -> (Disk, Gate) {
        let disk = Disk {
            folder: Arc::new(tempfile::tempdir().unwrap()),
        };
        let gate = Gate::empty();
        let watched = fs::canonicalize(gate.path(".")).unwrap();
        let gate = gate.with_environment(vec![
            ("LD_PRELOAD", LIBRARY.clone().into()),
            ("POWER_CUT_WATCHED", watched.into()),
            ("POWER_CUT_DISK", disk.folder.path().into()),
            ("POWER_CUT_EVENTS", disk.path("events").into()),
            ("POWER_CUT_FAULTS", disk.folder.path().into()),
        ]);
        gate.run(&["init"]).succeeds();
        (disk, gate)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The queue that a power cut leaves now.
    pub fn after_a_power_cut(&self) -> Gate {
        self.cut(None)
    }

    /// The same, where what was written to the main file has reached the disk in whatever order,
    /// unasked.
    pub fn after_a_power_cut_with_main_file_of(&self, gate: &Gate) -> Gate {
        self.cut(Some(gate))
    }

    fn cut(&self, main: Option<&Gate>) -> Gate {
        // During the copy no flush is half done.
        let lock = File::create(self.path("lock")).unwrap();
        lock.lock().unwrap();
        let gate = Gate::empty();
        for (name, file) in self.names() {
            // SQLite rebuilds the index of the log.
            if name.ends_with("-shm") {
                continue;
            }
            let flushed = self.path(&format!("file-{file}"));
            match main {
                Some(main) if name == "serial-gate.db" => {
                    fs::copy(main.database(), gate.path(&name)).unwrap();
                }
                // A file of which only the name was flushed is empty.
                _ if !flushed.exists() => gate.write(&name, ""),
                _ => drop(fs::copy(flushed, gate.path(&name)).unwrap()),
            }
        }
        gate
    }

    fn names(&self) -> BTreeMap<String, String> {
        let names = fs::read_to_string(self.path("names")).unwrap();
        let pairs = names.lines().map(|line| line.split_once(' ').unwrap());
        pairs
            .map(|(name, file)| (name.to_owned(), file.to_owned()))
            .collect()
    }

    /// What happened since [`Disk::forget_events`].
    pub fn events(&self) -> Vec<Event> {
        let text = fs::read_to_string(self.path("events")).unwrap();
        text.lines().map(event).collect()
    }

    pub fn forget_events(&self) {
        File::create(self.path("events")).unwrap();
    }

    /// No write has room (`full`), no flush succeeds (`broken`) or none ends (`slow`), until
    /// [`Disk::is_good_again`].
    pub fn gets(&self, fault: &str) {
        File::create(self.path(fault)).unwrap();
    }

    pub fn is_good_again(&self, fault: &str) {
        fs::remove_file(self.path(fault)).unwrap();
    }
}

fn event(line: &str) -> Event {
    let mut words = line.split(' ').map(str::to_owned);
    match words.next().as_deref() {
        Some("W") => Event::Written(words.collect()),
        Some("C") => Event::Committed,
        Some("B") => Event::FlushBegins,
        Some("E") => Event::Flushed,
        Some("S") => Event::Left {
            port: words.next().unwrap().parse().unwrap(),
            marks: words.collect(),
        },
        _ => panic!("{line}"),
    }
}
