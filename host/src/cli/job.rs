//! `job add|finish|fail|requeue|heartbeat|list|show`: adds further jobs, ends, keeps or requeues
//! jobs, and shows them.
//!
//! Leaves the words for a task that moved to the queue.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};
use serial_gate::queue::{Queue, TaskName};
use serial_gate::store::{
    Actor, Claim, EndedJob, Ending, Moved, NewJob, Retry, json_time, sql_time,
};

use super::Error;
use super::lists::JobList;
use super::options::{Shared, Why, user};
use super::output::{Report, noting};
use super::pipeline::attempts;
use super::plain_text::token;
use super::show::JobShow;
use super::text::{command, id, shown, task_name};
use super::verb::Verb;

/// Add a job; end, keep or requeue a claimed one; or look at jobs
#[derive(Subcommand)]
#[command(after_help = "Example:\n  serial-gate job finish 12 --token sgc_6rGp3Yw0Qm1VxXh0c2h7Aw")]
pub enum Job {
    Add(Add),
    List(JobList),
    Show(JobShow),
    Finish(Finish),
    Fail(Fail),
    Requeue(Requeue),
    Heartbeat(Heartbeat),
}

/// Add a queued job to a task
#[derive(Args)]
#[command(after_help = "\
The gate holds jobs of the agents that it gates, such as `analyst`. A job of another
agent may be claimed at once, even in a frozen repo and before the first job of its
task: add it when that one is done.

Example:
  serial-gate job add 7 developer")]
pub struct Add {
    /// The task, by its id or its work item
    #[arg(allow_negative_numbers = true, value_parser = task_name)]
    task: TaskName,
    /// The agent that does it
    agent: String,
    /// The repo it works in [default: the task's]
    #[arg(long, value_parser = super::text::repo)]
    repo: Option<String>,
}

/// A claimed job, with the token that the claim printed.
#[derive(Args)]
pub struct ClaimedJob {
    /// The job
    #[arg(allow_negative_numbers = true, value_parser = id)]
    job: i64,
    /// The token that the claim printed
    #[arg(long, env = "SERIAL_GATE_TOKEN", value_parser = token)]
    token: String,
}

impl ClaimedJob {
    fn claim(&self) -> Claim<'_> {
        Claim {
            job: self.job,
            token: &self.token,
        }
    }
}

/// End a claimed job that was done
#[derive(Args)]
#[command(after_help = "\
With a pipeline, the task goes to the next stage if this was the last job of its
stage. With `--stage` it goes to that stage instead, and the agent of the stage gets a
job: so a reviewer sends work back.

Examples:
  serial-gate job finish 12 --token sgc_6rGp3Yw0Qm1VxXh0c2h7Aw
  serial-gate job finish 12 --token sgc_6rGp3Yw0Qm1VxXh0c2h7Aw --stage development")]
pub struct Finish {
    #[command(flatten)]
    claimed: ClaimedJob,
    /// Move the task to this stage; a finished one ends the task
    #[arg(long, value_name = "STAGE", value_parser = NonEmptyStringValueParser::new())]
    stage: Option<String>,
}

/// End a claimed job that failed
#[derive(Args)]
#[command(after_help = "\
Before its last attempt, the job is put off instead: it is tried again after about 10
seconds, then each time after twice as long, at most half an hour.

Example:
  serial-gate job fail 12 --token sgc_6rGp3Yw0Qm1VxXh0c2h7Aw --error 'tests are red'")]
pub struct Fail {
    #[command(flatten)]
    claimed: ClaimedJob,
    /// What went wrong
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// After how many failed attempts the job has failed [default: the pipeline's, or 1]
    #[arg(long, value_name = "N", value_parser = attempts())]
    attempts: Option<u32>,
}

/// Requeue a running, failed or cancelled job at its old place
#[derive(Args)]
#[command(after_help = "\
A worker that still has the job loses it: its token is refused from then on. A job
of a finished task cannot be requeued until `task stage` has moved the task back to
an unfinished stage.

Example:
  serial-gate job requeue 12")]
pub struct Requeue {
    /// The job
    #[arg(allow_negative_numbers = true, value_parser = id)]
    job: i64,
    #[command(flatten)]
    why: Why,
}

/// Keep a claimed job for another lease
#[derive(Args)]
#[command(after_help = "\
Example:
  serial-gate job heartbeat 12 --token sgc_6rGp3Yw0Qm1VxXh0c2h7Aw --lease 30m")]
pub struct Heartbeat {
    #[command(flatten)]
    claimed: ClaimedJob,
}

