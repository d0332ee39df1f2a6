//! What helps a job that waits: the kinds of advice, in words and as a command.
//!
//! Owns the words, the verbs of the command line that do it, and the document. Leaves which advice
//! is given to `remedy`. Callers rely on this: texts of the database go through the caller's `show`
//! in the words, and a command can be pasted.

use serde::Serialize;
use utoipa::ToSchema;

use super::named::KnownTask;
use super::stages::end_meant;
use super::words::time;
use crate::printable::{Show, as_it_is};
use crate::store::FrozenDeploy;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advice {
    /// The job failed, and may be tried again.
    TryAgain {
        /// The job.
        job: i64,
    },
    /// A worker has the job.
    Wait {
        /// The job.
        job: i64,
        /// The worker.
        worker: Option<String>,
        /// When its lease ends, UTC.
        until: Option<String>,
        /// Whether the job's task is finished.
        is_over: bool,
    },
    /// The job's task is finished: a claim after its lease cancels it.
    NextClaimCancels {
        /// The job.
        job: i64,
        /// When its delay ends, UTC, if that goes on.
        until: Option<String>,
        /// Whether its task ends only then, because its branch was merged.
        is_merged: bool,
    },
    /// The job's lease is over.
    NextClaim {
        /// The job.
        job: i64,
    },
    /// Another program started the job.
    LookAtProgram {
        /// The job.
        job: i64,
        /// Its status.
        status: Option<String>,
        /// Whether the job's task is finished.
        is_over: bool,
    },
    /// The job's branch could not be cut, or an attempt failed.
    WaitForRetry {
        /// The job.
        job: i64,
        /// When it is tried again, UTC; none if the next claim does that.
        until: Option<String>,
    },
    /// The job waits for a worker.
    StartWorker {
        /// The job.
        job: i64,
        /// Its agent.
        agent: String,
    },
    /// The job in front is held itself, for another reason.
    LookAtJob {
        /// The job.
        job: i64,
    },
    /// Every job of the task has ended, or it has none: it goes on with another.
    AddJob {
        /// The task.
        task: KnownTask,
        /// The agent of its stage in the pipeline.
        agent: Option<String>,
    },
    /// The task waits for its merge, by the pipeline.
    Merge {
        /// The task.
        task: KnownTask,
    },
    /// Every job of the task has ended: it may be done.
    EndTask {
        /// The task.
        task: KnownTask,
    },
    /// The task's stage looks like a finished one, and is not.
    FixStage {
        /// The task.
        task: KnownTask,
        /// The stage.
        stage: String,
        /// The finished stage that was probably meant.
        meant: String,
    },
    /// The repo is frozen.
    Unfreeze {
        /// The repo.
        repo: String,
        /// The deploy that it is about; empty if that has no name.
        deploy: Option<String>,
    },
    /// The task in front could be ended, and its work skipped.
    Skip {
        /// The task.
        task: KnownTask,
        /// The jobs that this cancels.
        cancels: Vec<i64>,
        /// Whether it takes force, because a job of it may be worked on.
        force: bool,
    },
}

/// The same as a document.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Advice)]
pub struct AdviceDocument {
    /// Which remedy it is
    #[schema(example = "unfreeze")]
    remedy: &'static str,
    /// The task that it is about
    task_id: Option<i64>,
    /// That task's work item
    work_item_id: Option<String>,
    /// The job that it is about
    job_id: Option<i64>,
    /// The repo that it is about
    repo: Option<String>,
    /// What to do, in words
    text: String,
    /// The command that does it, without the name of the database
    command: Option<String>,
}

impl Advice {
    /// To open a repo again that a deploy has frozen.
    pub fn after(repo: &str, deploy: &FrozenDeploy) -> Advice {
        Advice::Unfreeze {
            repo: repo.into(),
            deploy: Some(deploy.deploy.clone().unwrap_or_default()),
        }
    }

