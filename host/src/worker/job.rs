//! One job of a worker: its branch, its command, its end.
//!
//! Owns the order of these steps, and what happens to the job when one of them fails. Leaves the
//! putting back to `in_hand`.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;

use super::branch::{self, Project};
use super::child::{self, Ended, plainly};
use super::command::{self, AtFault, Besides};
use super::heartbeat::Heartbeat;
use super::in_hand::InHand;
use super::line::Form;
use super::{Error, Outcome, PAUSE, Worker, output};
use crate::backoff::backoff;
use crate::error::with_causes;
use crate::queue::{self, Queue};
use crate::store::{Claimed, Ending, Retry, TaskBranch};

/// The exit code by which a command sends its task back to the stage before, by the pipeline.
pub const SENT_BACK: i32 = 10;

/// A command that has done its job.
enum Done {
    /// Its task goes on.
    Forward,
    /// Its task goes back.
    Back,
}

impl Worker<'_> {
    /// Does one job, and ends it or puts it back.
    pub(super) fn job(
        &self,
        queue: &mut Queue,
        job: &Claimed,
        name: &str,
    ) -> Result<Outcome, Error> {
        let database = queue.store().database().clone();
        let mut hand = InHand {
            queue,
            claim: job.claim(),
            worker: name,
            clock: self.clock,
        };
        let (claim, lease) = (hand.claim, self.setup.lease);
        let begun = Heartbeat::begin(&database, self.shutdown, self.clock, claim, name, lease);
        let mut heartbeat = match begun {
            Ok(heartbeat) => heartbeat,
            Err(error) => return Ok(hand.release_and_pause(with_causes(&error))),
        };
        let project = branch::project_of(&self.setup.projects, job.repo.as_deref());
        if project.is_none() && job.repo.is_some() && !self.setup.projects.is_empty() {
            self.no_project.call_once(|| {
                tracing::info!(
                    "job {} is in a repo without a `[[project]]`: no branch is cut for it",
                    job.id
                );
            });
        }
        let branch = match self.prepare(&mut hand, project, job, &mut heartbeat) {
            Ok(branch) => branch,
            Err(error) => return Ok(self.defer(&mut hand, &error, &heartbeat)),
        };
        tracing::info!("job {} of {}: begun", job.id, of(job));
        let sent_back_by = hand.queue.store().sent_back_by(job.id);
        let besides = Besides {
            project,
            branch: branch.as_ref(),
            sent_back_by: match sent_back_by {
                Ok(by) => by,
                Err(error) => return Ok(hand.release_and_pause(with_causes(&error))),
            },
        };
        let mut command = match command::of(self.setup, job, besides, database.location.file()) {
            Ok(command) => command,
            Err(error) => return Ok(hand.release_and_pause(plainly(&error))),
        };
        let form = Form::of(job, self.setup.prints_json);
        let (ran, last) = output::run(&mut command, &form, self.put, |command| {
            child::run(command, self.setup.timeout, &mut || {
                hand.queue.store().let_go_of_moved_files();
                heartbeat.cancelled()
            })
        });
        let ended = match ran {
            Ok(Ended::Exited(status)) if status.success() => Ok(Done::Forward),
            Ok(Ended::Exited(status)) if status.code() == Some(SENT_BACK) => Ok(Done::Back),
            // The worker's signal may have reached all its processes: the job has not failed.
            Ok(Ended::Exited(status))
                if status.signal().is_some() && self.shutdown.is_draining() =>
            {
                let why = format!("its command ended with {status} as its worker was stopped");
                return Ok(hand.release(&why));
            }
            Ok(Ended::Exited(status)) => {
                Err(format!("the command {}{}", how(status), last.complaint()))
            }
            Ok(Ended::OutOfTime) => {
                let limit = self.setup.timeout.unwrap_or_default();
                Err(format!(
                    "the command was ended after {} s",
                    limit.as_secs_f32()
                ))
            }
            Ok(Ended::Stopped) if heartbeat.has_lost_claim() => return Ok(Outcome::GivenUp),
            Ok(Ended::Stopped | Ended::Asked) => return Ok(hand.release("its worker was stopped")),
            Err(cause) => match command::at_fault(&cause) {
                AtFault::Command => {
                    hand.release("its worker's command cannot be run");
                    let program = self.setup.command.0.clone();
                    return Err(Error::Command { program, cause });
                }
                AtFault::Job => Err(command::unfit(&cause).into()),
                AtFault::Machine => return Ok(hand.release_and_pause(plainly(&cause))),
            },
        };
        if let Some(text) = last.text().filter(|_| self.setup.keeps_output) {
            hand.keep_output(&text);
        }
        Ok(self.end(&mut hand, ended, &mut heartbeat))
    }

    /// The task's branch. With a project, it is cut now, unless it was cut before. `None` without a
    /// branch, or for a job in another repo than its task's.
    fn prepare(
        &self,
        hand: &mut InHand<'_>,
        project: Option<&Project>,
        job: &Claimed,
        heartbeat: &mut Heartbeat<'_>,
    ) -> Result<Option<TaskBranch>, branch::Error> {
        let Some(task) = job.task_id else {
            return Ok(None);
        };
        let (store, claim) = (hand.queue.store_mut(), hand.claim);
        if store.task(task)?.is_none_or(|task| task.repo != job.repo) {
            return Ok(None);
        }
        let Some(project) = project else {
            return Ok(store.branch(task)?.filter(|branch| branch.cut_at.is_some()));
        };
        let mut cancelled = || heartbeat.cancelled();
        branch::cut(store, project, claim, task, &self.clock, &mut cancelled).map(Some)
    }

    /// Puts a job whose branch was not cut back for a later attempt. The delay grows with each
    /// attempt; after the last one, the job fails.
    fn defer(
        &self,
        hand: &mut InHand<'_>,
        error: &branch::Error,
        heartbeat: &Heartbeat<'_>,
    ) -> Outcome {
        let job = hand.claim.job;
        if heartbeat.has_lost_claim() {
            return Outcome::GivenUp;
        }
        if self.shutdown.cancelled() {
            return hand.release("its worker was stopped");
        }
        let said = format!("its branch could not be cut: {}", with_causes(error));
        let defer = |hand: &mut InHand<'_>| -> Result<Outcome, queue::Error> {
            let tries = hand.queue.store().times_put_off(job)?.saturating_add(1);
            if error.is_for_good() || tries >= self.setup.tries {
                let failed = Ending::Failed {
                    error: Some(&said),
                    retry: None,
                };
                let actor = hand.actor();
                hand.queue.end_job(actor, hand.claim, failed)?;
                tracing::warn!("job {job} has failed: {said}");
                return Ok(Outcome::Failed);
            }
            let delay = backoff(self.setup.retry_after, &format!("job {job}"), tries);
            let actor = hand.actor();
            hand.queue.defer(actor, hand.claim, delay, &said)?;
            tracing::warn!(
                "job {job} is put off for {} s: {said}",
                delay.as_secs_f32().ceil()
            );
            Ok(Outcome::Deferred)
        };
        defer(hand).unwrap_or_else(|error| {
            tracing::error!(
                "job {job} comes back when its lease expires: {}",
                with_causes(&error)
            );
            Outcome::GivenUp
        })
    }

    /// Ends a job. If the database refuses, tries again while the claim lasts.
    fn end(
        &self,
        hand: &mut InHand<'_>,
        ended: Result<Done, String>,
        heartbeat: &mut Heartbeat<'_>,
    ) -> Outcome {
        let job = hand.claim.job;
        let ending = match &ended {
            Ok(Done::Forward) => Ending::Done,
            Ok(Done::Back) => Ending::Back,
            Err(error) => Ending::Failed {
                error: Some(error),
                retry: Some(Retry {
                    attempts: self.setup.attempts,
                    first: self.setup.retry_after,
                }),
            },
        };
        let ended = loop {
            let actor = hand.actor();
            match hand.queue.end_job(actor, hand.claim, ending) {
                Ok(ended) => break ended,
                Err(error) if error.ended_as().is_some_and(is_by_a_worker) => {
                    tracing::warn!("{error}, and the end of its command changes nothing");
                    return match error.ended_as() {
                        Some("done") => Outcome::Done,
                        _ => Outcome::Failed,
                    };
                }
                Err(error) if error.is_about_the_claim() || heartbeat.cancelled() => {
                    tracing::warn!(
                        "job {job} has ended, but this is not recorded: {}",
                        with_causes(&error)
                    );
                    return Outcome::GivenUp;
                }
                Err(error) => {
                    tracing::warn!(
                        "job {job} has ended, but this is not recorded yet: {}",
                        with_causes(&error)
                    );
                    thread::sleep(PAUSE);
                }
            }
        };
        let error = ended.error.as_deref().unwrap_or_default();
        if let Some(at) = &ended.again_at {
            tracing::warn!("job {job} is tried again after {at} UTC: {error}");
            return Outcome::Deferred;
        }
        if ended.has_failed() {
            tracing::warn!("job {job} has failed: {error}");
            return Outcome::Failed;
        }
        if let Some(stayed) = &ended.stayed {
            tracing::info!("job {job}: done; {}", stayed.in_words());
            return Outcome::Done;
        }
        match &ended.moved {
            None => tracing::info!("job {job}: done"),
            Some(moved) => tracing::info!(
                "job {job}: done; {}",
                moved.in_words(&|text| text.escape_debug().to_string())
            ),
        }
        Outcome::Done
    }
}

/// Whether the command, or another program, has ended the job with its token.
fn is_by_a_worker(outcome: &str) -> bool {
    ["done", "failed"].contains(&outcome)
}

/// A job's task and repo, for the log.
fn of(job: &Claimed) -> String {
    let task = || job.task_id.map(|task| format!("task {task}"));
    let name = job.work_item_id.clone().or_else(task);
    let (name, repo) = (name.unwrap_or_default(), job.repo.as_deref());
    let (name, repo) = (name.escape_debug(), repo.unwrap_or_default().escape_debug());
    format!("`{name}` in `{repo}`")
}

/// How a command ended by itself: `exited with 1`.
fn how(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exited with {code}"),
        None => format!("ended with {status}"),
    }
}