impl Verb for Job {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut queue = shared.queue()?;
        let (now, who) = (Timestamp::now(), user());
        let actor = Actor {
            now,
            who: &who,
            why: "",
        };
        let mut lease_until = None;
        let is_added = matches!(self, Job::Add(_));
        let (job, status, line) = match self {
            Job::Finish(verb) => return verb.run(queue, actor, shared),
            Job::Fail(verb) => return verb.run(queue, actor, shared),
            Job::List(verb) => return Ok(verb.run(&mut queue, shared)?.before_closing(queue)),
            Job::Show(verb) => return Ok(verb.run(&mut queue, shared)?.before_closing(queue)),
            Job::Add(Add { task, agent, repo }) => {
                let task = queue.task_named(&task)?;
                let known = queue.known_task(task)?;
                let new = NewJob {
                    task_id: task,
                    agent: &agent,
                    repo: repo.as_deref(),
                };
                let job = queue.store_mut().add_job(now, new)?;
                let line = format!(
                    "job {job} for `{}` added to {}",
                    shown(&agent),
                    known.in_words(&shown)
                );
                (job, "queued", line)
            }
            Job::Requeue(Requeue { job, why }) => {
                let finished = queue.finished_stages()?;
                match queue
                    .store_mut()
                    .requeue(why.actor(), job, None, &finished)?
                {
                    true => {
                        let line = format!("job {job} is queued again, at its old place");
                        (job, "queued", line)
                    }
                    false => {
                        let line = format!(
                            "job {job} is cancelled: the branch of its task was merged, and the \
                             task is done"
                        );
                        (job, "cancelled", line)
                    }
                }
            }
            Job::Heartbeat(Heartbeat { claimed }) => {
                let (job, store) = (claimed.job, queue.store_mut());
                let until = sql_time(store.heartbeat(actor, claimed.claim(), shared.lease)?);
                let line = format!("job {job} is kept until {until} UTC");
                lease_until = Some(until);
                (job, "running", line)
            }
        };
        let note = is_added.then(|| queue.added_job_note(now, job)).flatten();
        let document = json!({ "job_id": job, "status": status, "lease_until": lease_until.as_deref().map(json_time) });
        let mut report = shared.report();
        report.json(&noting(document, note.as_ref()));
        report.line(line);
        report.detail(note.as_deref());
        Ok(report.before_closing(queue))
    }
}

impl Finish {
    fn run(self, mut queue: Queue, actor: Actor<'_>, shared: &Shared) -> Result<Report, Error> {
        let Finish { claimed, stage } = self;
        let ending = match stage.as_deref() {
            None => Ending::Done,
            Some(stage) => Ending::To { stage },
        };
        let ended = queue.end_job(actor, claimed.claim(), ending)?;
        let moved = ended.moved.as_ref();
        let note = queue.sent_note(actor.now, &ended, stage.as_deref());
        let mut report = shared.report();
        report.json(&noting(document(claimed.job, &ended), note.as_ref()));
        report.line(format!("job {} is done", claimed.job));
        if let Some(moved) = moved {
            report.line(moved_line(moved, shared));
        }
        report.detail(note.as_deref());
        Ok(report.before_closing(queue))
    }
}

impl Fail {
    fn run(self, mut queue: Queue, actor: Actor<'_>, shared: &Shared) -> Result<Report, Error> {
        let Fail {
            claimed,
            error,
            attempts,
        } = self;
        let job = claimed.job;
        let retry = Retry {
            attempts,
            first: Retry::FIRST,
        };
        let ending = Ending::Failed {
            error: error.as_deref(),
            retry: Some(retry),
        };
        let ended = queue.end_job(actor, claimed.claim(), ending)?;
        let mut report = shared.report();
        report.json(&document(job, &ended));
        report.line(match &ended.again_at {
            None => {
                let again = command(shared, &["job", "requeue", &job.to_string()]);
                let again = again.unwrap_or_default();
                format!("job {job} failed\n  to try it again: {again}")
            }
            Some(at) => {
                let error = shown(ended.error.as_deref().unwrap_or_default());
                format!("job {job} is tried again after {at} UTC: {error}")
            }
        });
        Ok(report.before_closing(queue))
    }
}

/// What became of a job that ended, in the shape of the service's answer.
fn document(job: i64, ended: &EndedJob) -> Value {
    let mut document = json!({
        "job_id": job, "status": ended.status, "lease_until": ended.again_at.as_deref().map(json_time),
    });
    if let (Some(moved), Some(document)) = (&ended.moved, document.as_object_mut()) {
        document.insert("task_id".into(), moved.task_id.into());
        document.insert("stage".into(), moved.stage.as_str().into());
        if let Some(next) = &moved.next_job {
            document.insert("next_job".into(), json!(next));
        }
    }
    document
}

fn moved_line(moved: &Moved, shared: &Shared) -> String {
    let line = moved.in_words(&shown);
    let done = ["task", "done", &moved.task_id.to_string()];
    match command(shared, &done).filter(|_| moved.waits_for_merge) {
        Some(command) => format!("{line}: when it is, {command}"),
        None => line,
    }
}
