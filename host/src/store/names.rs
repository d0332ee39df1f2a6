//! Which names and texts are refused before they are written.
//!
//! Leaves what another program has written as it is: that may be anything.

use super::Error;

/// A stage is a word or two in a table.
const LONGEST_STAGE: usize = 200;

/// Refuses a text that no command can be given.
pub(super) fn without_nul(what: &'static str, text: &str) -> Result<(), Error> {
    if text.contains('\0') {
        Err(Error::Nul { what })
    } else {
        Ok(())
    }
}

/// Refuses a name that is empty, or that no environment variable can hold.
pub(crate) fn check_name(what: &'static str, name: &str) -> Result<(), Error> {
    not_empty(what, name)?;
    without_nul(what, name)
}

/// Refuses a stage that no command can be given, or that no line can show.
pub(crate) fn check_stage(stage: &str) -> Result<(), Error> {
    check_name("stage", stage)?;
    if stage.chars().count() > LONGEST_STAGE {
        return Err(Error::Long {
            what: "stage",
            most: LONGEST_STAGE,
        });
    }
    Ok(())
}

/// Refuses a name that is empty.
pub(super) fn not_empty(what: &'static str, name: &str) -> Result<(), Error> {
    if name.is_empty() {
        Err(Error::Empty { what })
    } else {
        Ok(())
    }
}
