//! Functions in the server: how each is made, and those that know no clause.
//!
//! Owns the form of a function, the wait for a lock, and what a claim writes. Leaves the functions
//! of a clause to `claim`, those of the triggers to `triggers`. Callers rely on this: every function
//! has its own `search_path` and names the schema of each table, so that neither a session's
//! settings nor a table of the same name elsewhere changes what it does.

use super::locks::Locks;
use super::qualify::qualified;
use crate::store::job::{IS_QUEUED, IS_RUNNING, claim_assignments};

/// A function to be made.
pub(super) struct Function<'a> {
    /// Its name and its parameters.
    pub signature: &'a str,
    pub returns: &'a str,
    /// Whether it runs with the rights of its owner, as a trigger must: another program may write
    /// `jobs`, and knows nothing of the gate's own tables.
    pub is_definer: bool,
    /// Settings beside the `search_path`, each with its word `SET`.
    pub settings: &'a str,
    pub body: &'a str,
}

impl Function<'_> {
    /// The statement that makes or replaces it. `schema` is quoted already.
    pub(super) fn create(&self, schema: &str) -> String {
        let Function {
            signature,
            returns,
            settings,
            ..
        } = self;
        let rights = if self.is_definer {
            "SECURITY DEFINER"
        } else {
            ""
        };
        // A variable never hides a column of the gate's, and an orchestrator's columns may have any
        // name.
        let body = format!("#variable_conflict use_variable\n{}", self.body);
        format!(
            "CREATE OR REPLACE FUNCTION {schema}.{signature} {returns}
             LANGUAGE plpgsql VOLATILE {rights} SET search_path = pg_catalog, pg_temp {settings}
             AS {};",
            dollar_quoted(&qualified(&body, schema))
        )
    }
}

/// A text that may contain anything, such as a literal of a clause.
fn dollar_quoted(text: &str) -> String {
    let mut tag = String::from("$gate$");
    while text.contains(&tag) {
        tag.insert(1, '_');
    }
    format!("{tag}{text}{tag}")
}

/// The settings of a function that a host calls. There are no hints: each statement is to use an
/// index, and in its order, whatever the statistics say. Pages cost nothing, so that the planner
/// counts rows: else it takes the key of `tasks` for a short way to an unfinished task of a repo, and
/// reads all finished ones. A session keeps its plans, so a function that is called by several others
/// gets these settings from all of them. Left to itself, the server would plan a statement anew for
/// each value, which takes longer than to run it. Rows that a policy of the server hides would be
/// missing for the rule: a claim fails instead.
pub(super) const BY_INDEX: &str = "SET enable_seqscan = off SET enable_bitmapscan = off
    SET enable_sort = off SET enable_incremental_sort = off
    SET seq_page_cost = 0 SET random_page_cost = 0 SET jit = off
    SET plan_cache_mode = force_generic_plan SET row_security = off";

/// What a claim gives back for a job: the columns of `job::claim`, and the end of the lease.
pub(super) const GIVEN: &str = "OUT job bigint, OUT task bigint, OUT work_item text,
    OUT its_repo text, OUT its_agent text, OUT attempt bigint, OUT fence bigint,
    OUT lease_until text";

/// For whom a job is claimed, as parameters.
pub(super) const HOLDER: &str = "p_worker text, p_token text, p_lease bigint, p_generation bigint";

/// The error of a claim that a trigger of the orchestrator has ignored or reverted. Its detail is
/// the job's id.
pub(crate) const UNDONE: &str = "SG001";

/// The error of a claim that a constraint or a trigger of the orchestrator has refused. Its detail is
/// the job's id.
pub(crate) const REFUSED: &str = "SG003";

/// Has a refused claim say which job it is about, which costs a part of a transaction.
pub(super) const NAME_REFUSED: &str = "SET LOCAL serial_gate.names_refused = 'on'";

/// The error of a claim in a transaction whose statements all see one state: after the lock it could
/// not see what was committed before.
pub(crate) const WRONG_ISOLATION: &str = "SG002";

/// The functions that know no clause.
pub(crate) fn without_clause(schema: &str) -> [String; 2] {
    [wait(schema), given(schema)]
}

/// So many thousandths of the time after which the server looks for a deadlock, in milliseconds. As a
/// `lock_timeout`, zero would be no limit.
pub(super) fn part_of_deadlock_timeout(thousandths: u32) -> String {
    format!(
        "greatest(1, extract(epoch FROM current_setting('deadlock_timeout')::interval)
            * {thousandths})::integer"
    )
}

