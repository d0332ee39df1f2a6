//! Why a branch is not cut, and what to do about it.

use std::ffi::OsStr;
use std::io;

use crate::store;
use crate::worker::child::{cannot_start, plainly};

/// A branch that was not cut. The next try begins where this one ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database, or a branch that another task has.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A project without a repo or a remote.
    #[error("a `[[project]]` lacks its `{key}`: give it in `serial-gate.toml`")]
    Empty {
        /// The key.
        key: &'static str,
    },
    /// Two projects of one repo.
    #[error("`{repo}` has two `[[project]]` entries: leave one in `serial-gate.toml`")]
    Twice {
        /// The repo.
        repo: String,
    },
    /// A remote that git would take for an option.
    #[error("the remote of `{repo}` begins with `-`: correct `remote` in `serial-gate.toml`")]
    Option {
        /// The repo.
        repo: String,
    },
    /// A pattern that gives all tasks one branch.
    #[error(
        "the branch pattern `{pattern}` of `{repo}` gives every task the same branch: put \
         `{{work_item}}` or `{{task}}` into it"
    )]
    Pattern {
        /// The repo.
        repo: String,
        /// The pattern.
        pattern: String,
    },
    /// A name that git does not take.
    #[error(
        "`{}` is no name for a branch: add the task again with a work item of letters, digits, \
         `-`, `_` and `.`",
        name.escape_debug()
    )]
    Name {
        /// The name.
        name: String,
    },
    /// A name that no server takes.
    #[error(
        "the branch `{}…` would have {length} bytes, and a branch has {longest} at most: add the \
         task again with a shorter work item",
        begin.escape_debug()
    )]
    Long {
        /// How it begins.
        begin: String,
        /// How long it is.
        length: usize,
        /// How long it may be.
        longest: usize,
    },
    /// A name that git cannot keep together with the base's.
    #[error(
        "git keeps no `{}` beside the base `{}` of `{}`: add the task again with another work \
         item, or correct `branch` in `serial-gate.toml`",
        branch.escape_debug(), base.escape_debug(), repo.escape_debug()
    )]
    BesideBase {
        /// The repo.
        repo: String,
        /// The branch.
        branch: String,
        /// The base.
        base: String,
    },
    /// A base that git does not take.
    #[error("`{}` is no name for a branch: correct `base` of `{repo}` in \
             `serial-gate.toml`", base.escape_debug())]
    Base {
        /// The repo.
        repo: String,
        /// The base.
        base: String,
    },
    /// A pattern that gives no task a branch.
    #[error(
        "the branch pattern `{}` of `{repo}` gives no names for branches: correct `branch` in \
         `serial-gate.toml`",
        pattern.escape_debug()
    )]
    Unusable {
        /// The repo.
        repo: String,
        /// The pattern.
        pattern: String,
    },
    /// A remote that no program can be given.
    #[error(
        "the remote of `{repo}` has a control character: correct `remote` in `serial-gate.toml`"
    )]
    Unprintable {
        /// The repo.
        repo: String,
    },
    /// The remote lacks the base.
    #[error(
        "the remote of `{repo}` has no branch `{base}`: push it, or correct `base` in \
         `serial-gate.toml`"
    )]
    NoBase {
        /// The repo.
        repo: String,
        /// The base.
        base: String,
    },
    /// The remote has a branch of this name that no task has cut.
    #[error(
        "the remote of `{repo}` has a branch `{branch}` already, at {commit}: rename or delete it \
         there, then try the job again"
    )]
    Taken {
        /// The repo.
        repo: String,
        /// The branch.
        branch: String,
        /// Where it is.
        commit: String,
    },
    /// The remote has a branch that git cannot keep together with one of this name.
    #[error(
        "the remote of `{repo}` has a branch `{}`, and git keeps no `{branch}` beside it: rename \
         or delete it there, then try the job again",
        other.escape_debug()
    )]
    InTheWay {
        /// The repo.
        repo: String,
        /// The branch.
        branch: String,
        /// The other one.
        other: String,
    },
    /// The remote has a branch whose name differs in small and capital letters alone.
    #[error(
        "the remote of `{repo}` has a branch `{}`, which is the same as `{branch}` on some disks: \
         rename or delete it there, then try the job again",
        other.escape_debug()
    )]
    Alike {
        /// The repo.
        repo: String,
        /// The branch.
        branch: String,
        /// The other one.
        other: String,
    },
    /// Git cannot be run.
    #[error("{}", cannot_start(OsStr::new("git"), .0))]
    NoGit(io::Error),
    /// There is no place to work in.
    #[error("no folder can be made for git to work in ({}): free some room, or correct \
             `TMPDIR`", plainly(.0))]
    NoFolder(io::Error),
    /// The user's git has more settings than a person writes.
    #[error("the git settings of this worker's user are longer than 1 MiB: shorten them")]
    ManySettings,
    /// Git failed.
    #[error("git cannot {what} of `{repo}`: {advice}; git says: {said}")]
    Git {
        /// What it was to do.
        what: &'static str,
        /// The repo.
        repo: String,
        /// What to do about it.
        advice: &'static str,
        /// What it said.
        said: String,
    },
    /// Git, or a program that it runs, waits for an answer.
    #[error(
        "git asks for something at the terminal on its way to the remote of `{repo}`, and gets \
         no answer: give this worker's user a key or a credential helper that works without a \
         question"
    )]
    Asked {
        /// The repo.
        repo: String,
    },
    /// The remote sends too much.
    #[error(
        "the remote of `{repo}` sends more than {gigabytes} GiB for one commit: have it send parts \
         (`uploadpack.allowFilter`)"
    )]
    Large {
        /// The repo.
        repo: String,
        /// How much it may send.
        gigabytes: u64,
    },
    /// Git took too long.
    #[error("git cannot {what} of `{repo}` within {seconds} s: does the remote answer?")]
    Slow {
        /// What it was to do.
        what: &'static str,
        /// The repo.
        repo: String,
        /// How long it had.
        seconds: u64,
    },
    /// The branch is no longer wanted.
    #[error("the branch was not cut, because the job was given up")]
    GivenUp,
}

impl Error {
    /// Whether another try would end the same way until the task, its branch or the remote's was
    /// mended by hand.
    pub fn is_for_good(&self) -> bool {
        match self {
            Error::Name { .. }
            | Error::Long { .. }
            | Error::BesideBase { .. }
            | Error::Taken { .. }
            | Error::InTheWay { .. }
            | Error::Alike { .. } => true,
            Error::Store(error) => matches!(
                error,
                store::Error::BranchOf { .. } | store::Error::BranchBeside { .. }
            ),
            _ => false,
        }
    }
}
