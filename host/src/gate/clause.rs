//! The clause that claims use.
//!
//! Owns its way from a policy's text to what may run: the guard, the renderer, the database's plan.
//! Leaves what happens without one to `fallback`.

use jiff::Timestamp;

use super::Error;
use crate::clause::{self, Agents, Clause, Footprint, Obstacle, Partitions, Rendered};
use crate::model::{Dialect, Settings};
use crate::policy::{self, Policy, texts};
use crate::store::{Scanned, Shaped, Store};

/// Where the current clause comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The kill switch is off: there is no clause.
    Off,
    /// The policy: just now, or it was kept while it is valid.
    Policy,
    /// The policy, the last time that it gave a good one for these settings.
    LastGood,
    /// Built in: holds gated jobs of frozen repos and nothing else.
    FreezeOnly,
}

/// The clause that claims use.
#[derive(Debug, Clone)]
pub struct CurrentClause {
    /// The policy's fragment, as it returned it.
    pub text: String,
    /// The fragment, read and checked.
    pub clause: Clause,
    /// What runs on the database.
    pub rendered: Rendered,
    /// Why a claim costs the same however many jobs are held, or what prevents that.
    pub shape: Result<Partitions, Obstacle>,
    /// What tells `rendered` from every other clause.
    digest: String,
    /// Where it comes from.
    pub source: Source,
    /// Whether it is used because the policy is not signed by a trusted key.
    pub(super) is_for_want_of_trust: bool,
    /// What an operator should know.
    pub notes: Vec<String>,
    /// Since when it holds.
    pub since: Timestamp,
    /// Until when it holds, in seconds since 1970.
    pub valid_until: Option<i64>,
    /// Whether the policy said more than the clause.
    pub(super) has_notes_of_the_policy: bool,
}

/// A dialect, as a policy is told it.
pub fn dialect_of(dialect: clause::Dialect) -> Dialect {
    match dialect {
        clause::Dialect::Sqlite => Dialect::Sqlite,
        clause::Dialect::Postgres => Dialect::Postgres,
    }
}

impl CurrentClause {
    /// Asks the policy. Its text has to pass the guard and the database's plan.
    pub(super) fn of_policy(
        policy: &Policy,
        settings: &Settings,
        store: &mut Store,
        now: Timestamp,
    ) -> Result<CurrentClause, Error> {
        let dialect = dialect_of(store.dialect());
        let answer = texts::fit_notes(policy.claim_clause(settings, now, dialect)?);
        let mut clause = CurrentClause::checked(answer.text, Source::Policy, store, now)?;
        if policy.is_built_in() {
            // The swap has said it, and nobody here can mend it.
            clause.notes.clear();
        }
        clause.has_notes_of_the_policy = !answer.notes.is_empty();
        clause.notes.extend(answer.notes);
        for note in &clause.notes {
            tracing::warn!("{note}");
        }
        clause.valid_until = answer.valid_until;
        Ok(clause)
    }

    /// No clause: the kill switch is off.
    pub(super) fn off(store: &mut Store, now: Timestamp) -> Result<CurrentClause, Error> {
        CurrentClause::checked(String::new(), Source::Off, store, now)
    }

    pub(super) fn checked(
        text: String,
        source: Source,
        store: &mut Store,
        now: Timestamp,
    ) -> Result<CurrentClause, Error> {
        let clause = Clause::accept(&text)?;
        let rendered = clause.render(store.dialect());
        store.check_clause(&rendered)?;
        let shape = clause.partitions();
        // The obstacle is for the policy's author, and long: only those who ask for it see it.
        let is_slow = |_: &Obstacle| "claims are slow while thousands of jobs are held: `serial-gate doctor` says why";
        Ok(CurrentClause {
            text,
            clause,
            digest: policy::digest(rendered.as_str().as_bytes()),
            rendered,
            source,
            is_for_want_of_trust: false,
            notes: (shape.as_ref().err().map(is_slow).map(Into::into))
                .into_iter()
                .collect(),
            shape,
            since: now,
            valid_until: None,
            has_notes_of_the_policy: false,
        })
    }

    /// How the heads are found. None where there is no index of heads: because the clause has no
    /// shape, or because it holds no job and the first one may always be claimed.
    pub(crate) fn shaped(&self) -> Option<Shaped<'_>> {
        let shape = self.shape.as_ref().ok()?;
        (!shape.gated.are_none()).then_some(Shaped {
            clause: &self.rendered,
            digest: &self.digest,
            gated: &shape.gated,
            reads: &shape.reads,
        })
    }

    /// How a job is found by one queued job after another.
    pub(crate) fn scanned<'a>(&'a self, gated: &'a Agents) -> Scanned<'a> {
        Scanned {
            clause: &self.rendered,
            digest: &self.digest,
            gated,
            reads_own_repo_only: self.clause.reads_own_repo_only(),
        }
    }

    /// The rows that can matter to the policy. The built-in clause says nothing about those of the
    /// policy that failed.
    pub(crate) fn footprint(&self) -> Footprint {
        match self.source {
            Source::FreezeOnly => Footprint::of_every_clause(),
            Source::Off | Source::Policy | Source::LastGood => self.clause.footprint(),
        }
    }

    /// Whether it holds at a moment. If the clock went back, a clause that depends on the time is
    /// not used for moments before it was asked for.
    pub(super) fn holds_at(&self, now: Timestamp) -> bool {
        self.valid_until
            .is_none_or(|until| self.since <= now && now.as_second() < until)
    }
}
