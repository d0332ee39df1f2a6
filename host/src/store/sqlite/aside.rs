//! Repos that a claim skips, because the database refuses the claim of their first job.
//!
//! Owns which errors are about one job only, how many repos are skipped, and the log line about it.
//! Callers rely on this: a row that the orchestrator's rules refuse does not stop the work of other
//! repos, and costs nothing until there is one.

use rusqlite::{ErrorCode, OptionalExtension};

use super::engine::Sqlite;
use super::error::code;
use crate::store::Error;
use crate::store::raw::Raw;

/// More repos than this are no accident, and would slow other claims.
const MOST: usize = 16;

/// The repos that a claim has skipped so far.
#[derive(Default)]
pub(crate) struct Aside {
    repos: Vec<Raw>,
    first: Option<(i64, Error)>,
}

impl Aside {
    pub(crate) fn repos(&self) -> &[Raw] {
        &self.repos
    }

    /// Skips the repo of a job whose claim was refused. Returns the error if it is about more than
    /// the job, or if the claim cannot continue.
    pub(crate) fn put(
        &mut self,
        engine: &mut Sqlite,
        job: Option<i64>,
        error: Error,
    ) -> Result<(), Error> {
        let Some(job) = job.filter(|_| is_of_the_row(&error) && !engine.group_is_broken()) else {
            return Err(error);
        };
        if self.repos.len() >= MOST {
            return Err(self.refusal().unwrap_or(error));
        }
        let repo = engine.read(|connection| {
            let mut query = connection.prepare_cached("SELECT repo FROM jobs WHERE id = ?1")?;
            Ok(query.query_row([job], |row| row.get(0)).optional()?)
        })?;
        // The job may be gone.
        let Some(repo) = repo else {
            return Err(error);
        };
        if self.repos.contains(&repo) {
            return Err(error);
        }
        self.repos.push(repo);
        self.first.get_or_insert((job, error));
        Ok(())
    }

    /// The refusal, if no other job was claimed.
    pub(crate) fn refusal(&mut self) -> Option<Error> {
        self.first.take().map(|(_, error)| error)
    }

    /// Logs which repos were skipped, once another job was claimed.
    pub(crate) fn tell(&self) {
        if let Some((job, error)) = &self.first {
            let repos = self.repos.len();
            tracing::warn!(
                "the claim of job {job} was refused, and {} passed over for now: {}",
                if repos == 1 {
                    "its repo is".into()
                } else {
                    format!("{repos} repos are")
                },
                with_cause(error)
            );
        }
    }
}

fn with_cause(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Whether a constraint or a trigger of the orchestrator refused this row.
fn is_of_the_row(error: &Error) -> bool {
    matches!(error, Error::Undone { .. })
        || matches!(
            code(error),
            Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch)
        )
}
