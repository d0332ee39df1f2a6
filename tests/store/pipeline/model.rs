//! Random claims, ends, failures and additions, against a small model of the pipeline.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serial_gate::queue::Queue;
use serial_gate::store::{
    Actor, Claim, Claimed, Ending, NewJob, NewTask, Pipeline, PipelineStage, Retry, Then,
};

use crate::support::Gate;
use crate::support::engine::Engine;
use crate::support::random::Rng;

/// The first agent comes again at the end.
const PIPELINE: [(&str, &str); 3] = [("one", "x"), ("two", "y"), ("three", "x")];
const AGENTS: [&str; 3] = ["x", "y", "z"];
const STAGES: [&str; 6] = ["one", "two", "three", "merge", "else", "done"];

#[derive(Debug, Clone, PartialEq)]
struct Job {
    task: usize,
    agent: String,
    status: &'static str,
    failures: u32,
    is_put_off: bool,
}

/// What should be in the tables: a job's or a task's id is its place, from 1.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    stages: Vec<String>,
    jobs: Vec<Job>,
}

impl Model {
    fn add(&mut self, task: usize, agent: &str) {
        self.jobs.push(Job {
            task,
            agent: agent.into(),
            status: "queued",
            failures: 0,
            is_put_off: false,
        });
    }

    fn is_open(&self, task: usize, agent: &str) -> bool {
        let mut jobs = self.jobs.iter();
        jobs.any(|job| {
            job.task == task && job.agent == agent && ["queued", "running"].contains(&job.status)
        })
    }

    /// False if the end is refused.
    fn finish(&mut self, id: usize, to: Option<&str>) -> bool {
        let before = self.clone();
        self.jobs[id - 1].status = "done";
        let Job { task, agent, .. } = self.jobs[id - 1].clone();
        if let Some(to) = to {
            let goes = self.go(task, to);
            if !goes {
                *self = before;
            }
            return goes;
        }
        let Some(place) = PIPELINE
            .iter()
            .position(|(stage, _)| *stage == self.stages[task - 1])
        else {
            return true;
        };
        let mut of_agent = self
            .jobs
            .iter()
            .filter(|job| job.task == task && job.agent == agent);
        let last_failed = of_agent
            .next_back()
            .is_some_and(|job| job.status == "failed");
        if PIPELINE[place].1 == agent && !self.is_open(task, &agent) && !last_failed {
            let next = PIPELINE.get(place + 1).map_or("merge", |(stage, _)| stage);
            assert!(self.go(task, next));
        }
        true
    }

    fn go(&mut self, task: usize, stage: &str) -> bool {
        let last = self.stages[task - 1].clone();
        if last == "done" {
            return true;
        }
        let mut of_task = self.jobs.iter_mut().filter(|job| job.task == task);
        if stage == "done" {
            if of_task.any(|job| job.status == "running" && !job.is_put_off) {
                return false;
            }
            for job in self.jobs.iter_mut().filter(|job| job.task == task) {
                if ["queued", "running"].contains(&job.status) {
                    (job.status, job.is_put_off) = ("cancelled", false);
                }
            }
        }
        self.stages[task - 1] = stage.into();
        let agent_of = |stage: &str| {
            let found = PIPELINE.iter().find(|(name, _)| *name == stage);
            found.map(|(_, agent)| *agent)
        };
        let next = agent_of(stage);
        let is_idle = |job: &&mut Job, agent: &str| {
            job.task == task && job.agent == agent && (job.status == "queued" || job.is_put_off)
        };
        let left = agent_of(&last).filter(|left| last != stage && Some(*left) != next);
        if let Some(left) = left.filter(|_| stage != "done") {
            for job in self.jobs.iter_mut().filter(|job| is_idle(job, left)) {
                (job.status, job.is_put_off) = ("cancelled", false);
            }
        }
        if let Some(agent) = next
            && !self.jobs.iter_mut().any(|mut job| is_idle(&mut job, agent))
        {
            self.add(task, agent);
        }
        true
    }

    fn fail(&mut self, id: usize, attempts: u32) {
        let is_over = self.stages[self.jobs[id - 1].task - 1] == "done";
        let job = &mut self.jobs[id - 1];
        if job.failures + 1 < attempts && !is_over {
            job.failures += 1;
            job.is_put_off = true;
        } else {
            job.status = "failed";
        }
    }

    fn claim(&mut self) -> Option<usize> {
        for job in self.jobs.iter_mut().filter(|job| job.is_put_off) {
            let is_over = self.stages[job.task - 1] == "done";
            job.status = if is_over { "cancelled" } else { "queued" };
            job.is_put_off = false;
        }
        let first = self.jobs.iter().position(|job| job.status == "queued")?;
        self.jobs[first].status = "running";
        Some(first + 1)
    }

    fn requeue(&mut self, id: usize) -> bool {
        let is_over = self.stages[self.jobs[id - 1].task - 1] == "done";
        let job = &mut self.jobs[id - 1];
        let may = ["running", "failed", "cancelled"].contains(&job.status) && !is_over;
        if may {
            (job.status, job.failures, job.is_put_off) = ("queued", 0, false);
        }
        may
    }

    fn shown(&self) -> (Vec<String>, Vec<String>) {
        let jobs = self.jobs.iter();
        let jobs = jobs.map(|job| format!("{} {} {}", job.task, job.agent, job.status));
        (self.stages.clone(), jobs.collect())
    }
}

fn found(gate: &Gate) -> (Vec<String>, Vec<String>) {
    let program = gate.program();
    let stages = program.all("SELECT stage FROM tasks ORDER BY id");
    let jobs =
        "SELECT CAST(task_id AS TEXT) || ' ' || agent || ' ' || status FROM jobs ORDER BY id";
    (stages, program.all(jobs))
}

