//! The life of a task: its waits with their reasons, its attempts, and what happened in between.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serial_gate::queue::{Because, Queue, Timeline, What};
use serial_gate::store::{Actor, Claimed, Ending, NewTask, Retry, sql_time};

use super::{before, now};
use crate::support::Gate;

const LEASE: Duration = Duration::from_secs(1800);

fn minutes(at: Option<Timestamp>) -> String {
    at.map_or("…".into(), |at| at.strftime("%H:%M").to_string())
}

/// One line a step. Where the engine's own clock is in the way, times are written by SQL.
fn shown(timeline: &Timeline) -> String {
    let mut lines = String::new();
    for step in &timeline.steps {
        let what = match &step.what {
            What::Added => "added".into(),
            What::Waited {
                job,
                agent,
                because,
            } => {
                let because: Vec<String> = because.iter().map(reason).collect();
                let agent = agent.as_deref().unwrap_or("nobody");
                format!("job {job} for {agent} waited: {}", because.join(", "))
            }
            What::Worked {
                job,
                worker,
                attempt,
                end,
                error,
                ..
            } => {
                let end = end.map_or("?", |end| end.name());
                let error = error.as_deref().unwrap_or("-");
                format!("job {job} on {worker}, attempt {attempt}: {end}, {error}")
            }
            What::Moved { from, to, who, why } => {
                let stage = |stage: &Option<String>| stage.clone().unwrap_or_default();
                format!(
                    "moved from {} to {} by {who}: {why}",
                    stage(from),
                    stage(to)
                )
            }
            What::BranchCut { branch, base } => format!("branch {branch} cut from {base}"),
            What::PullRequest { state, who, .. } => {
                format!("pull request {} by {who}", state.name())
            }
            What::Changed(entry) => {
                format!("{} of {} by {}", entry.action, entry.subject, entry.who)
            }
            What::Ended { outcome, who, why } => {
                let by = who.as_deref().unwrap_or("nobody");
                format!(
                    "{} by {by}: {}",
                    outcome.name(),
                    why.as_deref().unwrap_or("-")
                )
            }
        };
        let until = step.until.map(|until| format!("-{}", minutes(Some(until))));
        let until = until.unwrap_or_default();
        lines += &format!("{}{until} {what}\n", minutes(Some(step.at)));
    }
    lines
}

fn reason(because: &Because) -> String {
    match because {
        Because::EarlierTask { task, until, .. } => {
            format!("task {task} until {}", minutes(*until))
        }
        Because::Frozen {
            freeze,
            from,
            until,
            reason,
        } => {
            let reason = reason.as_deref().unwrap_or("-");
            format!(
                "freeze {freeze} {}-{} {reason}",
                minutes(Some(*from)),
                minutes(*until)
            )
        }
        Because::MoreFreezes { count } => format!("{count} more freezes"),
        Because::Delay => "a delay".into(),
        Because::NoWorker { from, until } => {
            format!(
                "no worker {}-{}",
                minutes(Some(*from)),
                minutes(Some(*until))
            )
        }
    }
}

/// A queue whose steps are made at certain minutes. Claims on a server have its own time, so the
/// rows get theirs afterwards.
struct Life {
    gate: Gate,
    queue: Queue,
}

impl Life {
    fn new() -> Life {
        let gate = Gate::new();
        let queue = gate.queue();
        Life { gate, queue }
    }

    fn add(&mut self, minutes: i64) -> i64 {
        let new = NewTask {
            repo: "alpha",
            work_item: None,
            stage: "analysis",
            agent: "analyst",
            label: None,
        };
        let added = self.queue.store_mut().add_task(before(minutes), new);
        added.unwrap().task_id
    }

    fn claim(&mut self, minutes: i64) -> Claimed {
        let at = before(minutes);
        let claimed = self.queue.claim(at, "w-1", LEASE).unwrap().unwrap();
        self.gate.program().run(format!(
            "UPDATE jobs SET gate_claimed_at = '{}', gate_lease_until = '{}' WHERE id = {}",
            sql_time(at),
            sql_time(at + SignedDuration::from_mins(30)),
            claimed.id
        ));
        claimed
    }

    fn end(&mut self, minutes: i64, claimed: &Claimed, ending: Ending<'_>) {
        let actor = actor(before(minutes), "w-1", "");
        self.queue.end_job(actor, claimed.claim(), ending).unwrap();
    }

