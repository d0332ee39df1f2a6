//! What a verb can fail with, besides its room's own errors.

use std::io;
use std::path::PathBuf;

use super::alerts::ConfigError;
use serial_gate::worker::{self, branch};
use serial_gate::{alerts, clause, conform, gate, policy, queue, rollout, store};

use crate::http;

/// A verb that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The queue.
    #[error(transparent)]
    Queue(#[from] queue::Error),
    /// The gate, where it is asked directly.
    #[error(transparent)]
    Gate(#[from] gate::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The policy, where it is asked directly.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// A clause, where it is checked directly.
    #[error("refused: {0}")]
    Refused(clause::Refusal),
    /// A clause whose version would not be its own.
    #[error(
        "the policy or its settings changed each time that the clause was asked for: try again"
    )]
    Changing,
    /// A step of a policy's life.
    #[error(transparent)]
    Life(#[from] rollout::Error),
    /// Alerts that cannot be sent.
    #[error(transparent)]
    Alerts(#[from] alerts::Error),
    /// A configuration of alerts that cannot be used.
    #[error(transparent)]
    AlertConfig(#[from] ConfigError),
    /// Conformance cases.
    #[error(transparent)]
    Conform(#[from] conform::Error),
    /// A policy file.
    #[error("`{}` is no policy", path.display())]
    PolicyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: policy::Error,
    },
    /// A file that cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A folder where a file with a secret or a key should be.
    #[error("`{}` is a folder: name the file in it that has the text", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// A file with a secret or a key that has nothing in it.
    #[error("`{}` is empty: write the text into it, or name another file", path.display())]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// A pipe with a secret or a key that says nothing.
    #[error("`{}` is no file, and gave nothing within {seconds} s: name a file, or write to it", path.display())]
    Silent {
        /// The pipe.
        path: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A file with a secret or a key in another encoding.
    #[error("`{}` is no text in UTF-8: save it as UTF-8, not as UTF-16 for example", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
    },
    /// A file that cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A key that would replace a file.
    #[error("`{}` is there already and is not replaced: give another name, or move it away", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A secret key that cannot be used.
    #[error(
        "`{}` cannot sign: give a secret key of minisign, and the password of a protected one in the variable `SERIAL_GATE_KEY_PASSWORD`",
        path.display()
    )]
    SecretKey {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: minisign::PError,
    },
    /// Keys or a signature that cannot be made.
    #[error("cannot make the {what}")]
    Keys {
        /// The keys or the signature.
        what: &'static str,
        /// Why.
        #[source]
        cause: minisign::PError,
    },
    /// A name that no policy can have.
    #[error(
        "`{name}` is no name for a policy: write lower-case words and digits with `-` between them, such as `review-first`"
    )]
    PolicyName {
        /// The name.
        name: String,
    },
    /// A folder for something new that holds something.
    #[error("`{}` is not empty, and nothing is overwritten: name a new folder", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The configuration file.
    #[error("`{}` is not a configuration that this version understands", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: toml::de::Error,
    },
    /// A configuration file beside a database that names another one.
    #[error(
        "`{}` lies beside the database that this command uses, and names another one, `{}`: remove its `db`, or name the file with `--config`",
        path.display(),
        db.display()
    )]
    OtherDatabase {
        /// The file.
        path: PathBuf,
        /// The database that it names.
        db: PathBuf,
    },
    /// A configuration file of another user.
    #[error(
        "`{}` belongs to another user, so it is not read: remove it, make it yours with `chown`, or name it with `--config`",
        path.display()
    )]
    ForeignConfig {
        /// The file.
        path: PathBuf,
    },
    /// A configuration file that every user may write.
    #[error("every user of this machine may write `{}`, so it is not read: `chmod o-w` it", path.display())]
    OpenConfig {
        /// The file.
        path: PathBuf,
    },
    /// The service.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// A worker that cannot go on.
    #[error(transparent)]
    Work(#[from] worker::Error),
    /// A branch.
    #[error(transparent)]
    Branch(#[from] branch::Error),
    /// Signals that cannot be heard.
    #[error("this process cannot hear signals, and could not be told to end")]
    Signals(#[source] io::Error),
    /// The machine has no random numbers.
    #[error("this machine gives no random numbers to make a token of")]
    NoRandom(#[source] getrandom::Error),
    /// A claim that nobody could be told of.
    #[error("cannot print job {job}, so it was put back at its place")]
    Unheard {
        /// The job.
        job: i64,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The same, where the claim is still there.
    #[error(
        "cannot print job {job}, and cannot put it back: it comes back when its lease runs out, or with `serial-gate job requeue {job}`"
    )]
    Stranded {
        /// The job.
        job: i64,
        /// Why it was not put back.
        #[source]
        cause: queue::Error,
    },
    /// A token of the service that nobody could be told.
    #[error("cannot print the token of `{}`, so it was revoked", name.escape_debug())]
    Untold {
        /// Whose it would be.
        name: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The standard output takes nothing.
    #[error("cannot write the result to the standard output: any change that it reports was made")]
    Print(#[from] io::Error),
}

impl Error {
    /// What to do about it, where that is a matter of this command's flags.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Error::Queue(error) | Error::Life(rollout::Error::Queue(error)) => match error {
                queue::Error::UnknownRepo { .. } => Some("if the repo is new, add `--new`"),
                queue::Error::Gate(gate::Error::Store(store::Error::TaskRuns { .. })) => Some(
                    "to cancel the job: `--force --reason TEXT`; its worker may give `--token TOKEN`",
                ),
                _ => None,
            },
            _ => None,
        }
    }
}
