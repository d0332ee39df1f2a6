//! A policy's rollout: from a file to the active generation, and back.
//!
//! Owns the order of the steps. Leaves each step to a lower room: `conform` checks, `store` writes,
//! `gate` reloads. Callers rely on this: whatever fails, and whenever the process is killed, one
//! generation is active and whole, and it is the old one or the new one.

mod compare;
mod error;
mod replay;
mod swap;

pub use compare::{Changed, Compared, compare};
pub use error::Error;
pub use replay::{Differing, Replayed, replay};
pub use swap::{Place, Proposal, Swapped, promote, roll_back, swap};
