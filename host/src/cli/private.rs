//! Protection of this process's secrets.
//!
//! Memory and environment may contain the secrets of the alerts. Callers rely on this: no other
//! program of the same user, such as a command that `work` runs, can read them, and a crash leaves
//! no copy of them on the disk.

use std::io;

/// Closes this process to other programs of its user. The superuser can still look into it.
#[cfg(target_os = "linux")]
pub fn close() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Other systems show a process's environment to its user, and have no such switch.
#[cfg(not(target_os = "linux"))]
pub fn close() -> io::Result<()> {
    Ok(())
}
