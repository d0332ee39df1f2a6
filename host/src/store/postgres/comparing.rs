//! Whether the heads are those of the clause.
//!
//! Owns the comparison, repo by repo: a repo is evaluated anew under its lock, and what that changes
//! was wrong. A repo whose lock is not free is left for the next time. Callers rely on this: every
//! difference is counted and logged, and after a comparison the compared heads are right.

use std::collections::BTreeMap;

use super::claiming::with_heads;
use super::engine::Postgres;
use super::heads;
use super::locks::{Locks, key};
use super::tx::Session;
use crate::store::engine::{Row, Tx, values};
use crate::store::job::IS_QUEUED;
use crate::store::raw::Raw;
use crate::store::{Compared, Difference, Error, Place, Shaped};

/// The heads of a repo, by agent.
type Heads = BTreeMap<Option<String>, i64>;

impl Postgres {
    /// Compares up to `limit` repos, from a place or from the first, and repairs what differs.
    pub(crate) fn compare_heads(
        &mut self,
        shaped: Shaped<'_>,
        from: Option<Place>,
        limit: usize,
    ) -> Result<Compared, Error> {
        let mut compared = Compared::default();
        let Some(index) = self.known_index(shaped)? else {
            return Ok(compared);
        };
        let schema = self.schema()?;
        let mut next = Some(from.map_or(Raw::Null, |Place(repo)| repo));
        for _ in 0..limit {
            let Some(repo) = next else { break };
            compared.repos += usize::from(repo != Raw::Null);
            let settle = with_heads(shaped, &schema, index).call("settle");
            let differences =
                self.write(|session| compare(session, &schema, &settle, index, &repo))?;
            for difference in &differences {
                tracing::error!("{}", difference.in_words());
            }
            compared.differences.extend(differences);
            next = self.read(|session| next_repo(session, index, &repo))?;
        }
        compared.next = next.map(Place);
        Ok(compared)
    }

    /// How often heads were wrong since the index of a clause was created.
    pub(crate) fn differences(&mut self, shaped: Shaped<'_>) -> Result<i64, Error> {
        let sql = "SELECT coalesce(sum(differences), 0)::bigint FROM serial_gate_index
            WHERE clause = $1";
        self.read(|session| {
            let tx: &dyn Tx = session;
            tx.only(sql, values![shaped.digest], |row| row.get(0))
        })
    }

    /// Evaluates the repos of jobs that the clause lets through but the index lacks.
    pub(crate) fn doubt_heads(
        &mut self,
        shaped: Shaped<'_>,
        claimable: &[i64],
    ) -> Result<(), Error> {
        let Some(index) = self.known_index(shaped)? else {
            return Ok(());
        };
        let is_gated = shaped.gated.named(crate::clause::Dialect::Postgres);
        let sql = format!(
            "SELECT DISTINCT jobs.repo FROM json_array_elements_text(CAST($1 AS json)) AS named (id)
                JOIN jobs ON jobs.id = named.id::bigint
             WHERE jobs.{IS_QUEUED} AND {is_gated}
                AND NOT EXISTS (SELECT 1 FROM serial_gate_partition p
                    WHERE p.idx = $2 AND p.no_repo = (jobs.repo IS NULL)
                    AND p.repo = coalesce(jobs.repo, '') COLLATE \"C\"
                    AND p.agent IS NOT DISTINCT FROM jobs.agent COLLATE \"C\"
                    AND p.job <= jobs.id)"
        );
        let named = serde_json::json!(claimable).to_string();
        let doubted: Vec<Raw> = self.read(|session| {
            let tx: &dyn Tx = session;
            tx.rows(&sql, values![named, index], |row| row.get(0))
        })?;
        let schema = self.schema()?;
        let settle = with_heads(shaped, &schema, index).call("settle");
        for repo in doubted {
            let found = self.write(|session| compare(session, &schema, &settle, index, &repo))?;
            for difference in found {
                tracing::error!("{}", difference.in_words());
            }
        }
        Ok(())
    }

    /// A host of many claims knows itself how far it has compared.
    #[expect(clippy::unnecessary_wraps, reason = "the other engine can fail")]
    pub(crate) fn compared_to(&self, _: Shaped<'_>) -> Result<Option<Place>, Error> {
        Ok(None)
    }

