//! The rule, natively: `cargo test`. Cases through the real database are in `cases.jsonl`.

use super::*;

const ON: Settings = Settings {
    enabled: true,
    repos: String::new(),
    freeze_enabled: true,
    rules: None,
};

const TEXTS: [&str; 5] = [
    "queued",
    "analyst",
    "alpha",
    "review",
    "2026-01-31 12:00:00",
];

/// The number of a text.
fn symbol(text: &str) -> Option<Symbol> {
    let position = TEXTS.iter().position(|known| *known == text);
    Some(position.expect("a text of TEXTS") as Symbol)
}

/// Task 2 of `alpha` is in review, and job 7 belongs to the given task of the same repo.
fn review_of_task_2_and_job_of(task: i64) -> Snapshot {
    Snapshot {
        symbols: TEXTS.map(String::from).to_vec(),
        tasks: vec![Task {
            id: 2,
            work_item: None,
            repo: symbol("alpha"),
            stage: symbol("review"),
            label: None,
        }],
        jobs: vec![Job {
            id: 7,
            task_id: Some(TaskRef::Id(task)),
            repo: symbol("alpha"),
            agent: symbol("analyst"),
            status: symbol("queued"),
        }],
        freezes: vec![],
    }
}

fn verdict(settings: Settings, state: Snapshot) -> Verdict {
    Policy::decide(settings, 0, state)
        .unwrap()
        .remove(0)
        .verdict
}

#[test]
fn a_task_waits_for_the_review_of_an_earlier_one() {
    let Verdict::Hold(hold) = verdict(ON, review_of_task_2_and_job_of(3)) else {
        panic!("job 7 may be claimed");
    };
    assert_eq!((hold.earlier_task, hold.freeze), (Some(2), None));
}

#[test]
fn a_task_waits_for_no_review_of_its_own_or_of_a_later_one() {
    for task in [1, 2] {
        assert!(matches!(
            verdict(ON, review_of_task_2_and_job_of(task)),
            Verdict::Claim
        ));
    }
}

#[test]
fn a_job_without_an_agent_is_held_as_the_clause_holds_it() {
    let mut state = review_of_task_2_and_job_of(3);
    state.jobs[0].agent = None;
    assert!(matches!(verdict(ON, state), Verdict::Hold(_)));
}

#[test]
fn a_frozen_repo_starts_nothing() {
    let mut state = review_of_task_2_and_job_of(1);
    state.freezes = vec![Freeze {
        id: 5,
        repo: symbol("alpha"),
        frozen_at: symbol("2026-01-31 12:00:00"),
        cleared_at: None,
        reason: None,
        work_item: None,
    }];
    assert!(matches!(
        verdict(ON, state),
        Verdict::Hold(Hold {
            freeze: Some(5),
            ..
        })
    ));
}

#[test]
fn the_kill_switch_lets_everything_through() {
    let off = Settings {
        enabled: false,
        ..ON
    };
    assert!(matches!(
        verdict(off, review_of_task_2_and_job_of(3)),
        Verdict::Claim
    ));
}
