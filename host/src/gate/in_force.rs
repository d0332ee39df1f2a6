//! Whether the rule that claims use here is the active generation's.
//!
//! Owns the answer, from what the gate already knows: it reads nothing, so it can be asked at any
//! time. Leaves the changes to `reload` and `fallback`. Callers rely on this: while the next
//! generation is being loaded, the one before it counts as in force.

use super::clause::Source;
use super::{Gate, Rule};

/// Why the rule in force is not the active generation's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotInForce {
    /// No generation is active.
    #[error("no policy is active: swap one in, such as the built-in policy")]
    NoneActive,
    /// The active generation could not be loaded here.
    #[error(
        "generation {active} of the policy cannot be loaded here, and claims use generation \
         {in_use}: swap in a good one, or roll back"
    )]
    NotLoaded {
        /// The active generation.
        active: i64,
        /// The generation in use instead.
        in_use: i64,
    },
    /// The active generation is not signed by a key that is trusted here.
    #[error(
        "generation {active} of the policy is not trusted here, and claims use generation \
         {in_use}, which is: sign its component with a trusted key, or roll back"
    )]
    NotTrusted {
        /// The active generation.
        active: i64,
        /// The newest one before it that is trusted.
        in_use: i64,
    },
    /// The same, and neither was any generation before it.
    #[error(
        "generation {active} of the policy is not trusted here, and claims use no policy: frozen \
         repos stay closed, and the order of tasks is not kept. Sign its component with a trusted \
         key, or swap in a trusted policy, such as `built-in`"
    )]
    NoneTrusted {
        /// The active generation.
        active: i64,
    },
    /// The policy gives no clause that may run, and its last good one is in use.
    #[error(
        "the policy gives no usable clause, and claims use its last good one: look at the notes of \
         the queue, and swap in a good policy or roll back"
    )]
    LastGood,
    /// The policy gives no clause that may run, and only frozen repos are held.
    #[error(
        "the policy gives no usable clause, and the order of tasks is not kept: look at the notes \
         of the queue, and swap in a good policy or roll back"
    )]
    FreezeOnly,
}

impl Gate {
    /// Why the rule in force is not the active generation's; none if it is, or if no clause was
    /// asked for yet.
    pub fn not_in_force(&self) -> Option<NotInForce> {
        if let Rule::Active(_) = self.rule {
            if self.reload.none_is_active {
                return Some(NotInForce::NoneActive);
            }
            if let Some(active) = self.reload.not_loaded {
                let in_use = self.in_use.id().unwrap_or_default();
                return Some(match self.reload.not_trusted {
                    true => NotInForce::NotTrusted { active, in_use },
                    false => NotInForce::NotLoaded { active, in_use },
                });
            }
        }
        let clause = &self.current.as_ref()?.clause;
        if clause.is_for_want_of_trust {
            let active = self.in_use.id().unwrap_or_default();
            return Some(NotInForce::NoneTrusted { active });
        }
        match clause.source {
            Source::LastGood => Some(NotInForce::LastGood),
            Source::FreezeOnly => Some(NotInForce::FreezeOnly),
            Source::Off | Source::Policy => None,
        }
    }
}
