//! Why a branch is not cut, and what to do about it.
//!
//! Callers rely on this: no text holds a password of a remote's address.

use std::ffi::OsStr;
use std::io;

use crate::store;
use crate::worker::child::{cannot_start, plainly};

/// A branch that was not cut. The next attempt continues where this one ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database, or a collision with another task's branch.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A project without this key.
    #[error("a `[[project]]` lacks its `{0}`: give it in `serial-gate.toml`")]
    Empty(&'static str),
    /// A project that has only some of the keys of its forge.
    #[error(
        "the project of `{}` has no `{key}`: webhooks need `forge`, `forge_repo` and \
         `hook_secret` in `serial-gate.toml`",
        repo.escape_debug()
    )]
    HalfAForge {
        /// The repo.
        repo: String,
        /// The missing key.
        key: &'static str,
    },
    /// Not the full name of a repository of a forge.
    #[error(
        "`{}` is not a repository's full name: correct `forge_repo` of `{}` in \
         `serial-gate.toml`, as in `org/name`",
        name.escape_debug(), repo.escape_debug()
    )]
    ForgeRepo {
        /// The repo.
        repo: String,
        /// The name.
        name: String,
    },
    /// A template that gives no safe address.
    #[error(
        "`{key}` of `{}` is `{}`, which gives no link: write an address with `https://`, a host, \
         and `{place}` after it in `serial-gate.toml`",
        repo.escape_debug(), template.escape_debug()
    )]
    Link {
        /// The repo.
        repo: String,
        /// The key.
        key: &'static str,
        /// The template.
        template: String,
        /// The place of the name.
        place: &'static str,
    },
    /// This repo has two projects.
    #[error("`{0}` has two `[[project]]` entries: leave one in `serial-gate.toml`")]
    Twice(String),
    /// The remote of this repo looks like an option of git.
    #[error("the remote of `{0}` begins with `-`: correct `remote` in `serial-gate.toml`")]
    Option(String),
    /// A pattern that gives all tasks the same branch.
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
    /// A task's branch would have this invalid name.
    #[error(
        "`{}` is not a valid branch name: add the task again with a work item of letters, digits, \
         `-`, `_` and `.`",
        .0.escape_debug()
    )]
    Name(String),
    /// A name that is too long for forges.
    #[error(
        "the branch `{}…` would have {length} bytes, and at most {longest} are allowed: add the \
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
        "git cannot keep both `{}` and the base `{}` of `{}`: add the task again with another \
         work item, or correct `branch` in `serial-gate.toml`",
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
    /// A base that is not a valid branch name.
    #[error(
        "`{}` is not a valid branch name: correct `base` of `{repo}` in `serial-gate.toml`",
        base.escape_debug()
    )]
    Base {
        /// The repo.
        repo: String,
        /// The base.
        base: String,
    },
    /// A pattern that gives only invalid names.
    #[error(
        "the branch pattern `{}` of `{repo}` gives no valid branch names: correct `branch` in \
         `serial-gate.toml`",
        pattern.escape_debug()
    )]
    Unusable {
        /// The repo.
        repo: String,
        /// The pattern.
        pattern: String,
    },
    /// The remote of this repo cannot be passed to a program.
    #[error("the remote of `{0}` has a control character: correct `remote` in `serial-gate.toml`")]
    Unprintable(String),
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
    /// The remote has a branch that collides with this name.
    #[error(
        "the remote of `{repo}` has a branch `{}`, and git cannot keep `{branch}` next to it: \
         rename or delete it there, then try the job again",
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
    /// The remote has a branch whose name differs only in upper and lower case.
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
    /// No temporary folder can be made.
    #[error(
        "cannot make a folder for git ({}): free some space, or correct `TMPDIR`", plainly(.0)
    )]
    NoFolder(io::Error),
    /// The user's git settings are too long.
    #[error("the git settings of this worker's user are longer than 1 MiB: shorten them")]
    ManySettings,
    /// Git failed.
    #[error("git cannot {what} of `{repo}` (`{remote}`): {advice}; git says: {said}")]
    Git {
        /// The failed action.
        what: &'static str,
        /// The repo.
        repo: String,
        /// The remote, without a password.
        remote: String,
        /// What to do about it.
        advice: &'static str,
        /// Git's message.
        said: String,
    },
    /// Git, or a program that it runs, asked for an answer about this repo's remote.
    #[error(
        "git asks a question at the terminal to reach the remote of `{0}`, and gets no answer: \
         give this worker's user a key or a credential helper that works without a question"
    )]
    Asked(String),
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
        /// The action.
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
    /// Whether every further attempt would fail until an operator repairs the task or the remote.
    pub fn is_for_good(&self) -> bool {
        match self {
            Error::Name(_)
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
