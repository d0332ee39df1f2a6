//! What helps a job that waits, by the state of what it waits for.
//!
//! Owns which advice is given, and in which order: what goes on with the work in front comes first, and ending that task,
//! which skips its work, comes last. Leaves the commands to the command line. Callers rely on this: nothing that is advised
//! takes a job from a worker that may be working on it, but for the last resort, which says so.

use serde_json::{Value, json};

use super::explain::{Ahead, FreezeAhead, Held};
use super::words::{Show, as_it_is};
use super::work::Active;
use crate::store::{FrozenDeploy, JobWork, TaskWork, WorkState};

/// Something that helps.
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
    },
    /// The job's branch could not be cut.
    WaitForBranch {
        /// The job.
        job: i64,
        /// When it is tried again, UTC.
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
        task: i64,
    },
    /// Every job of the task has ended: it may be done.
    EndTask {
        /// The task.
        task: i64,
    },
    /// The task's stage looks like a finished one, and is not.
    FixStage {
        /// The task.
        task: i64,
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
        task: i64,
        /// The jobs that this cancels.
        cancels: Vec<i64>,
        /// Whether it takes force, because somebody may be working on it.
        force: bool,
    },
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
            Advice::LookAtProgram { .. } => "look_at_program",
            Advice::WaitForBranch { .. } => "wait_for_branch",
            Advice::StartWorker { .. } => "start_worker",
            Advice::LookAtJob { .. } => "look_at_job",
            Advice::AddJob { .. } => "add_job",
            Advice::EndTask { .. } => "end_task",
            Advice::FixStage { .. } => "fix_stage",
            Advice::Unfreeze { .. } => "unfreeze",
            Advice::Skip { .. } => "skip",
        }
    }

    /// In a few words, which a command may follow.
    pub fn in_words(&self, show: Show<'_>) -> String {
        let time =
            |until: &Option<String>| until.as_deref().map(|until| format!("{} UTC", show(until)));
        match self {
            Advice::TryAgain { job } => {
                format!("when the cause is gone, try job {job} again")
            }
            Advice::Wait { job, worker, until } => {
                let worker = worker
                    .as_deref()
                    .map(|worker| format!("`{}`", show(worker)));
                let until = time(until).map(|until| {
                    format!("; if it is not heard of until {until}, the job is requeued")
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
            Advice::LookAtProgram { job, status } => {
                let status = status.as_deref().map_or("NULL".into(), show);
                let look = format!("look at the program that made job {job} `{status}`");
                if status == "running" {
                    format!("{look}; if it is gone")
                } else {
                    format!("{look}: the gate does not know this status")
                }
            }
            Advice::WaitForBranch { job, until } => format!(
                "mend what keeps the branch of job {job} from being cut; it is tried again after {}",
                time(until).unwrap_or_else(|| "a while".into())
            ),
            Advice::StartWorker { job, agent } => format!(
                "have a worker for `{}` take job {job}; if none runs, start one",
                show(agent)
            ),
            Advice::LookAtJob { job } => format!("see what holds job {job}"),
            Advice::AddJob { task } => format!("if task {task} is not over, add its next job"),
            Advice::EndTask { task } => format!("when the work of task {task} is merged"),
            Advice::FixStage { task, stage, meant } => format!(
                "`{}` is not a finished stage, `{}` is; if task {task} is over",
                show(stage),
                show(meant)
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
                format!("only if the work of task {task} is to be skipped{cancels}")
            }
        }
    }

    /// The words of the command line that do it, after the program's name; none if it takes none. What is to be filled in
    /// is in capitals.
    pub fn arguments(&self) -> Option<Vec<String>> {
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        match self {
            Advice::TryAgain { job } | Advice::NextClaim { job } => {
                words(&["job", "requeue", &job.to_string()])
            }
            Advice::LookAtProgram { job, status } if status.as_deref() == Some("running") => {
                words(&["job", "requeue", &job.to_string()])
            }
            Advice::StartWorker { agent, .. } => {
                words(&["work", "--agent", agent, "--", "COMMAND"])
            }
            Advice::LookAtJob { job } => words(&["explain", &job.to_string()]),
            Advice::AddJob { task } => words(&["job", "add", &task.to_string(), "AGENT"]),
            Advice::EndTask { task } | Advice::FixStage { task, .. } => {
                words(&["task", "done", &task.to_string()])
            }
            Advice::Unfreeze { repo, .. } => words(&["unfreeze", repo]),
            Advice::Skip { task, force, .. } => {
                let force: &[&str] = if *force {
                    &["--force", "--reason", "TEXT"]
                } else {
                    &[]
                };
                words(&[&["task", "done", &task.to_string()], force].concat())
            }
            Advice::Wait { .. } | Advice::WaitForBranch { .. } | Advice::LookAtProgram { .. } => {
                None
            }
        }
    }

    /// The same as a line for a shell, on the default database. None if it would hold what cannot be seen.
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
    pub fn to_json(&self) -> Value {
        let (task, job, repo) = match self {
            Advice::TryAgain { job }
            | Advice::Wait { job, .. }
            | Advice::NextClaim { job }
            | Advice::LookAtProgram { job, .. }
            | Advice::WaitForBranch { job, .. }
            | Advice::StartWorker { job, .. }
            | Advice::LookAtJob { job } => (None, Some(job), None),
            Advice::AddJob { task }
            | Advice::EndTask { task }
            | Advice::FixStage { task, .. }
            | Advice::Skip { task, .. } => (Some(task), None, None),
            Advice::Unfreeze { repo, .. } => (None, None, Some(repo)),
        };
        json!({
            "remedy": self.name(), "task_id": task, "job_id": job, "repo": repo, "text": self.in_words(&as_it_is),
            "command": self.command(),
        })
    }
}

/// What helps with a job by its own state; nothing if that is to be left alone.
pub(super) fn of_job(work: &JobWork) -> Option<Advice> {
    let job = work.job_id?;
    match work.state {
        WorkState::Running => Some(Advice::Wait {
            job,
            worker: work.worker.clone(),
            until: work.lease_until.clone(),
        }),
        WorkState::PutOff => Some(Advice::WaitForBranch {
            job,
            until: work.lease_until.clone(),
        }),
        WorkState::Lapsed => Some(Advice::NextClaim { job }),
        WorkState::Foreign => Some(Advice::LookAtProgram {
            job,
            status: work.status.clone(),
        }),
        WorkState::Failed => Some(Advice::TryAgain { job }),
        WorkState::Queued => Some(Advice::StartWorker {
            job,
            agent: work.agent.clone()?,
        }),
        WorkState::Finished | WorkState::NoJob => None,
    }
}

/// What helps a job that is held. `is_held` tells whether a queued job in front is held itself.
pub(super) fn of_held(held: &Held, is_held: bool) -> Vec<Advice> {
    let mut advice = Vec::new();
    let front = held.tasks.first();
    if let Some(Ahead {
        task,
        work,
        looks_like,
    }) = front
    {
        let misspelt = task.stage.as_deref().zip(looks_like.as_deref());
        let of_queued = match (is_held, held.freezes.is_empty()) {
            (false, _) => OfQueued::StartWorker,
            (true, true) => OfQueued::LookAtJob,
            // What holds it is among the reasons.
            (true, false) => OfQueued::Nothing,
        };
        advice.extend(go_on(task.id, misspelt, work, of_queued));
    }
    advice.extend(held.freezes.iter().map(unfreeze));
    // Where ending the task is the remedy already, nothing is skipped by it.
    let is_over =
        |front: &Ahead| front.looks_like.is_some() || front.work.state() == WorkState::Finished;
    let ends = |front: &&Ahead| !held.stuck && (!is_over(front) || !advice.iter().any(is_an_end));
    if let Some(front) = front.filter(ends) {
        advice.push(skip(front));
    }
    advice
}

fn is_an_end(advice: &Advice) -> bool {
    matches!(advice, Advice::EndTask { .. } | Advice::FixStage { .. })
}

/// What helps the active task of a repo on; nothing if it only has to be waited for.
pub fn of_active(active: &Active) -> Vec<Advice> {
    let (Some(work), task) = (&active.work, &active.task) else {
        return Vec::new();
    };
    let misspelt = task.stage.as_deref().zip(active.looks_like.as_deref());
    let advice = go_on(task.id, misspelt, work, OfQueued::Nothing);
    let is_waiting =
        |advice: &Advice| matches!(advice, Advice::Wait { .. } | Advice::WaitForBranch { .. });
    advice
        .into_iter()
        .filter(|advice| !is_waiting(advice))
        .collect()
}

/// What helps where the job in front is queued.
#[derive(Clone, Copy)]
enum OfQueued {
    Nothing,
    StartWorker,
    LookAtJob,
}

/// What brings a task on. `misspelt` has its stage and the finished one that it was probably meant to be.
fn go_on(
    task: i64,
    misspelt: Option<(&str, &str)>,
    work: &TaskWork,
    of_queued: OfQueued,
) -> Vec<Advice> {
    let first = &work.first;
    let is_idle = matches!(
        first.state,
        WorkState::Queued | WorkState::Finished | WorkState::NoJob
    );
    if let (true, Some((stage, meant))) = (is_idle, misspelt) {
        return vec![Advice::FixStage {
            task,
            stage: stage.into(),
            meant: meant.into(),
        }];
    }
    match (first.state, first.job_id, of_queued) {
        (WorkState::Finished, ..) => vec![Advice::EndTask { task }, Advice::AddJob { task }],
        (WorkState::NoJob, ..) => vec![Advice::AddJob { task }],
        (WorkState::Queued, Some(job), OfQueued::LookAtJob) => vec![Advice::LookAtJob { job }],
        (WorkState::Queued, _, OfQueued::Nothing) => Vec::new(),
        _ => of_job(first).into_iter().collect(),
    }
}

fn unfreeze(freeze: &FreezeAhead) -> Advice {
    let deploy = freeze.deploy.as_ref();
    match deploy {
        Some(deploy) => Advice::after(&freeze.repo, deploy),
        None => Advice::Unfreeze {
            repo: freeze.repo.clone(),
            deploy: None,
        },
    }
}

/// Whether `task done` refuses without force: as `task_end` does, but for a lease that is over by then.
fn is_worked_on(job: &JobWork) -> bool {
    job.state == WorkState::Running
        || (job.state == WorkState::Foreign && job.status.as_deref() == Some("running"))
}

fn skip(front: &Ahead) -> Advice {
    let ends = |job: &&JobWork| matches!(job.status.as_deref(), Some("queued" | "running"));
    let cancelled = front.work.jobs().filter(ends);
    Advice::Skip {
        task: front.task.id,
        cancels: cancelled.filter_map(|job| job.job_id).collect(),
        force: front.work.jobs().any(is_worked_on),
    }
}
