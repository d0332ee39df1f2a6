//! What tests of several rooms share. The tests of a room import from here and from their own
//! folder, never from another room's.

pub mod bombs;
pub mod components;
mod devtools;
#[cfg(target_os = "linux")]
pub mod disk;
pub mod endpoint;
pub mod engine;
mod gate;
pub mod hmac;
pub mod hostile;
pub mod look;
pub mod moved_files;
pub mod native;
pub mod own_server;
pub mod programs;
pub mod proposals;
pub mod random;
pub mod random_states;
pub mod redacted;
pub mod service;
pub mod users;
pub mod window;
pub mod worker;

pub use gate::{Gate, Ran, fixtures, path_with_the_binary, token, without_variables};

/// The folder of this project.
pub fn checkout() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
