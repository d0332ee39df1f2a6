//! The jobs that ended in a span of time.
//!
//! Owns the read of one repo's, which is a part of one index, and that of all repos, which goes from
//! one repo to the next in the same index. Callers rely on this: the last ones are read, up to a
//! limit; and an unreadable time is left out. A job that another program ended with its own SQL has no
//! recorded end, and is not among them.

use jiff::Timestamp;

use crate::store::engine::{Row, ToValue, Tx, Value};
use crate::store::indexes::ENDED;
use crate::store::job::JobState;
use crate::store::{Error, Store, sql_time};

/// How many jobs that ended are read. All of them are in memory at once.
const MOST_ENDED: usize = 250_000;

/// A job in a span, as far as its own columns tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PastJob {
    pub id: i64,
    pub created_at: Option<Timestamp>,
    /// When its last attempt began, if its columns tell of one.
    pub claimed_at: Option<Timestamp>,
    /// When it ended, or its lease will; none for a job that waits.
    pub until: Option<Timestamp>,
    /// None for another program's status.
    pub state: Option<JobState>,
}

impl Store {
    /// The jobs that ended from the first of these times on, of a repo or of all. If there are too
    /// many, those from a later one of the times on, and true. A cancelled job may have the time of
    /// an earlier attempt.
    pub(crate) fn ended_jobs(
        &mut self,
        begins: &[Timestamp],
        repo: Option<&str>,
    ) -> Result<(Vec<PastJob>, bool), Error> {
        self.ended(begins, repo, IN_THE_INDEX)
    }

    /// The same of a repo, without such times.
    pub(crate) fn ended_jobs_of(
        &mut self,
        begins: &[Timestamp],
        repo: &str,
    ) -> Result<(Vec<PastJob>, bool), Error> {
        self.ended(begins, Some(repo), OF_ITS_LAST_WORKER)
    }

    fn ended(
        &mut self,
        begins: &[Timestamp],
        repo: Option<&str>,
        columns: &str,
    ) -> Result<(Vec<PastJob>, bool), Error> {
        self.read(|tx| {
            let counted = ended(tx, repo.is_some(), "1");
            let counted = format!("SELECT count(*) FROM ({counted}) AS counted");
            let are_too_many = |begin: &Timestamp| {
                let count = tx.only(&counted, &from(&sql_time(*begin), &repo), |row| row.get(0));
                count.map(|count: usize| count > MOST_ENDED)
            };
            let first = match begins.first().map(are_too_many).transpose()? {
                Some(true) => {
                    let mut failed = Ok(());
                    let first = begins.partition_point(|begin| {
                        are_too_many(begin).unwrap_or_else(|error| {
                            failed = Err(error);
                            false
                        })
                    });
                    failed?;
                    first.min(begins.len().saturating_sub(1))
                }
                _ => 0,
            };
            let Some(begin) = begins.get(first) else {
                return Ok((Vec::new(), false));
            };
            let listed = ended(tx, repo.is_some(), columns);
            let mut jobs = tx.rows(&listed, &from(&sql_time(*begin), &repo), past_job_at)?;
            let is_cut = first > 0 || jobs.len() > MOST_ENDED;
            jobs.truncate(MOST_ENDED);
            Ok((jobs, is_cut))
        })
    }
}

/// Every query, for a check of their plans.
pub(crate) fn queries(tx: &dyn Tx) -> Vec<String> {
    vec![
        ended(tx, true, IN_THE_INDEX),
        ended(tx, true, OF_ITS_LAST_WORKER),
        ended(tx, true, "1"),
        ended(tx, false, IN_THE_INDEX),
        ended(tx, false, "1"),
    ]
}

/// The columns of [`past_job_at`], all of them in the index.
const IN_THE_INDEX: &str =
    "jobs.id, jobs.created_at, jobs.gate_claimed_at, jobs.gate_ended_at, jobs.status";

/// The same. A job that was cancelled while it waited had no worker then; the time of its last claim
/// is that of an earlier attempt.
const OF_ITS_LAST_WORKER: &str = "jobs.id, jobs.created_at,
    CASE WHEN jobs.status != 'cancelled' OR jobs.gate_worker IS NOT NULL
        THEN jobs.gate_claimed_at END,
    jobs.gate_ended_at, jobs.status";

/// The jobs that ended from a time on: of a repo, or of all from one repo to the next in the index.
fn ended(tx: &dyn Tx, is_of_repo: bool, columns: &str) -> String {
    let (by_index, then) = (tx.by_index(ENDED), tx.then_join());
    let limit = MOST_ENDED.saturating_add(1);
    if is_of_repo {
        return format!(
            "SELECT {columns} FROM jobs {by_index}
             WHERE jobs.repo = $2 AND jobs.gate_ended_at >= $1 LIMIT {limit}"
        );
    }
    // In the order of this index, so that PostgreSQL takes no other one.
    let next = |which: &str| {
        format!(
            "(SELECT repo FROM jobs {by_index} WHERE gate_ended_at IS NOT NULL AND repo {which}
                ORDER BY repo, gate_ended_at LIMIT 1)"
        )
    };
    let (first, next) = (next("IS NOT NULL"), next("> found.repo"));
    format!(
        "WITH RECURSIVE found (repo) AS (
            SELECT {first}
            UNION ALL
            SELECT {next} FROM found WHERE found.repo IS NOT NULL
         )
         SELECT {columns} FROM found {then} jobs {by_index} ON jobs.repo = found.repo
            AND jobs.gate_ended_at >= $1
         UNION ALL
         SELECT {columns} FROM jobs {by_index}
         WHERE jobs.repo IS NULL AND jobs.gate_ended_at >= $1 LIMIT {limit}"
    )
}

/// The values of [`ended`].
fn from<'a>(begin: &'a String, repo: &'a Option<&str>) -> Vec<Value<'a>> {
    let begin = [begin.to_value()].into_iter();
    begin.chain(repo.as_ref().map(ToValue::to_value)).collect()
}

/// A job, from its id, the times of its begin, of its last claim and of its end, and its status.
pub(super) fn past_job_at(row: Row<'_>) -> Result<PastJob, Error> {
    Ok(PastJob {
        id: row.get(0)?,
        created_at: row.time(1)?,
        claimed_at: row.time(2)?,
        until: row.time(3)?,
        state: JobState::of(row.shown(4)?.as_deref()),
    })
}
