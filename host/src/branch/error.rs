//! Why a branch is not cut, and what to do about it.

use std::io;

use crate::store;

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
        "the branch pattern `{pattern}` of `{repo}` gives every task the same branch: put `{{work_item}}` or `{{task}}` into it"
    )]
    Pattern {
        /// The repo.
        repo: String,
        /// The pattern.
        pattern: String,
    },
    /// A name that git does not take.
    #[error(
        "`{}` is no name for a branch: add the task again with a work item of letters, digits, `-`, `_` and `.`",
        name.escape_debug()
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The remote lacks the base.
    #[error(
        "the remote of `{repo}` has no branch `{base}`: push it, or correct `base` in `serial-gate.toml`"
    )]
    NoBase {
        /// The repo.
        repo: String,
        /// The base.
        base: String,
    },
    /// The remote has a branch of this name that no task has cut.
    #[error(
        "the remote of `{repo}` has a branch `{branch}` already, at {commit}: rename or delete it there, and the job goes on"
    )]
    Taken {
        /// The repo.
        repo: String,
        /// The branch.
        branch: String,
        /// Where it is.
        commit: String,
    },
    /// The remote has a branch beside which git can keep none of this name.
    #[error(
        "the remote of `{repo}` has a branch `{other}`, and git keeps no `{branch}` beside it: rename or delete it there, and the job goes on"
    )]
    InTheWay {
        /// The repo.
        repo: String,
        /// The branch.
        branch: String,
        /// The other one.
        other: String,
    },
    /// Git cannot be run.
    #[error("cannot run `git`: install it, or put it into `PATH`")]
    NoGit(#[source] io::Error),
    /// Git failed.
    #[error("git cannot {what} of `{repo}`: {said}")]
    Git {
        /// What it was to do.
        what: &'static str,
        /// The repo.
        repo: String,
        /// What it said.
        said: String,
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
    /// Whoever wanted the branch does not any more.
    #[error("the branch was not cut, because the job was given up")]
    GivenUp,
}

impl Error {
    /// Whether another try would end the same way until somebody mends the task.
    pub fn is_for_good(&self) -> bool {
        matches!(
            self,
            Error::Name { .. } | Error::Store(store::Error::BranchOf { .. })
        )
    }
}
