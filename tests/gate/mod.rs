//! Which clause holds now, and what holds when the policy fails.

mod clause_version;
mod failure;
mod kept_clause;
mod trusted_fallbacks;