#[test]
fn random_ends_move_tasks_as_the_model_says() {
    for seed in 0..u64::from(Engine::cases(40)) {
        run(seed);
    }
}

fn run(seed: u64) {
    let gate = Gate::new();
    let mut queue = gate.queue();
    let mut now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut model = Model::default();
    let stages = PIPELINE.map(|(stage, agent)| PipelineStage {
        stage: stage.into(),
        agent: agent.into(),
    });
    let pipeline = Pipeline {
        stages: stages.into(),
        then: Then::Merge,
        attempts: 2,
    };
    queue.set_pipeline(actor(now), &pipeline).unwrap();
    for task in 1..=2 {
        let new = NewTask {
            repo: "alpha",
            work_item: None,
            stage: "one",
            agent: "x",
            label: None,
        };
        queue.store_mut().add_task(now, new).unwrap();
        model.stages.push("one".into());
        model.add(task, "x");
    }
    let mut users = Users {
        last: BTreeMap::new(),
        held: Vec::new(),
        ended: Vec::new(),
        random: Rng::new(seed),
    };
    for step in 0..60 {
        // Every delay is over at the next step.
        now += SignedDuration::from_mins(1);
        users.act(&mut queue, now, &mut model, step);
        assert_eq!(found(&gate), model.shown(), "seed {seed}, step {step}");
        assert_eq!(
            gate.program().one::<i64>(WRONG_ENDS),
            0,
            "seed {seed}, step {step}"
        );
    }
}

/// The jobs that have ended without a time, or have the time of an end and have not ended.
const WRONG_ENDS: &str = "SELECT count(*) FROM jobs
    WHERE (status IN ('done', 'failed', 'cancelled')) != (gate_ended_at IS NOT NULL)";

/// Workers and operators.
struct Users {
    /// The newest fence of each job.
    last: BTreeMap<i64, i64>,
    held: Vec<Claimed>,
    ended: Vec<(Claimed, Option<&'static str>)>,
    random: Rng,
}

impl Users {
    fn act(&mut self, queue: &mut Queue, now: Timestamp, model: &mut Model, step: usize) {
        let Users {
            last,
            held,
            ended,
            random,
        } = self;
        let lease = Duration::from_hours(10);
        match random.below(10) {
            0..=2 => {
                let claimed = queue.claim(now, "w", lease).unwrap();
                let id = claimed.as_ref().map(|claimed| claimed.id);
                assert_eq!(id, model.claim().map(|id| id.try_into().unwrap()), "{step}");
                let fences = claimed.iter().map(|claimed| (claimed.id, claimed.fence));
                last.extend(fences);
                held.extend(claimed);
            }
            kind @ 3..=7 if !held.is_empty() => {
                let claimed = held.remove(random.below(held.len()));
                let id = usize::try_from(claimed.id).unwrap();
                let job = &model.jobs[id - 1];
                let is_last = last.get(&claimed.id) == Some(&claimed.fence);
                let is_lost = !is_last || job.status != "running" || job.is_put_off;
                let to = (kind == 6).then(|| *random.pick(&STAGES));
                let ending = match (kind, to) {
                    (7, _) => Ending::Failed {
                        error: Some("red"),
                        retry: Some(Retry {
                            attempts: None,
                            first: Duration::from_secs(1),
                        }),
                    },
                    (_, Some(stage)) => Ending::To { stage },
                    (_, None) => Ending::Done,
                };
                let answer = queue.end_job(actor(now), claimed.claim(), ending);
                if is_lost {
                    assert!(answer.is_err(), "{step}: {answer:?}");
                    return;
                }
                match ending {
                    Ending::Failed { .. } => {
                        answer.unwrap();
                        model.fail(id, 2);
                    }
                    _ => {
                        let is_made = model.finish(id, to);
                        assert_eq!(answer.is_ok(), is_made, "{step}: {answer:?}");
                        match is_made {
                            true => ended.push((claimed, to)),
                            false => held.push(claimed),
                        }
                    }
                }
            }
            8 if !ended.is_empty() => {
                // The answer was lost: nothing happens again.
                let (claimed, to) = random.pick(ended).clone();
                let ending = to.map_or(Ending::Done, |stage| Ending::To { stage });
                let _ = queue.end_job(actor(now), claimed.claim(), ending);
            }
            8 => {
                let task = 1 + random.below(2);
                let agent = *random.pick(&AGENTS);
                let new = NewJob {
                    task_id: task.try_into().unwrap(),
                    agent,
                    repo: None,
                };
                queue.store_mut().add_job(now, new).unwrap();
                model.add(task, agent);
            }
            _ => {
                let id = 1 + random.below(model.jobs.len());
                let finished = queue.finished_stages().unwrap();
                let job = id.try_into().unwrap();
                let again = queue.store_mut().requeue(actor(now), job, None, &finished);
                assert_eq!(again.is_ok(), model.requeue(id), "{step}: {again:?}");
            }
        }
    }
}

fn actor(now: Timestamp) -> Actor<'static> {
    Actor {
        now,
        who: "kim",
        why: "",
    }
}

#[test]
fn a_token_of_no_claim_moves_nothing() {
    let gate = super::gate(&[]);
    let mut queue = gate.queue();
    let claim = Claim {
        job: 1,
        token: "sgc_none",
    };
    let stage = Ending::To { stage: "review" };
    queue
        .end_job(actor(Timestamp::now()), claim, stage)
        .unwrap_err();
    assert_eq!(super::stage(&gate), "analysis");
}
