//! The states of a job, and what leads from one to the next.
//!
//! Owns the words of `jobs.status`, and the one match from state and event to state. Leaves every
//! statement to `job`. Callers rely on this: no job of a finished task goes back to the queue.

/// Where a job is in its life. Other programs may write other words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobState {
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
}

/// What happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A worker claims it.
    Claim,
    /// Its worker has done it.
    Finish,
    /// Its worker could not do it.
    Fail,
    /// Its worker gives it back.
    Release,
    /// Its worker gives it back until later.
    Defer,
    /// Its worker sent no heartbeat in time.
    Expire,
    /// An operator puts it back.
    Requeue,
    /// Its task ends.
    EndTask,
}

impl JobState {
    /// Every state that the gate knows.
    pub(crate) const ALL: [JobState; 5] = [
        JobState::Queued,
        JobState::Running,
        JobState::Done,
        JobState::Failed,
        JobState::Cancelled,
    ];

    /// The word in `jobs.status`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            JobState::Queued => "queued",
            JobState::Running => "running",
            JobState::Done => "done",
            JobState::Failed => "failed",
            JobState::Cancelled => "cancelled",
        }
    }

    /// The state of a word; none if it is another program's.
    pub(crate) fn of(status: Option<&str>) -> Option<JobState> {
        let is_it = |state: &JobState| status == Some(state.name());
        JobState::ALL.into_iter().find(is_it)
    }

    /// The state after an event; none if the event cannot happen. A job that would wait for a
    /// finished task is cancelled instead.
    pub(crate) const fn after(self, event: Event, task_is_finished: bool) -> Option<JobState> {
        use JobState::{Cancelled, Done, Failed, Queued, Running};
        match (self, event) {
            (Queued, Event::Claim) => Some(Running),
            (Running, Event::Finish) => Some(Done),
            (Running, Event::Fail) => Some(Failed),
            (Running, Event::Release | Event::Defer | Event::Expire) if task_is_finished => {
                Some(Cancelled)
            }
            (Running, Event::Release | Event::Expire) => Some(Queued),
            // It counts as running until the delay is over.
            (Running, Event::Defer) => Some(Running),
            (Running | Failed | Cancelled, Event::Requeue) if !task_is_finished => Some(Queued),
            (Queued | Running, Event::EndTask) => Some(Cancelled),
            _ => None,
        }
    }
}
