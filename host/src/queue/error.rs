//! What can go wrong with a queue: its database, its policy, or the request.

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
    #[error(
        "the freeze layer is off, nothing was written: switch it on with `--freeze-enabled true`"
    )]
    FreezeOff,
}

impl Error {
    /// Whether the database failed, and not the policy or its clause.
    pub(super) fn is_of_the_database(&self) -> bool {
        match self {
            Error::Store(error) => !matches!(error, store::Error::Scan { .. }),
            Error::Policy(_) | Error::Clause(_) | Error::FreezeOff => false,
        }
    }
}

/// An error and its causes on one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
