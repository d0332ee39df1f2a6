//! The first job of a partition that a clause lets through, as a function in the server.
//!
//! Owns the search, whose cost does not depend on how many jobs are held. Leaves what is kept of it
//! to `heads`. It believes the clause and its shape (`crate::clause::Partitions`). Callers rely on
//! this: a holder of the repo's lock gets the job that the clause gives now. Each step reads one
//! row by an index, in the index's whole order: for a loop over a line, a server sorts the line.

use super::claim::ClauseFunctions;
use super::functions::Function;
use crate::store::job::IS_QUEUED;

/// The condition that a column has a value, for a statement that reads one row in the order of one
/// index. To the planner an equality fixes the column, and then another index has the same order: it
/// would go through the whole queue for the first row of a rare value.
pub(super) fn is(column: &str, value: &str) -> String {
    format!("{column} >= {value} AND {column} <= {value}")
}

/// The least and the greatest id.
pub(super) const LEAST: &str = "(-9223372036854775807 - 1)";
pub(super) const GREATEST: &str = "9223372036854775807";

/// The function that finds the first job of a partition. Two ways lead to it, and it is not known
/// which is the shorter one: in the order of ids, to the first that may be claimed; in the order of
/// tasks, of which one job each tells for all, through all that may be claimed, to the first that is
/// held. They are gone together, so that the shorter one ends the search. Jobs without a task come
/// first, as the proof has them. Its arguments have the default collation, so that each comparison
/// has that of the orchestrator's column, as the column's indexes do.
/// With `p_from`, lower ids are known to be held.
pub(super) fn first(of: &ClauseFunctions<'_>) -> String {
    let clause = of.clause;
    let by_id = by_case(|is| {
        format!(
            "SELECT j.id INTO job FROM jobs j WHERE j.{IS_QUEUED} AND {is} AND j.id >= from_id
             ORDER BY j.repo, j.agent, j.id LIMIT 1;"
        )
    });
    let without_task = by_case(|is| {
        format!(
            "SELECT j.id INTO job FROM jobs j WHERE j.{IS_QUEUED} AND {is} AND j.task_id IS NULL
             ORDER BY j.repo, j.agent, j.task_id, j.id LIMIT 1;"
        )
    });
    let by_task = by_case(|is| {
        format!(
            "SELECT j.id, j.task_id INTO job, task FROM jobs j
             WHERE j.{IS_QUEUED} AND {is} AND j.task_id >= from_task
             ORDER BY j.repo, j.agent, j.task_id, j.id LIMIT 1;"
        )
    });
    let lets = "SELECT ({clause}) IS TRUE INTO lets FROM jobs WHERE jobs.id = job;"
        .replace("{clause}", clause.as_str());
    let body = format!(
        "DECLARE
            from_id bigint := coalesce(p_from, {LEAST});
            from_task bigint;
            job bigint;
            task bigint;
            best bigint;
            lets boolean;
            is_by_task boolean := FALSE;
         BEGIN
            LOOP
                IF is_by_task AND from_task IS NULL THEN
                    {without_task}
                    from_task := {LEAST};
                    task := NULL;
                    IF job IS NULL THEN {by_task} END IF;
                ELSIF is_by_task THEN
                    {by_task}
                ELSE
                    {by_id}
                END IF;
                IF job IS NULL THEN
                    RETURN best;
                END IF;
                {lets}
                IF is_by_task THEN
                    IF lets IS NOT TRUE THEN
                        RETURN best;
                    END IF;
                    best := least(best, job);
                    IF task = {GREATEST} THEN
                        RETURN best;
                    END IF;
                    from_task := coalesce(task + 1, from_task);
                ELSIF lets THEN
                    RETURN job;
                ELSIF job = {GREATEST} THEN
                    RETURN NULL;
                ELSE
                    from_id := job + 1;
                END IF;
                is_by_task := NOT is_by_task;
            END LOOP;
         END"
    );
    Function {
        signature: &format!(
            "{}(p_repo text, p_agent text, p_from bigint)",
            of.name("first")
        ),
        returns: "RETURNS bigint",
        is_definer: false,
        settings: "",
        body: &body,
    }
    .create(of.schema)
}

/// The id after a job's; the greatest one stays.
pub(super) fn after(job: &str) -> String {
    format!("{job} + ({job} < {GREATEST})::integer")
}

