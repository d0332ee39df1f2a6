//! `job add|finish|fail|requeue|heartbeat`: adds further jobs, and ends, keeps or requeues jobs.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;
use serial_gate::store::{Actor, Claim, Ending, NewJob, json_time, sql_time};

use super::Error;
use super::options::{Shared, Why, user};
use super::output::{Report, noting};
use super::plain_text::token;
use super::text::{command, id, shown};
use super::verb::Verb;

/// Add a job, or end, keep or requeue a claimed one
#[derive(Subcommand)]
#[command(after_help = "Example:\n  serial-gate job finish 12 --token sgc_6rGp3Yw0Qm1VxXh0c2h7Aw")]
pub enum Job {
    Add(Add),
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
    /// The task
    #[arg(allow_negative_numbers = true, value_parser = id)]
    task: i64,
    /// The agent that does it
    agent: String,
    /// The repo it works in [default: the task's]
    #[arg(long)]
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
#[command(after_help = "Example:\n  serial-gate job finish 12 --token sgc_6rGp3Yw0Qm1VxXh0c2h7Aw")]
pub struct Finish {
    #[command(flatten)]
    claimed: ClaimedJob,
}

/// End a claimed job that failed
#[derive(Args)]
#[command(after_help = "\
Example:
  serial-gate job fail 12 --token sgc_6rGp3Yw0Qm1VxXh0c2h7Aw --error 'tests are red'")]
pub struct Fail {
    #[command(flatten)]
    claimed: ClaimedJob,
    /// What went wrong
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
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
        let finished = queue.finished_stages()?;
        let store = queue.store_mut();
        let (now, who) = (Timestamp::now(), user());
        let actor = Actor {
            now,
            who: &who,
            why: "",
        };
        let (mut lease_until, mut note) = (None, None);
        let (job, status, line) = match self {
            Job::Add(Add { task, agent, repo }) => {
                let new = NewJob {
                    task_id: task,
                    agent: &agent,
                    repo: repo.as_deref(),
                };
                let job = store.add_job(now, new)?;
                note = queue.added_job_note(now, job);
                let line = format!("job {job} for `{}` added to task {task}", shown(&agent));
                (job, "queued", line)
            }
            Job::Finish(Finish { claimed }) => {
                let job = claimed.job;
                store.end_job(actor, claimed.claim(), Ending::Done)?;
                (job, "done", format!("job {job} is done"))
            }
            Job::Fail(Fail { claimed, error }) => {
                let (job, error) = (claimed.job, error.as_deref());
                store.end_job(actor, claimed.claim(), Ending::Failed { error })?;
                let again = command(shared, &["job", "requeue", &job.to_string()]);
                let again = again.unwrap_or_default();
                (
                    job,
                    "failed",
                    format!("job {job} failed\n  to try it again: {again}"),
                )
            }
            Job::Requeue(Requeue { job, why }) => {
                store.requeue(why.actor(), job, &finished)?;
                (
                    job,
                    "queued",
                    format!("job {job} is queued again, at its old place"),
                )
            }
            Job::Heartbeat(Heartbeat { claimed }) => {
                let job = claimed.job;
                let until = sql_time(store.heartbeat(actor, claimed.claim(), shared.lease)?);
                let line = format!("job {job} is kept until {until} UTC");
                lease_until = Some(until);
                (job, "running", line)
            }
        };
        let mut report = shared.report();
        let document = json!({ "job_id": job, "status": status, "lease_until": lease_until.as_deref().map(json_time) });
        report.json(&noting(document, note.as_ref()));
        report.line(line);
        report.detail(note.as_deref());
        Ok(report.before_closing(queue))
    }
}
