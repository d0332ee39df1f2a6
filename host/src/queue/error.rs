//! What can go wrong with a queue: its gate, or the request.

use super::named::{KnownTask, choices};
use super::nearest::{did_you_mean, named};
use crate::remedy::Remedy;
use crate::store::TaskRow;
use crate::{gate, policy, store};

/// A request that failed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The gate: the database, the policy or its clause.
    #[error(transparent)]
    Gate(#[from] gate::Error),
    /// A freeze would hold nothing, so it is not written.
    #[error(
        "freezes are switched off{}, so nothing was written",
        if *here { " by this process's own settings" } else { "" }
    )]
    FreezeOff {
        /// Whether this process's own settings switch it off.
        here: bool,
    },
    /// The agent cannot be in a pipeline.
    #[error(
        "`{}` cannot be an agent of a pipeline, so nothing was changed: write its name without \
         spaces, commas and `=`, and separate stages by spaces",
        agent.escape_debug()
    )]
    AgentInPipeline {
        /// The agent.
        agent: String,
    },
    /// The stage cannot be in a pipeline.
    #[error(
        "`{}` cannot be a stage of this pipeline: it {why}, so nothing was changed",
        stage.escape_debug()
    )]
    NotInPipeline {
        /// The stage.
        stage: String,
        /// Why, such as "is named twice".
        why: &'static str,
    },
    /// The repo is unknown.
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
    /// There is no repo to freeze.
    #[error("no repo is known, so nothing was frozen")]
    NothingToFreeze,
    /// No task has this work item.
    #[error(
        "no task has the work item `{}`{}",
        name.escape_debug(), did_you_mean(near)
    )]
    NoTaskNamed {
        /// The work item.
        name: String,
        /// The nearest ones.
        near: Vec<String>,
    },
    /// No task has this id, but one has it as its work item.
    #[error("there is no task {id}: for the work item, write `item:{id}`")]
    NoTaskButItem {
        /// The id.
        id: i64,
    },
    /// Several tasks have this work item.
    #[error("{}", choices(name, tasks))]
    SeveralTasks {
        /// The work item.
        name: String,
        /// The tasks, or some more than are listed.
        tasks: Vec<TaskRow>,
    },
    /// The task has no job.
    #[error("{} has no job", task.in_words(&|name| name.escape_debug().to_string()))]
    NoJobOf {
        /// The task.
        task: KnownTask,
    },
    /// The scope would drop this name, and be wider than was meant.
    #[error(
        "`{}` cannot be in `repos`, where a name has letters, digits, `.`, `_` and `-`, so \
         nothing was changed{}",
        repo.escape_debug(), did_you_mean(near)
    )]
    NotInScope {
        /// The name.
        repo: String,
        /// The known repos that are nearest.
        near: Vec<String>,
    },
    /// The scope would name no repo, and be all of them.
    #[error(
        "`{}` names no repo, and `repos` would be all of them, so nothing was changed: an empty \
         text says that",
        repos.escape_debug()
    )]
    NoNameInScope {
        /// The setting.
        repos: String,
    },
    /// The setting `repos` and the rules have no repo in common.
    #[error(
        "`repos` ({}) and `repos` in the rules ({}) have no repo in common, and the gate would \
         act nowhere, so nothing was changed",
        named(repos, ", "),
        named(rules, ", ")
    )]
    NothingInScope {
        /// The names in the setting.
        repos: Vec<String>,
        /// Those in the rules.
        rules: Vec<String>,
    },
}

impl Error {
    /// What to do about it, where a command or a route does that.
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Error::Gate(error) => error.remedy(),
            Error::FreezeOff { here: false } => Some(Remedy::SwitchFreezesOn),
            Error::FreezeOff { here: true } => Some(Remedy::DropFreezeOverride),
            Error::NotInScope { repo, .. } => rules_with(repo).map(Remedy::NameInRules),
            Error::NoTaskNamed { .. } => Some(Remedy::ListTasks),
            _ => None,
        }
    }

    /// Whether a claim is no longer good: its worker has to drop the work.
    pub fn is_about_the_claim(&self) -> bool {
        matches!(self, Error::Gate(gate::Error::Store(error)) if error.is_about_the_claim())
    }

    /// How the job had ended before, if it has ended differently.
    pub fn ended_as(&self) -> Option<&str> {
        match self {
            Error::Gate(gate::Error::Store(store::Error::Ended { outcome, .. })) => Some(outcome),
            _ => None,
        }
    }

    /// Whether the database failed, and not the policy or its clause.
    pub(super) fn is_of_the_database(&self) -> bool {
        matches!(self, Error::Gate(error) if error.is_of_the_database())
    }

    /// Whether other programs write what the request needs, and it may succeed when they are done.
    pub fn is_busy(&self) -> bool {
        let Error::Gate(gate::Error::Store(error)) = self else {
            return false;
        };
        matches!(error.problem(), Some(store::Problem::Busy(_)))
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        Error::Gate(error.into())
    }
}

impl From<policy::Error> for Error {
    fn from(error: policy::Error) -> Error {
        Error::Gate(error.into())
    }
}

/// Rules that name a repo; none for a name that a clause cannot hold.
fn rules_with(repo: &str) -> Option<String> {
    let is_plain = repo.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    is_plain.then(|| serde_json::json!({ "repos": [repo] }).to_string())
}
