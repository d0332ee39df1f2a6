//! Why an acknowledged change may be lost, although nothing has failed.
//!
//! Owns the sentences for an operator. Leaves to the engine which of them are so. Callers rely on
//! this: each is about how a server is set up, so none of them hinders the work.

use std::fmt;

/// Why an acknowledged change may be lost.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// The server does not wait for its disk.
    NotFlushed,
    /// A table of the queue is not in the server's log.
    Unlogged,
    /// There are standbys, and a commit waits for none of them.
    Asynchronous,
    /// A commit waits for a standby that has received it, but not for its disk.
    NotOnItsDisk,
    /// A commit should wait for a standby, and none that counts is connected.
    NoneConnected,
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Risk::NotFlushed => {
                "the server does not wait for its disk (`fsync` is off): a power cut may lose or \
                 damage everything"
            }
            Risk::Unlogged => {
                "a table of the queue is `UNLOGGED`, and a crash of the server empties it: make it \
                 safe with `ALTER TABLE … SET LOGGED`"
            }
            Risk::Asynchronous => {
                "replication is asynchronous (`synchronous_standby_names` is empty): when a standby \
                 takes over, acknowledged claims and freezes may be lost, and a job may be given \
                 twice"
            }
            Risk::NotOnItsDisk => {
                "replication is not strict (`synchronous_commit` is `remote_write`): if a standby \
                 takes over after a power cut, acknowledged changes may be lost"
            }
            Risk::NoneConnected => {
                "replication is synchronous, and no synchronous standby is connected: changes wait \
                 for one, unless your cluster's manager switches to asynchronous"
            }
        })
    }
}
