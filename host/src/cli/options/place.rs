//! Where the queue's database is, as the options say it.
//!
//! Owns which of them counts, and where the password for a server may be. Callers rely on this: a
//! password in a flag is refused, and no error shows one.

use std::path::{Path, PathBuf};

use serial_gate::store::Location;

use super::file::ConfigFile;
use crate::cli::Error;
use crate::cli::variables::variable;

/// The variable that names the database.
const VARIABLE: &str = "SERIAL_GATE_DB";

/// What a configuration file says.
pub struct OfFile<'a> {
    pub db: Option<PathBuf>,
    pub password_file: Option<PathBuf>,
    pub config: Option<&'a ConfigFile>,
}

/// The place that the options name, if they do. `given` is from the flag or the variable.
pub fn chosen(given: Option<PathBuf>, file: OfFile<'_>) -> Result<Option<Location>, Error> {
    let beside = |path: &Path| match file.config {
        Some(config) => config.beside(path),
        None => path.into(),
    };
    let name = file.config.map(|config| config.path.display().to_string());
    let name = name.unwrap_or_default();
    let password_file = file.password_file.map(|path| beside(&path));
    let of_file = match file.db {
        Some(db) => Some(read(db, &format!("`db` in `{name}`"))?.with_paths(beside)),
        None => None,
    };
    let of_file = match (of_file, &password_file) {
        (Some(place), Some(_)) if place.file().is_some() => {
            return Err(Error::new(format!(
                "`{name}` has a `password_file`, and its `db` is a file, which needs no password: \
                 remove one of them"
            )));
        }
        (Some(place), Some(path)) => Some(place.with_password_file(path.clone())),
        (place, _) => place,
    };
    let Some(given) = given else {
        return Ok(of_file);
    };
    let of_variable = variable(VARIABLE).map(PathBuf::from);
    let is_of_variable = of_variable.as_ref() == Some(&given);
    let what = if is_of_variable { VARIABLE } else { "--db" };
    let place = read(given, &format!("`{what}`"))?;
    if place.has_password() {
        return match is_of_variable {
            true => Ok(Some(place)),
            false => Err(Error::new(format!(
                "`--db` has a password, which every user of this machine can see in the list of \
                 processes: leave it out there, and write it into `{VARIABLE}`, or into `db` or \
                 `password_file` of the configuration file, or into the file that `PGPASSFILE` names"
            ))),
        };
    }
    // A proposed command has the address without its password, which is known from elsewhere.
    let of_variable = of_variable.and_then(|text| Location::of(text.as_os_str()).ok());
    let of_variable = of_variable.filter(Location::has_password);
    let mut known = [of_variable, of_file.clone()].into_iter().flatten();
    let same = known.find(|known| known.to_string() == place.to_string());
    let place = same.unwrap_or(place);
    Ok(Some(match (of_file, password_file) {
        // A password is for the address that is next to it.
        (None, Some(path)) => place.with_password_file(path),
        _ => place,
    }))
}

fn read(text: PathBuf, what: &str) -> Result<Location, Error> {
    Location::of(text.as_os_str()).map_err(|cause| {
        Error::because(
            format!("cannot use the address of a database in {what}"),
            cause,
        )
    })
}
