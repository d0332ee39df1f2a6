//! The ways in which another file gets to a queue's path, and a channel that shows whether alerts
//! are still sent.

use std::fs;
use std::path::PathBuf;

use super::Gate;
use super::endpoint::Endpoint;
use super::look::until;

/// A way in which other files get to the path.
pub struct Way {
    pub name: &'static str,
    /// The path is a symbolic link.
    is_linked: bool,
    happens: fn(&Gate),
}

/// Each of them leaves a prepared queue at the path.
pub const WAYS: [Way; 5] = [
    Way {
        name: "a backup is moved over it, and the log removed",
        is_linked: false,
        happens: |gate| {
            fs::rename(gate.path("backup.db"), gate.database()).unwrap();
            remove_log_and_index(gate);
        },
    },
    Way {
        name: "a backup is copied over it, and the log removed",
        is_linked: false,
        happens: |gate| {
            fs::copy(gate.path("backup.db"), gate.database()).unwrap();
            remove_log_and_index(gate);
        },
    },
    Way {
        name: "the log is removed",
        is_linked: false,
        happens: |gate| fs::remove_file(beside(gate, "-wal")).unwrap(),
    },
    Way {
        name: "the log and its index are removed",
        is_linked: false,
        happens: remove_log_and_index,
    },
    Way {
        name: "a symbolic link is turned",
        is_linked: true,
        happens: |gate| {
            std::os::unix::fs::symlink("backup.db", gate.path("turned")).unwrap();
            fs::rename(gate.path("turned"), gate.database()).unwrap();
        },
    },
];

impl Way {
    /// A queue with a task of `alpha` whose job is queued, and a backup of it.
    pub fn queue(&self) -> Gate {
        let gate = Gate::new();
        if self.is_linked {
            fs::rename(gate.database(), gate.path("real.db")).unwrap();
            std::os::unix::fs::symlink("real.db", gate.database()).unwrap();
        }
        gate.run(&["task", "add", "alpha"]).succeeds();
        back_up(&gate);
        gate
    }

    pub fn happens(&self, gate: &Gate) {
        (self.happens)(gate);
    }
}

pub fn back_up(gate: &Gate) {
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    gate.sqlite().query_row(checkpoint, [], |_| Ok(())).unwrap();
    fs::copy(gate.database(), gate.path("backup.db")).unwrap();
}

pub fn beside(gate: &Gate, suffix: &str) -> PathBuf {
    let real = fs::canonicalize(gate.database()).unwrap();
    format!("{}{suffix}", real.display()).into()
}

pub fn remove_log_and_index(gate: &Gate) {
    for suffix in ["-wal", "-shm"] {
        // A process that has just closed them may have removed them.
        let _ = fs::remove_file(beside(gate, suffix));
    }
}

/// Another process changes the queue that is at the path. It may wait until no process has the old
/// index open.
#[track_caller]
pub fn change(gate: &Gate, verb: &[&str]) {
    until("another process may change the queue", || {
        gate.run(verb).code == Some(0)
    });
}

/// A channel for alerts.
pub fn with_channel(gate: &Gate) -> Endpoint {
    let endpoint = Endpoint::new(&[]);
    gate.write("secret", "s");
    let config = format!(
        "[alerts.webhook]\nurl = \"{}/hook\"\nsecret_file = \"secret\"\n",
        endpoint.url
    );
    gate.write("serial-gate.toml", config);
    endpoint
}
