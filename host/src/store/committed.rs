//! A committed change that is not acknowledged yet.

use super::Error;

/// A committed change that is not acknowledged yet.
#[must_use = "a change counts only once it is acknowledged"]
pub struct Committed(Box<dyn FnOnce() -> Result<(), Error> + Send>);

impl Committed {
    /// A change that counts once this has succeeded.
    pub(super) fn once(acknowledged: impl FnOnce() -> Result<(), Error> + Send + 'static) -> Self {
        Committed(Box::new(acknowledged))
    }

    /// Waits for the disk, if the change requires it, and checks that the database is still in
    /// place.
    ///
    /// # Errors
    ///
    /// When the disk fails, or the database was replaced, renamed or removed meanwhile. The change
    /// may be lost then.
    pub fn acknowledge(self) -> Result<(), Error> {
        self.0()
    }
}
