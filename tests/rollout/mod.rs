//! How the policy of a queue changes: swaps, rollbacks, signatures, and what is tried before it
//! counts.

mod generations;
mod signatures;
mod swapping;
mod trials;
