//! What tests of more than one room use. A room imports from here and from itself, never from
//! another room.

pub mod bombs;
pub mod components;
#[cfg(target_os = "linux")]
pub mod disk;
pub mod endpoint;
mod gate;
pub mod hostile;
pub mod look;
pub mod moved_files;
pub mod native;
pub mod programs;
pub mod proposals;
pub mod random;
pub mod random_states;
pub mod redacted;
pub mod service;
pub mod users;
pub mod window;
pub mod worker;

pub use gate::{Gate, Ran, fixtures, token};
