//! Jobs that a claim skips, because the database refuses their claim.
//!
//! Owns which errors are about one job only, how many jobs are skipped, and the log line about it.
//! An error of the server does not say which job it is about, so the claim is asked for once more in
//! a way that does (`functions`). Callers rely on this: a row that the orchestrator's rules refuse
//! does not stop the work of other repos, and costs nothing until there is one.

use postgres::error::{DbError, Severity};

use super::error::reason;
use super::functions::{REFUSED, UNDONE};
use crate::error::with_causes;
use crate::store::Error;
use crate::store::records::jobs::undone;

/// More jobs than this are no accident, and would slow other claims.
const MOST: usize = 16;

/// The jobs that a claim has skipped so far.
#[derive(Default)]
pub(super) struct Aside {
    /// The last of them. Claims go from lower to higher ids.
    pub last: Option<i64>,
    /// Whether a claim says which job is refused.
    pub is_named: bool,
    skipped: usize,
    first: Option<(Option<i64>, Error)>,
}

impl Aside {
    /// Skips the job whose claim was refused, or has it named first. Returns the error if it is
    /// about more than a job, or if the claim cannot continue.
    pub(super) fn put(&mut self, error: Error) -> Result<(), Error> {
        if !is_of_a_row(&error) {
            return Err(error);
        }
        match job_of(&error) {
            Some(_) if self.skipped == MOST => return Err(self.refusal().unwrap_or(error)),
            Some(job) => {
                self.skipped += 1;
                self.last = self.last.max(Some(job));
                match &mut self.first {
                    Some((of, _)) => _ = of.get_or_insert(job),
                    None => self.first = Some((Some(job), own(error))),
                }
            }
            None if self.is_named => return Err(self.refusal().unwrap_or(error)),
            None => {
                self.is_named = true;
                self.first.get_or_insert((None, error));
            }
        }
        Ok(())
    }

    /// The refusal, if no other job was claimed.
    pub(super) fn refusal(&mut self) -> Option<Error> {
        self.first.take().map(|(_, error)| error)
    }

    /// Logs which jobs were skipped, once another one was claimed.
    pub(super) fn tell(&self) {
        if let Some((Some(job), error)) = &self.first {
            let skipped = match self.skipped {
                1 => "it is".into(),
                jobs => format!("{jobs} jobs are"),
            };
            tracing::warn!(
                "the claim of job {job} was refused, and {skipped} passed over for now: {}",
                with_causes(error)
            );
        }
    }
}

/// Whether a constraint or a trigger of the orchestrator refused a row: bad data, a broken
/// constraint, an exception of a function, a view's check, or one of the gate's own codes.
fn is_of_a_row(error: &Error) -> bool {
    let said = said(error).filter(|said| said.parsed_severity() == Some(Severity::Error));
    said.is_some_and(|said| {
        let code = said.code().code();
        let classes = ["22", "23", "44", "P0"];
        code == UNDONE || code == REFUSED || classes.iter().any(|class| code.starts_with(class))
    })
}

/// The job that an error is about, if it says so.
fn job_of(error: &Error) -> Option<i64> {
    let said = said(error)?;
    let is_named = [UNDONE, REFUSED].contains(&said.code().code());
    said.detail().filter(|_| is_named)?.parse().ok()
}

/// A trigger of the orchestrator may have undone the claim.
fn own(error: Error) -> Error {
    match said(&error) {
        Some(said) if said.code().code() == UNDONE => undone(job_of(&error).unwrap_or_default()),
        _ => error,
    }
}

fn said(error: &Error) -> Option<&DbError> {
    reason(error).and_then(postgres::Error::as_db_error)
}
