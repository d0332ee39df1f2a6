//! New files: an existing file is never overwritten.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::cli::Error;

/// The usual mode of a file, before the user's mask.
pub const USUAL: u32 = 0o666;

/// Writes a file that does not exist yet.
pub fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .map_err(|cause| match cause.kind() {
            ErrorKind::AlreadyExists => Error::new(format!(
                "`{}` exists and is not replaced: give another name, or move it away",
                path.display()
            )),
            _ => Error::write(path)(cause),
        })
}
