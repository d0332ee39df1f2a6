//! What is proved about a clause, and which part prevents a proof.

use serial_gate::clause::Clause;

/// One line: the gated agents and the basis of the shape, or the obstacle.
fn shape(text: &str) -> String {
    let clause = Clause::accept(text).unwrap_or_else(|refusal| panic!("{refusal}: {text}"));
    match clause.partitions() {
        Ok(shape) => {
            let reads: Vec<&str> = shape.reads.iter().map(|table| table.name()).collect();
            let order = if shape.is_ordered { "by task" } else { "alike" };
            format!(
                "gated {}, {order}, reads [{}]",
                shape.gated,
                reads.join(", ")
            )
        }
        Err(obstacle) => obstacle.to_string(),
    }
}

fn blocked_by(filter: &str) -> String {
    format!("NOT EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo AND {filter})")
}

#[test]
fn a_clause_that_holds_later_tasks_for_earlier_ones_has_a_shape() {
    let default = "AND NOT ( jobs.agent = 'analyst' AND (
        EXISTS (SELECT 1 FROM tasks t2 WHERE t2.repo = jobs.repo AND t2.id < jobs.task_id AND t2.stage != 'done')
        OR EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo AND f.cleared_at IS NULL) ) )";
    insta::assert_snapshot!(shape(default), @"gated NULL, `analyst`, by task, reads [tasks, repo_freeze]");
    insta::assert_snapshot!(shape(""), @"gated no agent, alike, reads []");
    insta::assert_snapshot!(shape(&blocked_by("jobs.task_id >= t.id")), @"gated every agent, by task, reads [tasks]");
    insta::assert_snapshot!(shape(&blocked_by("NOT (t.id >= jobs.task_id OR t.stage = 'done')")), @"gated every agent, by task, reads [tasks]");
    insta::assert_snapshot!(shape(&blocked_by("NOT (jobs.task_id BETWEEN 1 AND 3)")), @r#"`("jobs"."task_id" BETWEEN 1 AND 3)` may let a later task through where an earlier one is held: compare `jobs.task_id` so that a later task only ever waits for more"#);
    insta::assert_snapshot!(shape(&blocked_by("t.id BETWEEN 1 AND jobs.task_id")), @"gated every agent, by task, reads [tasks]");
    insta::assert_snapshot!(shape("jobs.task_id IS NULL"), @"gated every agent, by task, reads []");
    insta::assert_snapshot!(shape(
        "(SELECT count(*) FROM tasks t WHERE t.repo = jobs.repo AND t.id < jobs.task_id) <= 3"
    ), @"gated every agent, by task, reads [tasks]");
}

