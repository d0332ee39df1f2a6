//! The claim as one function in the server, for one clause.
//!
//! Owns what its two ways have in common: first the tables, then a repo's lock, and only then the
//! clause, in the next statement, which sees what was committed before the lock. Leaves the ways to
//! `by_heads` and `scan`, what is written to `functions`. Callers rely on this: the function is one round trip, so no lock is held
//! over a network; a claim is its own transaction, at the level READ COMMITTED; a job is given
//! to one worker only, and only while the clause is true for it. Where others hold what a claim
//! needs it is `busy`, which is not the same as having nothing; `held` is then a key to wait for.
//! With `more` it has evaluated as many repos as it may, and there are others.

use super::by_heads::by_heads;
use super::functions::{
    BY_INDEX, Function, GIVEN, HOLDER, KEY_WAIT, WRONG_ISOLATION, part_of_deadlock_timeout,
};
use super::heads::{KEPT, settle, settle_some};
use super::scan::by_scan;
use super::search::first;
use super::triggers::MARKED;
use crate::clause::{Agents, Rendered};
use crate::store::job::IS_QUEUED;

/// The functions of a clause.
#[derive(Clone, Copy)]
pub(crate) struct ClauseFunctions<'a> {
    /// Quoted already.
    pub schema: &'a str,
    /// As PostgreSQL runs it.
    pub clause: &'a Rendered,
    /// Tells the clause from every other one: hexadecimal digits.
    pub digest: &'a str,
    /// The agents whose jobs it may hold.
    pub gated: &'a Agents,
    pub way: Way,
}

/// How a claim finds its job.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// By the heads of an index, for a clause with partitions.
    Heads { index: i64, reads_jobs: bool },
    /// By one queued job after another, for a clause that reads the job's own repo only.
    Scan,
    /// The same for a clause that reads other repos, too: such a claim is alone.
    ScanAlone,
}

impl Way {
    /// What the function of a claim is called. A clause may have one of each.
    fn name(self) -> &'static str {
        match self {
            Way::Heads { .. } => "claim",
            Way::Scan | Way::ScanAlone => "scan",
        }
    }
}

/// Changes with the text of the functions: hosts of two releases may share a queue.
const FORM: u32 = 6;

impl ClauseFunctions<'_> {
    /// The statements that make the functions.
    pub(crate) fn create(&self) -> Vec<String> {
        match self.way {
            Way::Heads { index, reads_jobs } => vec![
                first(self),
                settle(self, index),
                settle_some(self, index),
                self.claim(&by_heads(self, index, reads_jobs)),
            ],
            Way::Scan => vec![self.claim(&by_scan(self, false))],
            Way::ScanAlone => vec![self.claim(&by_scan(self, true))],
        }
    }

    /// The function that claims.
    pub(crate) fn claims_by(&self) -> String {
        self.name(self.way.name())
    }

    /// The statement of a claim. Its parameters: the agents as a JSON list, the worker, the token, the
    /// length of the lease in seconds, the generation or NULL, the job to begin after or NULL, the
    /// key to wait for or NULL, how long in milliseconds, whether the commit waits for the disk, and
    /// whether no job is given while more repos are dirty than one claim evaluates.
    pub(crate) fn claiming(&self) -> String {
        format!(
            "SELECT job, task, work_item, its_repo, its_agent, attempt, fence, lease_until, busy,
                held, more FROM {}(ARRAY(SELECT json_array_elements_text($1::text::json)), $2::text, $3::text, $4::bigint, $5::bigint,
                $6::bigint, $7::integer, $8::integer, $9::boolean, $10::boolean)",
            self.call(self.way.name())
        )
    }

    /// The statement that evaluates up to `$1` dirty repos of an index, as claims do. Before a new
    /// index is used, it runs until nothing is left: until then claims leave the order of ids.
    pub(crate) fn settling(&self) -> String {
        format!("SELECT held FROM {}($1::integer)", self.call("settle_some"))
    }

    /// The name of one of the functions; a name has room for half the digest.
    pub(super) fn name(&self, what: &str) -> String {
        name(what, self.digest)
    }

    /// The same with its schema.
    pub(super) fn call(&self, what: &str) -> String {
        format!("{}.{}", self.schema, self.name(what))
    }

    fn claim(&self, steps: &str) -> String {
        let signature = format!(
            "{}(p_agents text[], {HOLDER}, p_beyond bigint, p_held integer, p_wait integer,
                p_is_safe boolean, p_in_order boolean, {GIVEN}, OUT busy boolean,
                OUT held integer, OUT more boolean)",
            self.name(self.way.name())
        );
        Function {
            signature: &signature,
            returns: "",
            is_definer: false,
            settings: BY_INDEX,
            body: steps,
        }
        .create(self.schema)
    }
}

