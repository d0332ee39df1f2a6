//! The index of heads in the server: for each partition, which is a repo and a gated agent, the
//! first job that may be claimed.
//!
//! Owns the rows that make a claim's cost independent of how many jobs are held: an index for each
//! clause in use, its heads, and its dirty repos. A writer's mark (`triggers`) is for every index;
//! the first claim that gets the repo's lock makes of it a dirty repo of each other index, and
//! evaluates its own. Leaves the search to `search`, the claim to `claim`. Callers rely on this: a
//! repo without a mark that is not dirty has the heads that the clause gives now. A wrong head can
//! cost order or time, but cannot open the gate.

use super::claim::ClauseFunctions;
use super::functions::{BY_INDEX, Function};
use super::locks::{CLAIMS, Locks, key};
use super::search::{is, next_agent};
use crate::store::job::IS_QUEUED;

/// How many clauses have an index at a time: the active one's, those of hosts with other settings,
/// and a clause that returns when a rule depends on the time. Each costs every claim a dirty repo.
pub(super) const KEPT: u32 = 4;

/// The start of a transaction that adds or removes an index: every claim that does not know of the
/// change is over, and none begins before it is committed.
pub(crate) fn without_claims(schema: &str) -> String {
    format!("SELECT {}", Locks::of(schema).take(CLAIMS))
}

/// The index of a clause, by its digest.
pub(crate) const KNOWN: &str = "SELECT id FROM serial_gate_index WHERE clause = $1";

/// Adds the index of a clause: its digest, and whether it reads tasks, jobs and freezes.
pub(crate) const ADD: &str = "INSERT INTO serial_gate_index
        (clause, reads_tasks, reads_jobs, reads_freezes, differences)
     VALUES ($1, $2, $3, $4, 0) RETURNING id";

/// Makes every repo with a queued job dirty for an index. Goes from one repo to the next, however
/// many jobs are in between.
pub(crate) fn make_dirty() -> String {
    format!(
        "WITH RECURSIVE name (repo) AS (
            SELECT (SELECT j.repo::text FROM jobs j
                    WHERE j.{IS_QUEUED} AND j.repo IS NOT NULL ORDER BY j.repo LIMIT 1)
            UNION ALL
            SELECT (SELECT j.repo::text FROM jobs j
                    WHERE j.{IS_QUEUED} AND j.repo > name.repo ORDER BY j.repo LIMIT 1)
            FROM name WHERE name.repo IS NOT NULL)
         INSERT INTO serial_gate_dirty (idx, no_repo, repo)
         SELECT $1::bigint, FALSE, name.repo FROM name WHERE name.repo IS NOT NULL
         UNION ALL SELECT $1::bigint, TRUE, '' WHERE EXISTS (
            SELECT 1 FROM jobs j WHERE j.{IS_QUEUED} AND j.repo IS NULL)"
    )
}

/// Removes the oldest indexes if there are too many, and returns their digests, whose functions are
/// to be dropped.
pub(crate) fn remove_oldest() -> String {
    format!(
        "DELETE FROM serial_gate_index WHERE id NOT IN (
            SELECT id FROM serial_gate_index ORDER BY id DESC LIMIT {KEPT}) RETURNING clause"
    )
}

/// Marks every repo that has a head or a queued job.
pub(super) const MARK_ALL: &str = "INSERT INTO serial_gate_mark (no_repo, repo)
     SELECT p.no_repo, p.repo FROM serial_gate_partition p
     UNION SELECT j.repo IS NULL, coalesce(j.repo, '') COLLATE \"C\" FROM jobs j
         WHERE j.status = 'queued'";

/// Forgets every index, so that each is filled anew; returns their digests.
pub(crate) const REMOVE_ALL: &str = "DELETE FROM serial_gate_index RETURNING clause";

/// Removes the rows of indexes that are gone.
pub(crate) const REMOVE_ROWS: [&str; 2] = [
    "DELETE FROM serial_gate_partition WHERE idx NOT IN (SELECT id FROM serial_gate_index)",
    "DELETE FROM serial_gate_dirty WHERE idx NOT IN (SELECT id FROM serial_gate_index)",
];

/// The rows of a repo, which is a parameter that may be NULL, in a table that has no NULL.
pub(super) fn is_of(alias: &str, repo: &str) -> String {
    format!("{alias}.no_repo = ({repo} IS NULL) AND {alias}.repo = coalesce({repo}, '')")
}

/// Makes a repo dirty for every index but one. A conflict is with a row of this repo, whose lock
/// the caller holds.
pub(super) fn make_others_dirty(index: i64, repo: &str) -> String {
    format!(
        "INSERT INTO serial_gate_dirty (idx, no_repo, repo)
         SELECT i.id, {repo} IS NULL, coalesce({repo}, '') FROM serial_gate_index i
         WHERE i.id <> {index} ON CONFLICT DO NOTHING;"
    )
}

