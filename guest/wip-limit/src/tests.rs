//! The rule and its parameters, run natively. That the clause agrees is tested on databases.

#![allow(clippy::unwrap_used, reason = "tests")]

use serial_gate_default_policy::rule::parse;
use serial_gate_default_policy::snapshot::{Freeze, Job, Symbol, Task, TaskRef, Verdict};

use super::*;

fn settings(rules: Option<&str>) -> Result<Settings<WipLimit>, String> {
    parse(true, "", true, rules)
}

/// What holds a job of task 9 in a repo with these tasks.
fn verdict(limit: usize, tasks: &[(i64, &str)], frozen: bool) -> Verdict {
    let [alpha, analyst, queued] = [1, 2, 3].map(Symbol::new);
    let stages = tasks.iter().map(|(_, stage)| *stage);
    let job = Job {
        id: 1,
        task_id: Some(TaskRef::Id(9)),
        repo: alpha,
        agent: analyst,
        status: queued,
    };
    let freeze = Freeze {
        id: 5,
        repo: alpha,
        cleared_at: if frozen { None } else { queued },
    };
    let snapshot = Snapshot {
        symbols: ["alpha", "analyst", "queued"]
            .into_iter()
            .chain(stages)
            .collect(),
        tasks: (4..)
            .zip(tasks)
            .map(|(stage, (id, _))| Task {
                id: *id,
                repo: alpha,
                stage: Symbol::new(stage),
                label: None,
            })
            .collect(),
        jobs: [job].into_iter().collect(),
        freezes: [freeze].into_iter().collect(),
    };
    let settings = settings(Some(&format!(r#"{{"limit":{limit}}}"#))).unwrap();
    let decisions: Vec<Decision> = WipLimit::decide(&settings, 0, &snapshot).unwrap();
    decisions.into_iter().next().unwrap().verdict
}

fn held(earlier_task: Option<i64>, freeze: Option<i64>) -> Verdict {
    Verdict::Hold(Hold {
        earlier_task,
        freeze,
        rule: None,
    })
}

#[test]
fn a_task_starts_below_the_limit_and_waits_for_the_first_one_at_it() {
    let tasks = [(4, "review"), (2, "done"), (3, "analysis")];
    assert_eq!(verdict(3, &tasks, false), Verdict::Claim);
    assert_eq!(verdict(2, &tasks, false), held(Some(3), None));
}

#[test]
fn its_own_task_and_later_ones_do_not_count() {
    let tasks = [(8, "review"), (9, "analysis"), (10, "analysis")];
    assert_eq!(verdict(2, &tasks, false), Verdict::Claim);
}

#[test]
fn a_freeze_holds_below_the_limit_too() {
    assert_eq!(verdict(2, &[(4, "review")], true), held(None, Some(5)));
}

#[test]
fn the_limit_is_two_if_it_is_left_out() {
    assert_eq!(settings(None).unwrap().rules.limit, 2);
    let other = settings(Some(r#"{"gated_agents":["planner"]}"#));
    assert_eq!(other.unwrap().rules.limit, 2);
}

#[test]
fn the_clause_counts_and_is_the_default_s_at_a_limit_of_one() {
    let of = |rules| WipLimit::claim_clause(&settings(Some(rules)).unwrap(), 0);
    assert_eq!(
        of(r#"{"limit":3}"#),
        "AND NOT ( jobs.agent = 'analyst' AND ( (SELECT count(*) FROM tasks t2 \
         WHERE t2.repo = jobs.repo \
         AND t2.id < jobs.task_id AND t2.stage != 'done') >= 3 OR EXISTS (SELECT 1 \
         FROM repo_freeze f \
         WHERE f.repo = jobs.repo AND f.cleared_at IS NULL) ) ) "
    );
    let default = parse(true, "", true, None).unwrap();
    assert_eq!(of(r#"{"limit":1}"#), Serial::claim_clause(&default, 0));
}

#[test]
fn rules_that_cannot_be_meant_are_refused_with_the_reason() {
    for (json, reason) in [
        (
            r#"{"limit":0}"#,
            "`limit` is 0: write a number from 1 to 1000",
        ),
        (
            r#"{"limit":1001}"#,
            "`limit` is 1001: write a number from 1 to 1000",
        ),
        (
            r#"{"limit":-1}"#,
            "invalid value: integer `-1`, expected usize at line 1 column 11",
        ),
        (
            r#"{"limits":3}"#,
            "unknown field `limits`, expected one of `gated_agents`, `finished_stages`, `repos`, \
             `limit` at line 1 column 9",
        ),
        (
            r#"{"finished_stages":[]}"#,
            "`finished_stages` is empty: name at least one, otherwise no task would ever end",
        ),
    ] {
        assert_eq!(settings(Some(json)), Err(reason.into()));
    }
}
