//! The decisions of a rule file.

use alloc::vec;
use alloc::vec::Vec;

use serial_gate_clause::Column;

use super::{file, settings};
use crate::{Fault, Hold, Rows, State};

/// Tasks 1 and 2 and freezes 3 and 4, all of one repo; job 9 is of task 2 there.
fn state() -> State {
    let texts = ["a", "review", "analyst", "queued", "hotfix", "running"];
    let mut ends = vec![0];
    ends.extend(texts.iter().scan(0, |end, text| {
        *end += u32::try_from(text.len()).unwrap();
        Some(*end)
    }));
    State {
        text: texts.concat(),
        ends,
        tasks: Rows {
            ids: vec![1, 2],
            texts: vec![
                (Column::Repo, vec![1, 1]),
                (Column::Stage, vec![2, 2]),
                (Column::GateLabel, vec![0, 5]),
            ],
            ..Rows::default()
        },
        jobs: Rows {
            ids: vec![8, 9],
            task_ids: (vec![1, 2], vec![1, 1]),
            texts: vec![
                (Column::Repo, vec![1, 1]),
                (Column::Agent, vec![3, 3]),
                (Column::Status, vec![6, 4]),
            ],
        },
        freezes: Rows {
            ids: vec![3, 4],
            texts: vec![(Column::Repo, vec![1, 1]), (Column::ClearedAt, vec![0, 0])],
            ..Rows::default()
        },
    }
}

fn held(own: &str) -> Option<Hold> {
    let file = file("{}", own).unwrap();
    let mut decisions = file.decide(settings(None), &state()).unwrap();
    let decision = decisions.remove(0);
    assert_eq!((decision.job, decisions.len()), (9, 0));
    decision.hold
}

#[test]
fn a_hold_names_the_row_that_a_sub_select_found() {
    let hold = |earlier_task, freeze, rule: Option<&str>| {
        Some(Hold {
            earlier_task,
            freeze,
            rule: rule.map(Into::into),
        })
    };
    for (own, expected) in [
        (
            "NOT EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo)",
            hold(Some(1), None, None),
        ),
        (
            "NOT EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo)",
            hold(None, Some(4), None),
        ),
        (
            "(SELECT count(*) FROM tasks t WHERE t.repo = jobs.repo) < 2",
            hold(Some(1), None, None),
        ),
        (
            "jobs.task_id <= (SELECT min(t.id) FROM tasks t WHERE t.repo = jobs.repo)",
            hold(Some(1), None, None),
        ),
        (
            "NOT EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo AND t.gate_label = 'hotfix')",
            hold(
                Some(2),
                None,
                Some("task 2 goes first, although it is not earlier"),
            ),
        ),
        (
            "NOT EXISTS (SELECT 1 FROM jobs j WHERE j.repo = jobs.repo AND j.status = 'running')",
            hold(None, None, Some("job 8 holds it")),
        ),
        (
            "jobs.agent <> 'analyst'",
            hold(
                None,
                None,
                Some("the clause is not true: (\"jobs\".\"agent\" <> 'analyst')"),
            ),
        ),
        (
            "EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo AND t.stage = 'done')",
            hold(
                None,
                None,
                Some(
                    "the clause is not true: (EXISTS (SELECT 1 FROM \"tasks\" AS \"g1\" WHERE \
                     ((\"g1\".\"repo\" = \"jobs\".\"repo\") AND (\"g1\".\"stage\" = 'done'))))",
                ),
            ),
        ),
        (
            "EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo)",
            None,
        ),
    ] {
        assert_eq!(held(own), expected, "{own}");
    }
}

#[test]
fn a_snapshot_that_breaks_the_contract_is_refused() {
    let file = file("{}", "jobs.agent <> 'x'").unwrap();
    let mut short = state();
    short.jobs.task_ids.1.pop();
    let mut unknown = state();
    unknown.tasks.texts[0].1[1] = 7;
    for (state, reason) in [
        (short, "the columns of `jobs` differ in length"),
        (unknown, "symbol 7 is not in `symbols`"),
    ] {
        let fault = file.decide(settings(None), &state).unwrap_err();
        assert_eq!(fault, Fault::Snapshot(reason.into()));
    }
}

#[test]
fn a_blob_equals_no_text_and_comes_after_all_of_them() {
    let mut state = state();
    // The repo and its rows are a blob by now.
    state.text = state.text.replacen('a', "x'61'", 1);
    state.ends.iter_mut().skip(1).for_each(|end| *end += 4);
    for (own, passes) in [
        ("jobs.repo = 'x''61'''", false),
        ("jobs.repo <> 'x''61'''", true),
        ("jobs.repo IN ('x''61''', 'b')", false),
        ("jobs.repo > 'zz'", true),
        ("jobs.repo BETWEEN 'a' AND 'zz'", false),
        (
            "EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo)",
            true,
        ),
    ] {
        let file = file("{}", own).unwrap();
        let decisions = file.decide(settings(None), &state).unwrap();
        let holds: Vec<bool> = decisions.iter().map(|one| one.hold.is_some()).collect();
        assert_eq!(holds, [!passes], "{own}");
    }
}