/// A statement for each case of a partition: an index finds NULL by `IS NULL` only.
fn by_case(statement: impl Fn(&str) -> String) -> String {
    let (repo, agent) = (&is("j.repo", "p_repo"), &is("j.agent", "p_agent"));
    let (no_repo, no_agent) = ("j.repo IS NULL", "j.agent IS NULL");
    let case = |repo: &str, agent: &str| statement(&format!("{repo} AND {agent}"));
    format!(
        "IF p_repo IS NOT NULL AND p_agent IS NOT NULL THEN {}
         ELSIF p_repo IS NOT NULL THEN {}
         ELSIF p_agent IS NOT NULL THEN {}
         ELSE {} END IF;",
        case(repo, agent),
        case(repo, no_agent),
        case(no_repo, agent),
        case(no_repo, no_agent)
    )
}

/// The agent after the last one among the queued jobs that fulfil a condition, in the order of the
/// index that begins with `order`. A condition on both cases at once would be no range.
pub(super) fn next_agent(condition: &str, order: &str) -> String {
    let next = |is: &str| {
        format!(
            "SELECT j.agent INTO agent FROM jobs j WHERE j.{IS_QUEUED}{condition} AND j.agent {is}
             ORDER BY {order}j.agent LIMIT 1;"
        )
    };
    format!(
        "IF agent IS NULL THEN {} ELSE {} END IF;",
        next("IS NOT NULL"),
        next("> agent")
    )
}

/// Finds the lowest queued job of the agents that the clause never holds, from one agent to the
/// next. It takes no lock, since nearly all of these jobs stay where they are. `spent` are the
/// agents whose jobs others hold.
pub(super) fn first_free(of: &ClauseFunctions<'_>) -> String {
    let first_of = |of: &str| {
        format!(
            "SELECT j.id FROM jobs j WHERE j.{IS_QUEUED} AND {of} AND j.id >= from_id
             ORDER BY j.agent, j.id LIMIT 1"
        )
    };
    let no_agent_is_gated = of.no_agent_is_gated();
    let (is_gated, this_is_gated) = (of.is_gated("name.agent"), of.is_gated("agent"));
    let (of_none, of_name, of_this) = (
        first_of("j.agent IS NULL"),
        first_of(&is("j.agent", "name.agent")),
        first_of(&is("j.agent", "agent")),
    );
    // The first row of the next agent is its first job as well. The way to it leads through the
    // index's entries of jobs that are claimed, so it is not taken twice.
    let next_name = |is: &str| {
        format!(
            "SELECT j.agent::text AS agent, j.id FROM jobs j WHERE j.{IS_QUEUED} AND j.agent {is}
             ORDER BY j.agent, j.id LIMIT 1"
        )
    };
    let (first_name, next_name) = (next_name("IS NOT NULL"), next_name("> name.agent"));
    let lower = "IF next < free_job OR free_job IS NULL AND next IS NOT NULL THEN
            free_job := next;
            free_agent := agent;
         END IF;";
    format!(
        "free_job := NULL;
         free_agent := NULL;
         FOREACH agent IN ARRAY p_agents LOOP
            CONTINUE WHEN {this_is_gated} OR '.' || agent = ANY (spent);
            next := ({of_this});
            {lower}
         END LOOP;
         IF p_agents = '{{}}' THEN
            IF NOT {no_agent_is_gated} AND '' <> ALL (spent) THEN
                free_job := ({of_none});
            END IF;
            FOR agent, next IN
                WITH RECURSIVE name (agent, id) AS (
                    ({first_name})
                    UNION ALL SELECT n.agent, n.id FROM name CROSS JOIN LATERAL ({next_name}) n)
                SELECT name.agent,
                    CASE WHEN name.id >= from_id THEN name.id ELSE ({of_name}) END FROM name
                WHERE NOT {is_gated} AND '.' || name.agent <> ALL (spent)
            LOOP
                {lower}
            END LOOP;
         END IF;"
    )
}

/// Takes the first job of the free agent that nobody else has.
pub(super) fn take_free() -> String {
    let take = |of: &str| {
        format!(
            "SELECT j.id INTO chosen FROM jobs j WHERE j.{IS_QUEUED} AND {of}
                AND j.id >= free_job ORDER BY j.agent, j.id LIMIT 1 FOR UPDATE SKIP LOCKED;"
        )
    };
    format!(
        "IF free_agent IS NULL THEN {} ELSE {} END IF;",
        take("j.agent IS NULL"),
        take(&is("j.agent", "free_agent"))
    )
}