fn name(what: &str, digest: &str) -> String {
    let digits: String = digest.chars().filter(char::is_ascii_hexdigit).collect();
    let half: String = digits.chars().take(32).collect();
    format!("serial_gate_{what}_{FORM}_{half}")
}

/// Drops the functions of a clause that is used no more.
pub(crate) fn drop_functions(schema: &str, digest: &str) -> Vec<String> {
    ["claim", "scan", "settle_some", "settle", "first"]
        .map(|what| drop_function(schema, &name(what, digest)))
        .into()
}

pub(crate) fn drop_function(schema: &str, name: &str) -> String {
    format!("DROP FUNCTION IF EXISTS {schema}.{name};")
}

/// The functions of the clauses without heads in the schema `$1`, but for the newest: as many as
/// there are clauses with heads.
pub(crate) fn oldest_scans() -> String {
    format!(
        "SELECT p.proname::text FROM pg_catalog.pg_proc p
         WHERE p.pronamespace = to_regnamespace($1) AND starts_with(p.proname, '{}')
         ORDER BY p.oid DESC OFFSET {KEPT}",
        name("scan", "")
    )
}

/// Marks the repo of a job that was given away without a look at the heads.
pub(super) fn mark_given(condition: &str) -> String {
    format!(
        "INSERT INTO serial_gate_mark (no_repo, repo)
         SELECT its_repo IS NULL, coalesce(its_repo, '') WHERE {condition};"
    )
}

/// Keeps the highest task that was started in the repo, whose lock is held.
pub(super) const NOTE_STARTED: &str = "IF task IS NOT NULL THEN
        INSERT INTO serial_gate_started AS s (no_repo, repo, task)
        VALUES (its_repo IS NULL, coalesce(its_repo, ''), task)
        ON CONFLICT ON CONSTRAINT serial_gate_started_pkey
        DO UPDATE SET task = excluded.task WHERE s.task < excluded.task;
     END IF;";

/// What every claim begins with. Its settings last until its commit. A session that locks a whole
/// table may write repos as well, so the tables come before the repos. No program that waits for a
/// claim fails by a deadlock: a claim never waits until the server looks for one, and with a table
/// that is not free it lets go of the others. A claim in a transaction that has written removes its
/// own marks.
pub(super) fn opening() -> String {
    let (wait, later) = (
        part_of_deadlock_timeout(TABLE_WAIT),
        part_of_deadlock_timeout(KEY_WAIT),
    );
    format!(
        "IF current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE EXCEPTION USING ERRCODE = '{WRONG_ISOLATION}',
                MESSAGE = 'a claim needs the isolation level READ COMMITTED';
         END IF;
         busy := FALSE;
         PERFORM set_config('{MARKED}', '', TRUE), set_config('timezone', 'UTC', TRUE),
            set_config('lock_timeout', {wait}::text, TRUE);
         IF NOT p_is_safe THEN
            PERFORM set_config('synchronous_commit', 'off', TRUE);
         ELSIF current_setting('synchronous_commit') IN ('off', 'local') THEN
            PERFORM set_config('synchronous_commit', 'on', TRUE);
         END IF;
         BEGIN
            PERFORM 1 FROM jobs CROSS JOIN tasks CROSS JOIN repo_freeze WHERE FALSE
                FOR UPDATE OF jobs;
         EXCEPTION WHEN lock_not_available THEN
            busy := TRUE;
            RETURN;
         END;
         PERFORM set_config('lock_timeout', {later}::text, TRUE);"
    )
}

/// How long a claim waits for each of the three tables, in thousandths of the time after which the
/// server looks for a deadlock. With the waits for two keys it is less than that time.
const TABLE_WAIT: u32 = 80;

/// Waits for the key that an earlier call has missed, before any other is held.
pub(super) fn waiting(of: &ClauseFunctions<'_>) -> String {
    format!(
        "IF p_held IS NOT NULL AND NOT {}.serial_gate_wait(p_held, p_wait) THEN
            busy := TRUE;
            held := p_held;
            RETURN;
         END IF;",
        of.schema
    )
}

/// Reads a queued job, if nobody else has it, and whether the clause lets it through.
pub(super) fn ask(of: &ClauseFunctions<'_>) -> String {
    format!(
        "SELECT ({}) IS TRUE INTO lets FROM jobs WHERE jobs.id = chosen AND jobs.{IS_QUEUED}
         FOR UPDATE OF jobs SKIP LOCKED;",
        of.clause
    )
}
