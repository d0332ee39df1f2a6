//! The claim by one queued job after another, for a clause without partitions.
//!
//! Owns the steps. Leaves the claim by heads, and what both have in common, to `claim`. Its cost
//! grows with the jobs that are held before the first one that may be claimed; the job is asked
//! about again under its repo's lock.

use super::claim::{ClauseFunctions, NOTE_STARTED, ask, mark_given, opening, waiting};
use super::functions::give;
use super::locks::{CLAIMS, Locks, WRITERS, key};
use super::search::{LEAST, after};
use crate::store::job::IS_QUEUED;

/// How many jobs are tried whose repos others hold.
const TRIES: u32 = 64;

/// The steps of a claim by one job after another. One that is alone has the lock of every repo.
pub(super) fn by_scan(of: &ClauseFunctions<'_>, is_alone: bool) -> String {
    let (clause, locks) = (of.clause, Locks::of(of.schema));
    let next = |into: &str, of_agent: &str| {
        format!(
            "SELECT jobs.id, jobs.repo INTO {into} FROM jobs
             WHERE jobs.{IS_QUEUED}{of_agent} AND ({clause}) AND jobs.id >= next_id
             ORDER BY jobs.id LIMIT 1;"
        )
    };
    let (any, of_agent) = (
        next("chosen, repo", ""),
        next("its_first, its_repo", " AND jobs.agent = its_agent"),
    );
    let lock = if is_alone {
        be_alone(of)
    } else {
        let claims_key = locks.try_share(CLAIMS);
        format!(
            "IF NOT {claims_key} THEN
                busy := TRUE;
                RETURN;
             END IF;
             {}",
            waiting(of)
        )
    };
    let next = after("chosen");
    let lock_repo = if is_alone {
        String::new()
    } else {
        format!(
            "its_key := {};
             IF NOT {} THEN
                busy := TRUE;
                held := coalesce(held, its_key);
                next_id := {next};
                CONTINUE;
             END IF;",
            key("repo"),
            locks.try_take("its_key")
        )
    };
    let (opening, ask, give) = (opening(), ask(of), give("chosen"));
    let is_gated = of.is_gated("its_agent");
    let mark = mark_given("EXISTS (SELECT 1 FROM serial_gate_index)");
    format!(
        "DECLARE
            chosen bigint;
            its_first bigint;
            next_id bigint := coalesce(p_beyond + 1, {LEAST});
            repo text;
            its_key integer;
            lets boolean;
         BEGIN
            {opening}
            {lock}
            FOR round IN 1 .. {TRIES} LOOP
                chosen := NULL;
                IF p_agents = '{{}}' THEN {any} END IF;
                FOREACH its_agent IN ARRAY p_agents LOOP
                    {of_agent}
                    IF its_first < chosen OR chosen IS NULL THEN
                        chosen := its_first;
                        repo := its_repo;
                    END IF;
                END LOOP;
                IF chosen IS NULL THEN
                    RETURN;
                END IF;
                {lock_repo}
                {ask}
                IF lets IS NULL THEN
                    busy := TRUE;
                    next_id := {next};
                    CONTINUE;
                ELSIF NOT lets THEN
                    -- It was let through before the lock, and is held now.
                    CONTINUE;
                END IF;
                {give}
                {mark}
                IF {is_gated} THEN {NOTE_STARTED} END IF;
                RETURN;
            END LOOP;
            busy := TRUE;
         END"
    )
}

/// Takes the locks of all claims and of all writers: at once, or after a wait. Nobody who has the
/// first waits for a holder of the second.
fn be_alone(of: &ClauseFunctions<'_>) -> String {
    let each = [CLAIMS, WRITERS].map(|lock| {
        format!(
            "IF NOT (CASE WHEN p_held IS NULL THEN {}
                ELSE {}.serial_gate_wait({lock}, p_wait) END)
             THEN
                busy := TRUE;
                held := {lock};
                RETURN;
             END IF;",
            Locks::of(of.schema).try_take(lock),
            of.schema
        )
    });
    each.concat()
}