/// How long a claim waits for a repo's lock, in thousandths of the time before that look.
pub(super) const KEY_WAIT: u32 = 400;

/// Waits for a key, behind those who came first, and less than half as long as it takes the server to
/// look for a deadlock: a program that writes a repo and then locks a whole table waits for a claim
/// that waits for it, until the claim gives up. The `lock_timeout` ends with the function.
fn wait(schema: &str) -> String {
    let body = format!(
        "BEGIN
            PERFORM set_config('lock_timeout', greatest(1, least(p_ms, {}))::text, TRUE);
            PERFORM {};
            RETURN TRUE;
         EXCEPTION WHEN lock_not_available THEN
            RETURN FALSE;
         END",
        part_of_deadlock_timeout(KEY_WAIT),
        Locks::of(schema).take("p_key")
    );
    Function {
        signature: "serial_gate_wait(p_key integer, p_ms integer)",
        returns: "RETURNS boolean",
        is_definer: false,
        settings: "SET lock_timeout = 0",
        body: &body,
    }
    .create(schema)
}

const TIME: &str = "'YYYY-MM-DD HH24:MI:SS'";

/// The steps that write the claim of a job, whose id is an expression, and check that it is written.
/// The time is the server's, as it is once all locks are held. They leave `lease_until` and the
/// other results of a claim.
pub(super) fn give(job: &str) -> String {
    let assignments = claim_assignments([
        "p_worker",
        "claimed_at",
        "lease_until",
        "p_lease",
        "p_token",
        "at_ms",
        "p_generation",
    ]);
    let update = format!(
        "UPDATE jobs SET {assignments} WHERE jobs.id = {job} AND jobs.{IS_QUEUED}
         RETURNING jobs.id, jobs.task_id,
            (SELECT t.work_item_id FROM tasks t WHERE t.id = jobs.task_id),
            jobs.repo, jobs.agent, jobs.gate_attempt, jobs.gate_fence
         INTO job, task, work_item, its_repo, its_agent, attempt, fence;"
    );
    // The database keeps whole seconds, and a lease is never shorter than requested. Its end is a
    // time that every reader can represent.
    format!(
        "DECLARE
            moment timestamptz := clock_timestamp();
            at_ms bigint := floor(extract(epoch FROM moment) * 1000)::bigint;
            claimed_at text := to_char(moment AT TIME ZONE 'UTC', {TIME});
            is_written boolean;
         BEGIN
            lease_until := to_char(least(
                date_trunc('second', moment + make_interval(secs => least(p_lease, 400000000000))
                    + interval '0.999999 seconds'),
                timestamptz '9999-12-30 22:00:00+00') AT TIME ZONE 'UTC', {TIME});
            IF current_setting('serial_gate.names_refused', TRUE) = 'on' THEN
                BEGIN
                    {update}
                EXCEPTION WHEN OTHERS THEN
                    RAISE EXCEPTION USING ERRCODE = '{REFUSED}', DETAIL = {job}, MESSAGE = SQLERRM;
                END;
            ELSE
                {update}
            END IF;
            -- In a WHERE, the end of the lease would look like a good way to the row.
            SELECT jobs.{IS_RUNNING} AND jobs.gate_token = p_token
                AND jobs.gate_worker = p_worker AND jobs.gate_lease_until = lease_until
                AND jobs.gate_outcome IS NULL AND jobs.gate_fence = fence
                AND jobs.repo IS NOT DISTINCT FROM its_repo
                AND jobs.task_id IS NOT DISTINCT FROM task
            INTO is_written FROM jobs WHERE jobs.id = job;
            IF is_written IS NOT TRUE THEN
                RAISE EXCEPTION USING ERRCODE = '{UNDONE}', DETAIL = {job},
                    MESSAGE = 'a trigger has undone the claim of job ' || {job};
            END IF;
         END;"
    )
}

/// The same as a function, for the trial of a database.
fn given(schema: &str) -> String {
    Function {
        signature: &format!("serial_gate_give(p_job bigint, {HOLDER}, {GIVEN})"),
        returns: "",
        is_definer: false,
        settings: "",
        body: &format!("BEGIN {} END", give("p_job")),
    }
    .create(schema)
}

/// The time as text.
pub(super) const NOW_TEXT: &str =
    "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')";
