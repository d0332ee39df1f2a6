//! The rule and its parameters, run natively. That the clause agrees is tested on databases.

#![allow(clippy::unwrap_used, reason = "tests")]

use serial_gate_default_policy::rule::parse;
use serial_gate_default_policy::snapshot::{Freeze, Job, Task, Verdict};

use super::*;

fn settings(rules: Option<&str>) -> Result<Settings<HotfixLane>, String> {
    parse(true, "", true, rules)
}

/// A task of the repo: its id, and the symbols of its stage and label.
type Row = (i64, u32, u32);

const DONE: u32 = 4;
const REVIEW: u32 = 5;
const HOTFIX: u32 = 6;
const FEATURE: u32 = 7;

/// What holds a job of a task in a repo with these tasks.
fn verdict(task_id: Option<TaskRef>, tasks: &[Row], frozen: bool) -> Verdict {
    let symbols = [
        "alpha", "analyst", "queued", "done", "review", "hotfix", "feature",
    ];
    let [alpha, analyst, queued] = [1, 2, 3].map(Symbol::new);
    let tasks = tasks.iter().map(|(id, stage, label)| Task {
        id: *id,
        repo: alpha,
        stage: Symbol::new(*stage),
        label: Symbol::new(*label),
    });
    let job = Job {
        id: 1,
        task_id,
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
        symbols: symbols.into_iter().collect(),
        tasks: tasks.collect(),
        jobs: [job].into_iter().collect(),
        freezes: [freeze].into_iter().collect(),
    };
    let decisions: Vec<Decision> =
        HotfixLane::decide(&settings(None).unwrap(), 0, &snapshot).unwrap();
    decisions.into_iter().next().unwrap().verdict
}

fn id(id: i64) -> Option<TaskRef> {
    Some(TaskRef::Id(id))
}

fn held(earlier_task: i64, rule: Option<&str>) -> Verdict {
    Verdict::Hold(Hold {
        earlier_task: Some(earlier_task),
        freeze: None,
        rule: rule.map(Into::into),
    })
}

const OVERTAKEN: Option<&str> = Some("an unfinished hotfix of the repo goes first");

#[test]
fn a_hotfix_passes_ordinary_tasks_and_a_freeze() {
    let tasks = [(1, REVIEW, FEATURE), (2, REVIEW, HOTFIX)];
    assert_eq!(verdict(id(2), &tasks, true), Verdict::Claim);
}

#[test]
fn a_hotfix_waits_for_earlier_hotfixes_that_are_unfinished() {
    let tasks = [
        (1, DONE, HOTFIX),
        (2, REVIEW, HOTFIX),
        (3, REVIEW, HOTFIX),
        (4, REVIEW, HOTFIX),
    ];
    assert_eq!(verdict(id(3), &tasks, false), held(2, None));
    assert_eq!(verdict(id(2), &tasks, false), Verdict::Claim);
}

#[test]
fn an_ordinary_task_waits_for_a_later_hotfix_until_it_is_done() {
    let tasks = |stage| [(1, REVIEW, FEATURE), (2, stage, HOTFIX)];
    assert_eq!(verdict(id(1), &tasks(REVIEW), false), held(2, OVERTAKEN));
    assert_eq!(verdict(id(1), &tasks(DONE), false), Verdict::Claim);
}

#[test]
fn an_ordinary_task_waits_for_earlier_ones_and_names_the_first() {
    let tasks = [(1, REVIEW, FEATURE), (2, REVIEW, HOTFIX)];
    assert_eq!(verdict(id(3), &tasks, false), held(1, None));
}

#[test]
fn a_job_without_a_task_of_its_own_is_ordinary() {
    let tasks = [(2, REVIEW, HOTFIX)];
    assert_eq!(verdict(None, &tasks, false), held(2, OVERTAKEN));
    assert_eq!(verdict(id(7), &tasks, false), held(2, None));
    let after = Some(TaskRef::AfterEveryId);
    assert_eq!(verdict(after, &tasks, false), held(2, None));
    let fraction = Some(TaskRef::BeforeId(2));
    assert_eq!(verdict(fraction, &tasks, false), held(2, OVERTAKEN));
}

#[test]
fn the_clause_asks_for_the_label_of_the_operator() {
    let settings = parse(true, "", false, Some(r#"{"label":"it's urgent"}"#)).unwrap();
    assert_eq!(
        HotfixLane::claim_clause(&settings, 0),
        "AND NOT ( jobs.agent = 'analyst' AND ( \
         EXISTS (SELECT 1 FROM tasks t2 WHERE t2.repo = jobs.repo AND t2.id < jobs.task_id \
         AND t2.stage != 'done' AND t2.gate_label = 'it''s urgent') \
         OR (NOT EXISTS (SELECT 1 FROM tasks t1 WHERE t1.id = jobs.task_id \
         AND t1.gate_label = 'it''s urgent') \
         AND EXISTS (SELECT 1 FROM tasks t2 WHERE t2.repo = jobs.repo \
         AND (t2.id < jobs.task_id OR t2.gate_label = 'it''s urgent') AND t2.stage != 'done')) ) ) "
    );
}

#[test]
fn rules_that_cannot_be_meant_are_refused_with_the_reason() {
    for (json, reason) in [
        (
            r#"{"label":""}"#,
            "`label` is empty: name the label of a hotfix, such as `hotfix`",
        ),
        (
            r#"{"label":"é"}"#,
            "`é` in `label` is not printable ASCII: a clause cannot hold it",
        ),
        (
            r#"{"labels":["hotfix"]}"#,
            "unknown field `labels`, expected one of `gated_agents`, `finished_stages`, `repos`, \
             `label` at line 1 column 9",
        ),
        (
            r#"{"gated_agents":[]}"#,
            "`gated_agents` is empty: name at least one, set `enabled` to false to hold nothing",
        ),
    ] {
        assert_eq!(settings(Some(json)), Err(reason.into()));
    }
}