    fn timeline(&mut self, task: i64) -> Timeline {
        self.queue.timeline(now(), task).unwrap()
    }
}

fn actor<'a>(now: Timestamp, who: &'a str, why: &'a str) -> Actor<'a> {
    Actor { now, who, why }
}

#[test]
fn a_task_waited_for_the_one_before_it_through_a_freeze_and_then_for_a_worker() {
    let mut life = Life::new();
    let first = life.add(300);
    let second = life.add(290);
    let analysis = life.claim(280);
    life.end(250, &analysis, Ending::Done);
    let done = Ending::To { stage: "done" };
    let store = life.queue.store_mut();
    let new = serial_gate::store::NewJob {
        task_id: first,
        agent: "developer",
        repo: None,
    };
    store.add_job(before(250), new).unwrap();
    let freeze = actor(before(220), "kim", "the deploy is red");
    store.freeze(freeze, "alpha", None, None, None).unwrap();
    let development = life.claim(240);
    life.end(200, &development, done);
    let unfreeze = actor(before(150), "kim", "it is green again");
    life.queue
        .store_mut()
        .unfreeze(unfreeze, "alpha", None)
        .unwrap();
    let after = life.claim(100);
    life.end(
        80,
        &after,
        Ending::Failed {
            error: Some("red"),
            retry: Some(Retry {
                attempts: Some(2),
                first: Duration::from_secs(600),
            }),
        },
    );
    life.gate
        .program()
        .run("UPDATE jobs SET gate_lease_until = '2026-03-04 11:20:00' WHERE id = 2");
    let finished = life.queue.finished_stages().unwrap();
    let store = life.queue.store_mut();
    store.requeue_expired(before(60), LEASE, &finished).unwrap();
    let again = life.claim(50);
    life.end(30, &again, Ending::Done);
    let review = actor(before(20), "lee", "looks fine");
    let store = life.queue.store_mut();
    store.set_stage_by(review, &[second], "review").unwrap();
    let new = serial_gate::store::NewJob {
        task_id: second,
        agent: "reviewer",
        repo: None,
    };
    store.add_job(before(20), new).unwrap();
    let freeze = actor(before(10), "kim", "once more");
    store.freeze(freeze, "alpha", None, None, None).unwrap();
    life.gate
        .program()
        .run("UPDATE repo_freeze SET gate_number = id");
    insta::assert_snapshot!(shown(&life.timeline(first)), @"
    07:30 added
    07:30-07:50 job 1 for analyst waited: no worker 07:30-07:50
    07:50-08:20 job 1 on w-1, attempt 1: done, -
    08:20-08:30 job 3 for developer waited: no worker 08:20-08:30
    08:30-09:10 job 3 on w-1, attempt 1: done, -
    09:10 done by w-1: job 3 is done
    ");
    insta::assert_snapshot!(shown(&life.timeline(second)), @"
    07:40 added
    07:40-10:50 job 2 for analyst waited: task 1 until 09:10, freeze 1 08:50-10:00 the deploy is red, no worker 10:00-10:50
    10:50-11:10 job 2 on w-1, attempt 1: tried_again, attempt 1 of 2 failed: red
    11:10-11:40 job 2 for analyst waited: a delay
    11:40-12:00 job 2 on w-1, attempt 2: done, -
    12:10 moved from analysis to review by lee: looks fine
    12:10 job 4 for reviewer waited:
    ");
}

#[test]
fn each_way_in_which_an_attempt_ends_is_told_once() {
    let mut life = Life::new();
    let task = life.add(300);
    let claimed = life.claim(290);
    let by = |at| actor(before(at), "w-1", "");
    life.queue
        .release(by(280), claimed.claim(), Some("stopped"))
        .unwrap();
    let claimed = life.claim(270);
    let delay = Duration::from_secs(60);
    life.queue
        .defer(by(260), claimed.claim(), delay, "no remote")
        .unwrap();
    let finished = life.queue.finished_stages().unwrap();
    let requeue = |life: &mut Life, at| {
        let store = life.queue.store_mut();
        let kim = actor(before(at), "kim", "again");
        store.requeue(kim, 1, None, &finished).unwrap();
    };
    requeue(&mut life, 250);
    let claimed = life.claim(240);
    life.end(
        230,
        &claimed,
        Ending::Failed {
            error: Some("red"),
            retry: None,
        },
    );
    requeue(&mut life, 220);
    life.claim(210);
    requeue(&mut life, 200);
    life.claim(190);
    let store = life.queue.store_mut();
    store
        .requeue_expired(before(120), LEASE, &finished)
        .unwrap();
    life.claim(110);
    insta::assert_snapshot!(shown(&life.timeline(task)), @"
    07:30 added
    07:30-07:40 job 1 for analyst waited: no worker 07:30-07:40
    07:40-07:50 job 1 on w-1, attempt 1: given_back, stopped
    07:50-08:00 job 1 for analyst waited: no worker 07:50-08:00
    08:00-08:10 job 1 on w-1, attempt 2: put_off, no remote
    08:10-08:30 job 1 for analyst waited: a delay
    08:20 job requeue of job 1 by kim
    08:30-08:40 job 1 on w-1, attempt 3: failed, red
    08:50 job requeue of job 1 by kim
    08:50-09:00 job 1 for analyst waited: no worker 08:50-09:00
    09:00-09:10 job 1 on w-1, attempt 4: requeued, -
    09:10 job requeue of job 1 by kim
    09:10-09:20 job 1 for analyst waited: no worker 09:10-09:20
    09:20-09:50 job 1 on w-1, attempt 5: lease_over, -
    09:50-10:40 job 1 for analyst waited: no worker 09:50-10:40
    10:40-11:10 job 1 on w-1, attempt 6: ?, -
    ");
}

#[test]
fn what_is_still_going_on_has_no_end_and_no_reason_but_facts() {
    let mut life = Life::new();
    let first = life.add(60);
    let second = life.add(50);
    life.claim(20);
    assert_eq!(life.timeline(first).steps.len(), 3);
    insta::assert_snapshot!(shown(&life.timeline(first)), @"
    11:30 added
    11:30-12:10 job 1 for analyst waited: no worker 11:30-12:10
    12:10 job 1 on w-1, attempt 1: ?, -
    ");
    insta::assert_snapshot!(shown(&life.timeline(second)), @"
    11:40 added
    11:40 job 2 for analyst waited: task 1 until …
    ");
    assert!(life.queue.timeline(now(), 99).is_err());
}

#[test]
fn a_long_life_is_cut_at_its_begin() {
    let mut life = Life::new();
    let task = life.add(3_000);
    for number in 0..120 {
        let at = 2_990 - number * 10;
        let claimed = life.claim(at);
        let by = actor(before(at - 5), "w-1", "");
        life.queue.release(by, claimed.claim(), None).unwrap();
    }
    let timeline = life.timeline(task);
    assert!(timeline.is_cut);
    assert_eq!(timeline.steps.len(), 200);
    let at: Vec<Timestamp> = timeline.steps.iter().map(|step| step.at).collect();
    assert!(at.is_sorted());
    assert_eq!(timeline.steps.last().unwrap().until, None);
}

#[test]
fn a_branch_a_pull_request_and_a_cancelled_task_are_told() {
    let mut life = Life::new();
    let task = life.add(60);
    life.gate.program().run(format!(
        "UPDATE tasks SET gate_branch = 'b', gate_base = 'main', gate_base_commit = 'c',
            gate_cut_at = '{}'",
        sql_time(before(50))
    ));
    life.gate.program().run(format!(
        "INSERT INTO serial_gate_pull (task, branch, state, forge, who, at)
         VALUES (1, 'b', 'open', 'github', 'octo', '{}')",
        sql_time(before(40))
    ));
    insta::assert_snapshot!(shown(&life.timeline(task)), @"
    11:30 added
    11:30 job 1 for analyst waited: 
    11:40 branch b cut from main
    11:50 pull request open by octo
    ");
    let kim = actor(before(30), "kim", "not needed");
    life.queue
        .cancel_tasks(kim, &[task], serial_gate::queue::Running::default())
        .unwrap();
    insta::assert_snapshot!(shown(&life.timeline(task)), @"
    11:30 added
    11:30-12:00 job 1 for analyst waited: 
    11:40 branch b cut from main
    12:00 cancelled by kim: not needed
    ");
}
