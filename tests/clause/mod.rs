//! The guard of the clause: what it refuses, what it accepts, and that what it prints means the
//! same.

mod component;
mod cost;
mod footprint;
mod fuzz;
mod refusals;
mod renderings;
pub mod states;
mod trees;
