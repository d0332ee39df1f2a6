//! What can go wrong with a queue: its database, its policy, or the request.

use super::nearest::{did_you_mean, named};
use crate::remedy::Remedy;
use crate::{clause, policy, store};

/// A request that failed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The policy.
    #[error("the policy failed")]
    Policy(#[from] policy::Error),
    /// The policy's clause.
    #[error("the policy's clause was refused")]
    Clause(#[from] clause::Refusal),
    /// A freeze would hold nothing, so it is not written.
    #[error("{}", if *here {
        "the freeze layer is off by this process's own settings, nothing was written: take `freeze-enabled` from its flags, \
         `SERIAL_GATE_FREEZE_ENABLED` from its environment, or `freeze_enabled` from its configuration file"
    } else {
        "the freeze layer is off, nothing was written"
    })]
    FreezeOff {
        /// Whether this process was told so itself.
        here: bool,
    },
    /// Nothing in the queue has this repo.
    #[error(
        "no task of `{}` is known, so nothing was {left}{}",
        repo.escape_debug(), did_you_mean(near)
    )]
    UnknownRepo {
        /// The repo.
        repo: String,
        /// The known repos that are nearest.
        near: Vec<String>,
        /// What was not done, such as `frozen`.
        left: &'static str,
    },
    /// The scope would drop this name, and be wider or another one than was meant.
    #[error(
        "`{}` cannot be in `repos`, where a name has letters, digits, `.`, `_` and `-`, so nothing was changed{}{}",
        repo.escape_debug(), did_you_mean(near), how_to_scope(repo)
    )]
    NotInScope {
        /// The name.
        repo: String,
        /// The known repos that are nearest.
        near: Vec<String>,
    },
    /// The scope would name no repo, and be all of them.
    #[error(
        "`{}` names no repo, and `repos` would be all of them, so nothing was changed: an empty text says that",
        repos.escape_debug()
    )]
    NoNameInScope {
        /// The setting.
        repos: String,
    },
    /// The setting `repos` and the rules have no repo in common.
    #[error(
        "`repos` ({}) and `repos` in the rules ({}) have no repo in common, and the gate would act nowhere, so nothing was \
         changed",
        named(repos, ", "),
        named(rules, ", ")
    )]
    NothingInScope {
        /// The names in the setting.
        repos: Vec<String>,
        /// Those in the rules.
        rules: Vec<String>,
    },
    /// What stands in the database of a generation is not what was written there.
    #[error("the {what} of generation {generation} cannot be read, so the defaults hold")]
    Unreadable {
        /// The generation.
        generation: i64,
        /// Its settings or its limits.
        what: &'static str,
        /// Why.
        #[source]
        cause: serde_json::Error,
    },
    /// A component is not kept.
    #[error("the component `{digest}` is not kept in the database")]
    NoComponent {
        /// Its digest.
        digest: String,
    },
    /// A component is not the one that was checked.
    #[error("the component `{digest}` was altered in the database")]
    Altered {
        /// The digest that it should have.
        digest: String,
    },
    /// The decision log cannot be written.
    #[error("cannot write the decision log `{}`", path.display())]
    Log {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// There is nothing to go by.
    #[error("no policy is active")]
    NoPolicy,
    /// There is no thread left to load a policy in.
    #[error("no thread can be started to load the policy")]
    Thread(#[source] std::io::Error),
    /// The thread that loaded a policy ended before it was done.
    #[error("the policy's loader ended before it was done")]
    LoaderEnded,
}

impl Error {
    /// What to do about it, where a command or a route does that.
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Error::Store(error) => error.remedy(),
            Error::FreezeOff { here: false } => Some(Remedy::SwitchFreezesOn),
            Error::Unreadable { .. } => Some(Remedy::SwapAnew),
            Error::NoComponent { .. } | Error::Altered { .. } => Some(Remedy::SwapAgain),
            Error::NoPolicy => Some(Remedy::TakeBuiltIn),
            _ => None,
        }
    }

    /// Whether the database failed, and not the policy or its clause.
    pub(super) fn is_of_the_database(&self) -> bool {
        match self {
            Error::Store(error) => !matches!(error, store::Error::Scan { .. }),
            _ => false,
        }
    }

    /// Whether this process or its caller gave up before the policy had its say: then no other clause takes its place.
    pub(super) fn is_a_stop(&self) -> bool {
        matches!(self, Error::Policy(error) if error.is_a_stop())
    }

    /// Whether the policy did something that a good one never does, in its call or in its clause.
    pub(super) fn is_a_failure_of_the_policy(&self) -> bool {
        match self {
            Error::Clause(_) | Error::Store(store::Error::Scan { .. }) => true,
            Error::Policy(error) => error.is_of_a_call(),
            _ => false,
        }
    }
}

/// An error and its causes on one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The rules take any name that a clause can hold.
fn how_to_scope(repo: &str) -> String {
    if !repo.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return String::new();
    }
    let rules = serde_json::json!({ "repos": [repo] });
    format!("; name it in the rules instead, as in `--rules '{rules}'`")
}
