//! The rule, natively: `cargo test`. Cases through the real database are in `cases.jsonl`.

use super::*;

const ON: Settings = Settings {
    enabled: true,
    repos: String::new(),
    freeze_enabled: true,
    rules: None,
};

const ALPHA: Symbol = 1;
const ANALYST: Symbol = 2;
const QUEUED: Symbol = 3;
const REVIEW: Symbol = 4;

/// Task 2 of `alpha` is in review, and job 7 belongs to the given task of the same repo.
fn review_of_task_2_and_job_of(task: i64) -> Snapshot {
    Snapshot {
        symbols: Symbols {
            text: "alphaanalystqueuedreview".to_owned(),
            ends: vec![0, 5, 12, 18, 24],
        },
        tasks: Tasks {
            id: vec![2],
            work_item: vec![NULL],
            repo: vec![ALPHA],
            stage: vec![REVIEW],
            label: vec![NULL],
        },
        jobs: Jobs {
            id: vec![7],
            task_id: vec![task],
            task_id_kind: vec![1],
            repo: vec![ALPHA],
            agent: vec![ANALYST],
            status: vec![QUEUED],
        },
        freezes: Freezes {
            id: vec![],
            repo: vec![],
            frozen_at: vec![],
            cleared_at: vec![],
            reason: vec![],
            work_item: vec![],
        },
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
    state.jobs.agent = vec![NULL];
    assert!(matches!(verdict(ON, state), Verdict::Hold(_)));
}

#[test]
fn a_frozen_repo_starts_nothing() {
    let mut state = review_of_task_2_and_job_of(1);
    state.freezes = Freezes {
        id: vec![5],
        repo: vec![ALPHA],
        frozen_at: vec![NULL],
        cleared_at: vec![NULL],
        reason: vec![NULL],
        work_item: vec![NULL],
    };
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
