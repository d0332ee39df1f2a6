//! Whether only trusted users can have written a file.
//!
//! Owns the reading of a file's owner and mode. Leaves to its callers which files matter, and what
//! to say of an unsafe file.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// The bits of a mode that let every user write.
pub const OTHERS: u32 = 0o002;

/// The bits of a mode that let any user but the owner write.
pub const ALL_BUT_THE_OWNER: u32 = 0o022;

/// Why a file is not safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsafe {
    /// It belongs to another user.
    Foreign,
    /// Another user may write to it.
    Writable,
}

/// Checks that a file belongs to this user, to the system's, or to a user who is trusted as well,
/// and that none of these bits of its mode is set.
///
/// # Errors
///
/// With the first condition that fails.
pub fn check(about: &Metadata, trusted: Option<u32>, bits: u32) -> Result<(), Unsafe> {
    let me = rustix::process::geteuid().as_raw();
    let owner = about.uid();
    if ![me, 0].contains(&owner) && trusted != Some(owner) {
        return Err(Unsafe::Foreign);
    }
    if about.mode() & bits != 0 {
        return Err(Unsafe::Writable);
    }
    Ok(())
}