#[test]
fn a_part_that_may_let_a_later_task_through_is_named() {
    insta::assert_snapshot!(shape("jobs.task_id > 3"), @r#"`("jobs"."task_id" > 3)` may let a later task through where an earlier one is held: compare `jobs.task_id` so that a later task only ever waits for more"#);
    insta::assert_snapshot!(shape(
        "EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo AND t.id < jobs.task_id)"
    ), @r#"`("g1"."id" < "jobs"."task_id")` may let a later task through where an earlier one is held: compare `jobs.task_id` so that a later task only ever waits for more"#);
    insta::assert_snapshot!(shape(&blocked_by("t.id NOT BETWEEN 1 AND jobs.task_id")), @r#"`("g1"."id" NOT BETWEEN 1 AND "jobs"."task_id")` may let a later task through where an earlier one is held: compare `jobs.task_id` so that a later task only ever waits for more"#);
    // A job without a task is held, and those after it are not.
    insta::assert_snapshot!(shape("jobs.task_id < 3"), @r#"`("jobs"."task_id" < 3)` may let a later task through where an earlier one is held: compare `jobs.task_id` so that a later task only ever waits for more"#);
    insta::assert_snapshot!(shape("jobs.task_id IN (3, 4)"), @r#"`("jobs"."task_id" IN (3, 4))` may let a later task through where an earlier one is held: compare `jobs.task_id` so that a later task only ever waits for more"#);
    insta::assert_snapshot!(shape(&blocked_by("t.id > jobs.task_id")), @r#"`("g1"."id" > "jobs"."task_id")` may let a later task through where an earlier one is held: compare `jobs.task_id` so that a later task only ever waits for more"#);
    insta::assert_snapshot!(shape(&blocked_by("t.id = jobs.task_id")), @r#"`("g1"."id" = "jobs"."task_id")` may let a later task through where an earlier one is held: compare `jobs.task_id` so that a later task only ever waits for more"#);
    insta::assert_snapshot!(shape(&blocked_by("NOT (t.id < jobs.task_id)")), @r#"`("g1"."id" < "jobs"."task_id")` may let a later task through where an earlier one is held: compare `jobs.task_id` so that a later task only ever waits for more"#);
    insta::assert_snapshot!(shape(&blocked_by(
        "NOT EXISTS (SELECT 1 FROM jobs j WHERE j.repo = jobs.repo AND j.task_id < jobs.task_id)"
    )), @r#"`("g2"."task_id" < "jobs"."task_id")` may let a later task through where an earlier one is held: compare `jobs.task_id` so that a later task only ever waits for more"#);
    insta::assert_snapshot!(shape(
        "(SELECT count(*) FROM tasks t WHERE t.repo = jobs.repo AND t.id < jobs.task_id) > 3"
    ), @r#"`("g1"."id" < "jobs"."task_id")` may let a later task through where an earlier one is held: compare `jobs.task_id` so that a later task only ever waits for more"#);
    insta::assert_snapshot!(shape(
        "(SELECT count(*) FROM tasks t WHERE t.repo = jobs.repo AND t.id < jobs.task_id) = 3"
    ), @r#"`((SELECT count(*) FROM (SELECT 1 FROM "tasks" AS "g1" WHERE (("g1"."repo" = "jobs"."repo") AND ("g1"."id" < "jobs"."task_id")) LIMIT 4) AS "c1") = 3)` may let a later task through where an earlier one is held: compare `jobs.task_id` so that a later task only ever waits for more"#);
    insta::assert_snapshot!(shape(
        "jobs.task_id <= (SELECT min(t.id) FROM tasks t WHERE t.repo = jobs.repo AND t.id > jobs.task_id)"
    ), @r#"`("jobs"."task_id" <= (SELECT min("g1"."id") FROM "tasks" AS "g1" WHERE (("g1"."repo" = "jobs"."repo") AND ("g1"."id" > "jobs"."task_id"))))` may let a later task through where an earlier one is held: compare `jobs.task_id` so that a later task only ever waits for more"#);
}

#[test]
fn a_least_or_greatest_id_that_depends_on_the_place_is_named() {
    insta::assert_snapshot!(shape(
        "(SELECT max(t.id) FROM tasks t WHERE t.repo = jobs.repo AND t.id < jobs.task_id) = 3"
    ), @r#"`((SELECT max("g1"."id") FROM "tasks" AS "g1" WHERE (("g1"."repo" = "jobs"."repo") AND ("g1"."id" < "jobs"."task_id"))) = 3)` may let a later task through where an earlier one is held: compare `jobs.task_id` so that a later task only ever waits for more"#);
    insta::assert_snapshot!(shape(
        "(SELECT max(t.id) FROM tasks t WHERE t.repo = jobs.repo AND t.stage <> 'done') = 3"
    ), @"gated every agent, alike, reads [tasks]");
}

#[test]
fn a_part_that_other_repos_have_a_say_in_is_named() {
    insta::assert_snapshot!(shape("EXISTS (SELECT 1 FROM tasks t WHERE t.id = jobs.task_id)"), @r#"`(EXISTS (SELECT 1 FROM "tasks" AS "g1" WHERE ("g1"."id" = "jobs"."task_id")))` is not tied by `repo`, so a change in any repo may release a job: add `AND g1.repo = jobs.repo` to its WHERE"#);
    insta::assert_snapshot!(shape(
        "EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.agent AND t.stage = 'done')"
    ), @r#"`(EXISTS (SELECT 1 FROM "tasks" AS "g1" WHERE (("g1"."repo" = "jobs"."agent") AND ("g1"."stage" = 'done'))))` is not tied by `repo`, so a change in any repo may release a job: add `AND g1.repo = jobs.repo` to its WHERE"#);
    insta::assert_snapshot!(shape(&blocked_by(
        "EXISTS (SELECT 1 FROM jobs j WHERE j.task_id = jobs.task_id AND j.status = 'running')"
    )), @r#"`(EXISTS (SELECT 1 FROM "jobs" AS "g2" WHERE (("g2"."task_id" = "jobs"."task_id") AND ("g2"."status" = 'running'))))` is not tied by `repo`, so a change in any repo may release a job: add `AND g2.repo = jobs.repo` to its WHERE"#);
}

#[test]
fn a_part_that_goes_by_the_job_s_own_number_is_named() {
    insta::assert_snapshot!(shape(&blocked_by("t.stage <> 'done' AND jobs.id > 3")), @r#"`("jobs"."id" > 3)` depends on `jobs.id`, so it may treat two jobs of one task differently: compare `jobs.task_id`"#);
}

#[test]
fn the_gated_agents_are_those_whose_jobs_a_clause_may_hold() {
    let gated = |text: &str| Clause::accept(text).unwrap().gated().to_string();
    let held = "EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo)";
    insta::assert_snapshot!(gated(&format!("NOT (jobs.agent = 'a' AND {held})")), @"NULL, `a`");
    insta::assert_snapshot!(gated(&format!("NOT (jobs.agent IN ('a', 'b') AND jobs.agent IS NOT NULL AND {held})")), @"`a`, `b`");
    insta::assert_snapshot!(gated(&format!("jobs.agent = 'a' OR NOT {held}")), @"every agent but `a`");
    insta::assert_snapshot!(gated(&format!("NOT (jobs.agent >= 'a' AND jobs.agent <= 'b' AND {held})")), @"every agent");
    insta::assert_snapshot!(gated("jobs.agent > 'a'"), @"every agent");
    insta::assert_snapshot!(gated("jobs.repo <> 'a'"), @"every agent");
    insta::assert_snapshot!(gated("TRUE"), @"no agent");
    insta::assert_snapshot!(gated("jobs.agent = 'a' OR jobs.agent <> 'a' OR jobs.agent IS NULL"), @"no agent");
}