    /// Its name in documents.
    pub fn name(&self) -> &'static str {
        match self {
            Advice::TryAgain { .. } => "try_again",
            Advice::Wait { .. } => "wait",
            Advice::NextClaim { .. } => "next_claim",
            Advice::NextClaimCancels { .. } => "next_claim_cancels",
            Advice::LookAtProgram { .. } => "look_at_program",
            Advice::WaitForRetry { .. } => "wait_for_retry",
            Advice::StartWorker { .. } => "start_worker",
            Advice::LookAtJob { .. } => "look_at_job",
            Advice::AddJob { .. } => "add_job",
            Advice::Merge { .. } => "merge",
            Advice::EndTask { .. } => "end_task",
            Advice::FixStage { .. } => "fix_stage",
            Advice::Unfreeze { .. } => "unfreeze",
            Advice::Skip { .. } => "skip",
        }
    }

    /// In a few words, which a command may follow.
    pub fn in_words(&self, show: Show<'_>) -> String {
        let time = |until: &Option<String>| until.as_deref().map(|until| time(until, show));
        match self {
            Advice::TryAgain { job } => {
                format!("when the cause is gone, try job {job} again")
            }
            Advice::Wait {
                job,
                worker,
                until,
                is_over,
            } => {
                let worker = worker
                    .as_deref()
                    .map(|worker| format!("`{}`", show(worker)));
                let then = match is_over {
                    true => "cancelled, for its task is finished",
                    false => "requeued",
                };
                let until = time(until).map(|until| {
                    format!("; if it sends no heartbeat by {until}, the job is {then}")
                });
                format!(
                    "wait for {}, which has job {job}{}",
                    worker.unwrap_or_else(|| "its worker".into()),
                    until.unwrap_or_default()
                )
            }
            Advice::NextClaim { job } => {
                format!("the next claim requeues job {job}; to requeue it now")
            }
            Advice::NextClaimCancels {
                job,
                until,
                is_merged,
            } => {
                let after = time(until).map(|until| format!(" after {until}"));
                let after = after.unwrap_or_default();
                let why = match is_merged {
                    true => "the branch of its task was merged, and the task ends with it",
                    false => "its task is finished",
                };
                format!("the next claim{after} cancels job {job}: {why}")
            }
            Advice::LookAtProgram {
                job,
                status,
                is_over,
            } => {
                let status = status.as_deref().map_or("NULL".into(), show);
                let look = format!("look at the program that made job {job} `{status}`");
                if *is_over {
                    format!("{look}: its task is finished, and the job cannot be requeued")
                } else if status == "running" {
                    format!("{look}; if it is gone")
                } else {
                    format!("{look}: the gate does not know this status")
                }
            }
            Advice::WaitForRetry { job, until } => {
                let again = time(until)
                    .map_or(format!("the next claim tries job {job} again"), |until| {
                        format!("job {job} is tried again after {until}")
                    });
                format!("mend the cause; {again}")
            }
            Advice::StartWorker { job, agent } => format!(
                "have a worker for `{}` take job {job}; if none runs, start one",
                show(agent)
            ),
            Advice::LookAtJob { job } => format!("see what holds job {job}"),
            Advice::AddJob { task, .. } => {
                format!("if {} is not over, add its next job", task.in_words(show))
            }
            Advice::Merge { task } => {
                format!("{} waits to be merged; when it is", task.in_words(show))
            }
            Advice::EndTask { task } => {
                format!("when the work of {} is merged", task.in_words(show))
            }
            Advice::FixStage { task, stage, meant } => format!(
                "`{}` is not a finished stage, `{}` is; if {} is over",
                show(stage),
                show(meant),
                task.in_words(show)
            ),
            Advice::Unfreeze { deploy, .. } => match deploy.as_deref() {
                None => "when the repo may go on".into(),
                Some("") => "when the deploy is mended or rolled back".into(),
                Some(deploy) => {
                    format!("when deploy `{}` is mended or rolled back", show(deploy))
                }
            },
            Advice::Skip { task, cancels, .. } => {
                let jobs: Vec<String> = cancels.iter().map(ToString::to_string).collect();
                let cancels = match jobs.as_slice() {
                    [] => String::new(),
                    [job] => format!(", which cancels job {job}"),
                    jobs => format!(", which cancels jobs {}", jobs.join(", ")),
                };
                format!(
                    "only if the work of {} is to be skipped{cancels}",
                    task.in_words(show)
                )
            }
        }
    }

    /// The words of the command line that do it, after the program's name; none if it takes none.
    /// What is to be filled in is in capitals.
    pub fn arguments(&self) -> Option<Vec<String>> {
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        match self {
            Advice::TryAgain { job } | Advice::NextClaim { job } => {
                words(&["job", "requeue", &job.to_string()])
            }
            Advice::LookAtProgram {
                job,
                status,
                is_over: false,
            } if status.as_deref() == Some("running") => {
                words(&["job", "requeue", &job.to_string()])
            }
            Advice::StartWorker { agent, .. } => {
                words(&["work", "--agent", agent, "--", "COMMAND"])
            }
            Advice::LookAtJob { job } => words(&["explain", &job.to_string()]),
            Advice::AddJob { task, agent } => {
                let agent = agent.as_deref().unwrap_or("AGENT");
                words(&["job", "add", &task.id.to_string(), agent])
            }
            Advice::EndTask { task } | Advice::Merge { task } => {
                words(&["task", "done", &task.id.to_string()])
            }
            Advice::FixStage { task, stage, .. } => {
                words(&["task", end_meant(stage), &task.id.to_string()])
            }
            Advice::Unfreeze { repo, .. } => words(&["unfreeze", repo]),
            Advice::Skip { task, force, .. } => {
                let force: &[&str] = if *force {
                    &["--force", "--reason", "TEXT"]
                } else {
                    &[]
                };
                words(&[&["task", "done", &task.id.to_string()], force].concat())
            }
            Advice::Wait { .. }
            | Advice::NextClaimCancels { .. }
            | Advice::WaitForRetry { .. }
            | Advice::LookAtProgram { .. } => None,
        }
    }

    /// The same as a line for a shell, on the default database. None if it would hold what cannot
    /// be seen.
    pub fn command(&self) -> Option<String> {
        let mut arguments = self.arguments()?;
        let hides = |word: &String| word.chars().any(|c| c.is_control());
        if arguments.iter().any(hides) {
            return None;
        }
        // A name that begins with a dash would be taken for a flag.
        if let Some(last) = arguments.pop_if(|last| last.starts_with('-')) {
            arguments.extend(["--".to_owned(), last]);
        }
        let words = arguments.iter().map(String::as_str);
        shlex::try_join(std::iter::once("serial-gate").chain(words)).ok()
    }

    /// As a document.
    pub fn to_document(&self) -> AdviceDocument {
        let (task, job, repo) = match self {
            Advice::TryAgain { job }
            | Advice::Wait { job, .. }
            | Advice::NextClaim { job }
            | Advice::NextClaimCancels { job, .. }
            | Advice::LookAtProgram { job, .. }
            | Advice::WaitForRetry { job, .. }
            | Advice::StartWorker { job, .. }
            | Advice::LookAtJob { job } => (None, Some(job), None),
            Advice::AddJob { task, .. }
            | Advice::Merge { task }
            | Advice::EndTask { task }
            | Advice::FixStage { task, .. }
            | Advice::Skip { task, .. } => (Some(task), None, None),
            Advice::Unfreeze { repo, .. } => (None, None, Some(repo)),
        };
        AdviceDocument {
            remedy: self.name(),
            task_id: task.map(|task| task.id),
            work_item_id: task.and_then(|task| task.work_item_id.clone()),
            job_id: job.copied(),
            repo: repo.cloned(),
            text: self.in_words(&as_it_is),
            command: self.command(),
        }
    }
}
