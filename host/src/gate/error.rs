//! What can go wrong between a policy and the clause that claims use.

use crate::remedy::Remedy;
use crate::{clause, policy, store};

/// A question that the gate cannot answer.
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
    /// The text in the database is not what was written there.
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
    /// A component has changed since it was checked.
    #[error("the component `{digest}` was altered in the database")]
    Altered {
        /// The digest that it should have.
        digest: String,
    },
    /// There is no active generation.
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
            Error::Unreadable { .. } => Some(Remedy::SwapAnew),
            Error::NoComponent { .. } | Error::Altered { .. } => Some(Remedy::SwapAgain),
            Error::NoPolicy => Some(Remedy::TakeBuiltIn),
            _ => None,
        }
    }

    /// Whether the database failed, and not the policy or its clause.
    pub(crate) fn is_of_the_database(&self) -> bool {
        match self {
            Error::Store(error) => !matches!(error, store::Error::Scan { .. }),
            _ => false,
        }
    }

    /// Whether another clause takes the place of the policy's: not where the database failed, and
    /// not where this process or its caller gave up before the policy had its say.
    pub(super) fn calls_for_a_fallback(&self) -> bool {
        let is_a_stop = matches!(self, Error::Policy(error) if error.is_a_stop());
        !self.is_of_the_database() && !is_a_stop
    }

    /// Whether the policy did something that a good one never does, in its call or in its clause.
    pub(super) fn is_a_failure_of_the_policy(&self) -> bool {
        match self {
            Error::Clause(_) | Error::Store(store::Error::Scan { .. }) => true,
            Error::Policy(error) => error.is_of_a_call(),
            _ => false,
        }
    }

    /// Whether the policy is not signed by a trusted key.
    pub(super) fn is_of_trust(&self) -> bool {
        matches!(self, Error::Policy(policy::Error::Distrusted(_)))
    }

    /// Whether the policy may have an answer to another state.
    pub(super) fn may_be_of_a_state(&self) -> bool {
        match self {
            Error::Policy(policy::Error::Answered { what, .. }) => *what == "snapshot",
            Error::Policy(error) => error.is_of_a_call(),
            _ => false,
        }
    }
}