/// The function that evaluates a repo anew, for the holder of its lock. The marks go first: a later
/// statement sees all that they are about.
pub(super) fn settle(of: &ClauseFunctions<'_>, index: i64) -> String {
    let first = of.call("first");
    let next_of = |of_repo: &str| next_agent(&format!(" AND {of_repo}"), "j.repo, ");
    let body = format!(
        "DECLARE
            agent text;
            agents text[] := '{{}}';
            firsts bigint[] := '{{}}';
            head bigint;
         BEGIN
            DELETE FROM serial_gate_mark m WHERE {};
            IF FOUND THEN
                {}
            END IF;
            DELETE FROM serial_gate_dirty d WHERE d.idx = {index} AND {};
            IF {} THEN
                head := {first}(p_repo, NULL, NULL);
                IF head IS NOT NULL THEN
                    agents := agents || NULL::text;
                    firsts := firsts || head;
                END IF;
            END IF;
            LOOP
                IF p_repo IS NULL THEN {} ELSE {} END IF;
                EXIT WHEN agent IS NULL;
                CONTINUE WHEN NOT {};
                head := {first}(p_repo, agent, NULL);
                IF head IS NOT NULL THEN
                    agents := agents || agent;
                    firsts := firsts || head;
                END IF;
            END LOOP;
            -- With a plain `idx` the planner may go through all heads of the index.
            DELETE FROM serial_gate_partition p WHERE p.idx + 0 = {index} AND {} AND NOT EXISTS (
                SELECT 1 FROM unnest(agents, firsts) AS f (agent, job)
                WHERE f.job = p.job AND f.agent IS NOT DISTINCT FROM p.agent);
            INSERT INTO serial_gate_partition (idx, no_repo, repo, agent, job)
            SELECT {index}, p_repo IS NULL, coalesce(p_repo, ''), f.agent, f.job
            FROM unnest(agents, firsts) AS f (agent, job) ON CONFLICT DO NOTHING;
         END",
        is_of("m", "p_repo"),
        make_others_dirty(index, "p_repo"),
        is_of("d", "p_repo"),
        of.no_agent_is_gated(),
        next_of("j.repo IS NULL"),
        next_of(&is("j.repo", "p_repo")),
        of.is_gated("agent"),
        is_of("p", "p_repo"),
    );
    Function {
        signature: &format!("{}(p_repo text)", of.name("settle")),
        returns: "RETURNS void",
        is_definer: false,
        settings: "",
        body: &body,
    }
    .create(of.schema)
}

/// How many marks are read for the repos that they are about.
const MARKS: u32 = 1000;

/// The function that evaluates up to so many marked or dirty repos whose locks are free, the oldest
/// marks first, and returns a key that was not free, if any, and whether it has evaluated all that it
/// may. Each repo stays locked until the transaction ends, so their number is limited.
pub(super) fn settle_some(of: &ClauseFunctions<'_>, index: i64) -> String {
    let settle = of.call("settle");
    let each = |from: String| {
        format!(
            "FOR one IN {from} LOOP
                EXIT WHEN settled >= p_most;
                repo := CASE WHEN one.no_repo THEN NULL ELSE one.repo END;
                its_key := {};
                IF {} THEN
                    PERFORM {settle}(repo);
                    settled := settled + 1;
                ELSE
                    held := coalesce(held, its_key);
                END IF;
             END LOOP;",
            key("repo"),
            Locks::of(of.schema).try_take("its_key")
        )
    };
    let body = format!(
        "DECLARE
            one record;
            repo text;
            its_key integer;
            settled integer := 0;
         BEGIN
            more := FALSE;
            -- Nearly always there is nothing.
            IF NOT EXISTS (SELECT 1 FROM serial_gate_mark)
                AND NOT EXISTS (SELECT 1 FROM serial_gate_dirty d WHERE d.idx = {index})
            THEN
                RETURN;
            END IF;
            {}
            {}
            more := settled >= p_most;
         END",
        each(format!(
            "SELECT DISTINCT m.no_repo, m.repo FROM (
                SELECT x.no_repo, x.repo FROM serial_gate_mark x ORDER BY x.id LIMIT {MARKS}) m"
        )),
        each(format!(
            "SELECT d.no_repo, d.repo FROM serial_gate_dirty d WHERE d.idx = {index}
             ORDER BY d.no_repo, d.repo LIMIT {MARKS}"
        )),
    );
    Function {
        signature: &format!(
            "{}(p_most integer, OUT held integer, OUT more boolean)",
            of.name("settle_some")
        ),
        returns: "",
        is_definer: false,
        settings: BY_INDEX,
        body: &body,
    }
    .create(of.schema)
}
