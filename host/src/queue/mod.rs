//! The queue behind its gate: what happens to jobs, tasks and repos.
//!
//! Owns the questions and changes of the reference: what is claimed, where the gate acts, and what
//! is frozen. Leaves the clause in force to `gate`, the rows to `store`, and what is only watched
//! to `observe`. It knows no HTTP and no command line. Callers rely on this: a repo whose freezes
//! cannot be read counts as frozen.

mod acting;
mod activity;
mod added;
mod adoption;
mod advice;
mod changes;
mod claim;
mod doctor;
mod error;
mod explain;
mod explanation;
mod freeze_effect;
mod freeze_rules;
mod freezes;
mod hold;
mod init;
mod known;
mod named;
mod named_rows;
mod natural;
mod nearest;
mod overview;
mod overview_details;
mod overview_order;
mod pipeline;
mod pipeline_notes;
mod policy;
mod read_state;
mod reasons;
mod remedy;
mod repo_history;
mod scope;
mod stages;
mod state;
mod tasks;
mod timeline;
mod timeline_steps;
mod timeline_waits;
mod wait;
mod waiters;
mod what_if;
mod whole_job;
mod whole_task;
mod words;
mod work;

pub use crate::store::Running;
pub use acting::Acting;
pub use activity::{Activity, Bucket, Span};
pub use adoption::{Adoption, Misfit, adoption_by};
pub use advice::Advice;
pub use changes::{Changes, pause};
pub use claim::Claimant;
pub use doctor::Diagnosis;
pub use error::Error;
pub use explanation::{Ahead, Explanation, ExplanationDocument, FreezeAhead, Held, Standing};
pub use freeze_effect::{FreezeEffect, Passes, frozen_words};
pub use freezes::{Deployed, Frozen, FrozenAll, NewFreeze, joined};
pub use init::Preparing;
pub use known::WaitingWords;
pub use named::{KnownTask, NotAName, TaskName};
pub use named_rows::Doubt;
pub use overview::{ActiveOfRow, FreezeOfRow, Overview, RepoRow, Totals, WithoutRepo};
pub use overview_details::{InLine, RepoDetails};
pub use overview_order::{OverviewFilter, RepoStanding, Sort};
pub use pipeline::{FirstJob, InPipeline};
pub use reasons::reasons;
pub use remedy::of_active;
pub use repo_history::{RepoHistory, Stretch};
pub use scope::check_first_scope;
pub use stages::{ended_note, near_finished, stage_of};
pub use state::{OtherHeld, Others, Registry, RepoState, State, Waiting};
pub use timeline::{Step, Timeline, What};
pub use timeline_waits::Because;
pub use waiters::{POLL, Round, Served, Waiter, Waiters};
pub use whole_job::WholeJob;
pub use whole_task::{TaskDocument, WholeTask};
pub use words::{further_words, task_words, time, until_words};
pub use work::{Active, JobCounts};

use std::time::Duration;

use crate::gate::{Gate, Loader, Rule};
use crate::observe::{LogOptions, Observer, Pace};
use crate::policy::{Runtime, Trust};
use crate::store::{Database, Store};
use doctor::Reconciling;

/// What a queue needs besides its database and its rule.
#[derive(Clone)]
pub struct Options {
    /// The time that one claim's query may take; 5 s. A queue of a million held jobs needs about
    /// one.
    pub claim_budget: Duration,
    /// Compiles and runs the policies; queues of one process share it.
    pub runtime: Runtime,
    /// The keys that may sign policies; without it, any policy may run.
    pub trust: Option<Trust>,
    /// Where to log the decisions at each claim; without it, nothing is logged.
    pub log: Option<LogOptions>,
    /// The repos that the configuration names: they are known, whether or not a row has them.
    pub repos: Vec<String>,
    /// How often `decide` is compared with the clause at claims; without it, never. For processes
    /// that keep running.
    pub pace: Option<Pace>,
    /// Whether the process claims once and ends. It then does without the policy, while the clause
    /// that the database keeps of it is valid.
    pub claims_once: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            claim_budget: Duration::from_secs(5),
            runtime: Runtime::default(),
            trust: None,
            log: None,
            repos: Vec::new(),
            pace: None,
            claims_once: false,
        }
    }
}

/// A queue and its gate.
pub struct Queue {
    store: Store,
    gate: Gate,
    observer: Observer,
    /// The repos that the configuration names.
    configured: Vec<String>,
    reconciling: Reconciling,
}

impl Queue {
    /// Opens a prepared database.
    pub fn open(
        database: impl Into<Database>,
        rule: Rule,
        options: Options,
    ) -> Result<Queue, Error> {
        let Options {
            claim_budget,
            runtime,
            trust,
            log,
            repos,
            pace,
            claims_once,
        } = options;
        let mut store = Store::open(database)?;
        store.set_claim_budget(claim_budget);
        let loader = Loader {
            runtime,
            trust,
            claim_budget,
            may_use_kept_clause: claims_once,
        };
        Ok(Queue {
            gate: Gate::open(&mut store, rule, loader)?,
            store,
            observer: Observer::new(log, pace, claim_budget),
            configured: repos,
            reconciling: Reconciling::default(),
        })
    }

    /// The rows behind the gate, to read them, or for a change that no generation depends on, such
    /// as a heartbeat.
    pub fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    /// The rows behind the gate, for a change. Afterwards another generation may be active:
    /// `data_version` does not report this connection's own writes, so the gate looks again.
    pub fn store_mut(&mut self) -> &mut Store {
        self.gate.look_again();
        &mut self.store
    }

    /// Makes an answer of several reads. All of them are of one state of the database, so that what
    /// the answer says was true at one moment. A change in between ends that: it comes last.
    pub fn from_one_state<T, E: From<Error>>(
        &mut self,
        answer: impl FnOnce(&mut Queue) -> Result<T, E>,
    ) -> Result<T, E> {
        let is_outermost = self.store.keep_state().map_err(Error::from)?;
        let answer = answer(self);
        if is_outermost {
            self.store.let_go_of_state();
        }
        answer
    }

    /// A number that changes when another connection has changed the database. A cheap read.
    pub fn data_version(&mut self) -> Result<i64, Error> {
        Ok(self.store.data_version()?)
    }

    fn parts(&mut self) -> (&mut Observer, &mut Gate, &mut Store) {
        (&mut self.observer, &mut self.gate, &mut self.store)
    }
}