    /// The same.
    pub(crate) fn compared_as_far_as(&self, _: Shaped<'_>, _: Option<&Place>) {}

    fn known_index(&mut self, shaped: Shaped<'_>) -> Result<Option<i64>, Error> {
        self.read(|session| {
            let tx: &dyn Tx = session;
            tx.row(heads::KNOWN, values![shaped.digest], |row| row.get(0))
        })
    }
}

/// Evaluates a repo anew, and says what was wrong. What is marked or dirty is not known, and so not
/// wrong.
fn compare(
    session: &Session<'_>,
    schema: &str,
    settle: &str,
    index: i64,
    repo: &Raw,
) -> Result<Vec<Difference>, Error> {
    let tx: &dyn Tx = session;
    let lock = format!("SELECT {}", Locks::of(schema).try_take(key("$1::text")));
    if !tx.only(&lock, values![repo], |row| row.get::<bool>(0))? {
        return Ok(Vec::new());
    }
    let is_unknown = "SELECT 1 FROM serial_gate_mark m
            WHERE m.no_repo = ($1::text IS NULL) AND m.repo = coalesce($1, '')
         UNION ALL SELECT 1 FROM serial_gate_dirty d WHERE d.idx = $2
            AND d.no_repo = ($1::text IS NULL) AND d.repo = coalesce($1, '')";
    let is_unknown = tx.exists(is_unknown, values![repo, index])?;
    let before = heads_of(tx, index, repo)?;
    tx.exists(&format!("SELECT {settle}($1::text)"), values![repo])?;
    let after = heads_of(tx, index, repo)?;
    if is_unknown || before == after {
        return Ok(Vec::new());
    }
    let agents = before
        .keys()
        .chain(after.keys().filter(|agent| !before.contains_key(*agent)));
    let differences: Vec<Difference> = agents
        .map(|agent| Difference {
            repo: repo.shown(),
            agent: agent.clone(),
            candidate: before.get(agent).copied(),
            first: after.get(agent).copied(),
        })
        .filter(|difference| difference.candidate != difference.first)
        .collect();
    tx.execute(
        "UPDATE serial_gate_index SET differences = differences + $2 WHERE id = $1",
        values![index, differences.len()],
    )?;
    Ok(differences)
}

fn heads_of(tx: &dyn Tx, index: i64, repo: &Raw) -> Result<Heads, Error> {
    let sql = "SELECT p.agent, p.job FROM serial_gate_partition p WHERE p.idx = $1
        AND p.no_repo = ($2::text IS NULL) AND p.repo = coalesce($2, '')";
    let read = |row: Row<'_>| Ok((row.shown(0)?, row.get(1)?));
    Ok(tx
        .rows(sql, values![index, repo], read)?
        .into_iter()
        .collect())
}

/// The repo after another among those with a queued job, in the order of an index. The nameless repo
/// is the first. After all of them come those that have only heads, which a comparison removes.
fn next_repo(session: &Session<'_>, index: i64, after: &Raw) -> Result<Option<Raw>, Error> {
    let tx: &dyn Tx = session;
    let next = |is_later: &str| {
        format!(
            "SELECT j.repo FROM jobs j WHERE j.{IS_QUEUED} AND {is_later} ORDER BY j.repo LIMIT 1"
        )
    };
    let read = |row: Row<'_>| row.get::<Raw>(0);
    let queued = match after {
        Raw::Null => tx.row(&next("j.repo IS NOT NULL"), &[], read)?,
        after => tx.row(&next("j.repo > $1"), values![after], read)?,
    };
    if queued.is_some() {
        return Ok(queued);
    }
    // A text from JSON has no collation that could differ from the column's.
    let left = format!(
        "SELECT p.repo FROM serial_gate_partition p WHERE p.idx = $1 AND NOT p.no_repo
            AND p.repo IS DISTINCT FROM $2 AND NOT EXISTS (
                SELECT 1 FROM jobs j WHERE j.{IS_QUEUED}
                    AND j.repo = (to_json(p.repo) #>> '{{}}')) LIMIT 1"
    );
    tx.row(&left, values![index, after], read)
}
