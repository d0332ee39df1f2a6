//! The queue behind its gate: what happens to jobs, tasks and repos.
//!
//! Owns the questions and changes as the reference has them: what is claimed, what applies where, and
//! what is frozen. Leaves which clause holds to `gate`, the rows to `store`, and what is only watched
//! to `observe`. It knows no HTTP and no command line. Callers rely on this: a repo whose freezes
//! cannot be read counts as frozen.

mod acting;
mod added;
mod adoption;
mod advice;
mod claim;
mod doctor;
mod error;
mod explain;
mod explanation;
mod freeze_effect;
mod freezes;
mod hold;
mod init;
mod known;
mod named_rows;
mod nearest;
mod read_state;
mod remedy;
mod scope;
mod stages;
mod state;
mod tasks;
mod wait;
mod what_if;
mod words;
mod work;

pub use crate::store::Running;
pub use acting::Acting;
pub use adoption::{Adoption, Misfit, adoption_by};
pub use advice::Advice;
pub use claim::Claimant;
pub use doctor::Diagnosis;
pub use error::Error;
pub use explanation::{Ahead, Explanation, FreezeAhead, Held, Standing};
pub use freeze_effect::{FreezeEffect, Passes, frozen_words};
pub use freezes::{Deployed, Frozen, NewFreeze};
pub use init::Preparing;
pub use known::WaitingWords;
pub use named_rows::Doubt;
pub use remedy::of_active;
pub use scope::check_first_scope;
pub use stages::{ended_note, near_finished};
pub use state::{OtherHeld, Others, Registry, RepoState, State, Waiting};
pub use words::{Show, as_it_is, time};
pub use work::{Active, JobCounts};

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::clause::{Agents, Reach};
use crate::gate::{Allowance, CurrentClause, Gate, Loader, NotInForce, Purpose, Rule};
use crate::model::{self, Decision, Description, Dialect, Settings, Snapshot};
use crate::observe::{Agreement, LogOptions, Observer, Pace};
use crate::policy::{self, Compiler, Runtime, Trust};
use crate::store::{Database, Generation, Store};
use doctor::Reconciling;

/// What a queue needs besides its database and its rule.
#[derive(Clone)]
pub struct Options {
    /// The time that one claim's query may take; 5 s. A queue of a million held jobs needs about one.
    pub claim_budget: Duration,
    /// Compiles and runs the policies; queues of one process share it. None makes one when it is
    /// needed.
    pub runtime: Option<Runtime>,
    /// Compiles policies in a separate process, where this queue makes the runtime itself.
    pub compiler: Option<Compiler>,
    /// Whose policies are run; anybody's, if there is none.
    pub trust: Option<Trust>,
    /// Where to write down what was decided at each claim; none writes nothing.
    pub log: Option<LogOptions>,
    /// The repos that the configuration names: they are known, whether or not a row has them.
    pub repos: Vec<String>,
    /// How often `decide` is compared with the clause at claims; none never does. It is for processes
    /// that stay.
    pub pace: Option<Pace>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            claim_budget: Duration::from_secs(5),
            runtime: None,
            compiler: None,
            trust: None,
            log: None,
            repos: Vec::new(),
            pace: None,
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
            compiler,
            trust,
            log,
            repos,
            pace,
        } = options;
        let mut store = Store::open(database)?;
        store.set_claim_budget(claim_budget);
        let loader = Loader {
            runtime,
            compiler,
            trust,
            claim_budget,
        };
        Ok(Queue {
            gate: Gate::open(&mut store, rule, loader)?,
            store,
            observer: Observer::new(log, pace, claim_budget),
            configured: repos,
            reconciling: Reconciling::default(),
        })
    }

    /// The rows behind the gate, to read them, or for a change that no generation depends on, such as
    /// a heartbeat.
    pub fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    /// The rows behind the gate, for a change. Afterwards another generation may be active:
    /// `data_version` does not report this connection's own writes, so the gate looks again.
    pub fn store_mut(&mut self) -> &mut Store {
        self.gate.look_again();
        &mut self.store
    }

    /// A number that changes when another connection has changed the database. A cheap read.
    pub fn data_version(&mut self) -> Result<i64, Error> {
        Ok(self.store.data_version()?)
    }

    /// The settings in effect.
    pub fn settings(&self) -> &Settings {
        self.gate.settings()
    }

    /// Uses other settings than the generation's from now on.
    pub fn set_settings(&mut self, settings: Settings) {
        self.gate.set_settings(settings);
    }

    /// The stored settings, where this process uses others.
    pub fn stored_settings(&self) -> Option<Settings> {
        self.gate.stored_settings()
    }

    /// The generation that answers come from; none for a policy of the caller's.
    pub fn generation(&self) -> Option<i64> {
        self.gate.generation_id()
    }

    /// Whether another generation is being loaded: the next claim may use it.
    pub fn is_changing(&self) -> bool {
        self.gate.is_changing()
    }

    /// Why the rule in force is not the active generation's; none if it is, or nothing was asked of
    /// it yet.
    pub fn not_in_force(&self) -> Option<NotInForce> {
        self.gate.not_in_force()
    }

    /// What compiles and runs the policies.
    pub fn runtime(&mut self) -> Result<&Runtime, policy::Error> {
        self.gate.loader().runtime()
    }

    /// The name and version of a component, if it is a policy that may run here.
    pub fn describe(
        &mut self,
        component: &[u8],
        signature: Option<&str>,
        allowance: Allowance,
    ) -> Result<Description, policy::Error> {
        let loader = self.gate.loader();
        loader.describe(component, signature, allowance)
    }

    /// Whether this host can use a generation: its policy loads, and gives a clause that may run.
    pub fn check_usable(&mut self, generation: &Generation, now: Timestamp) -> Result<(), Error> {
        Ok(self.gate.check_usable(&self.store, generation, now)?)
    }

    /// The clause that claims use: see [`Gate::clause`].
    pub fn clause(&mut self, now: Timestamp) -> Result<Arc<CurrentClause>, Error> {
        Ok(self.gate.clause(&mut self.store, Purpose::Look, now)?)
    }

    /// The rows that can matter to the policy: a snapshot for it needs no others.
    pub fn footprint(&mut self, now: Timestamp) -> Result<Reach, Error> {
        Ok(self.clause(now)?.footprint())
    }

    /// The agents whose jobs the policy may hold while the gate is on.
    pub fn gated_agents(&mut self, now: Timestamp) -> Agents {
        self.gate.gated_agents(&mut self.store, now)
    }

    /// Looks at the first job of each waiting line: see [`Store::look_at_heads`]. Returns how many
    /// alerts there are of jobs that have been in the queue for longer than `limit`.
    pub fn look_at_heads(
        &mut self,
        now: Timestamp,
        limit: Option<Duration>,
    ) -> Result<usize, Error> {
        let agents = self.gated_agents(now);
        Ok(self.store.look_at_heads(now, &agents, limit)?)
    }

    /// The ids of the queued jobs that the clause lets through, in claim order.
    pub fn claimable(&mut self, now: Timestamp) -> Result<Vec<i64>, Error> {
        let clause = self.clause(now)?;
        Ok(self.store.claimable(&clause.rendered)?)
    }

    /// The policy's decisions for all queued jobs, or for one. The clause is asked for first, because
    /// it tells which rows the policy needs.
    pub fn decide(&mut self, now: Timestamp, job: Option<i64>) -> Result<Vec<Decision>, Error> {
        let footprint = self.footprint(now)?;
        let state = self.store.snapshot(&footprint, job)?;
        self.decide_over(now, &state)
    }

    /// The policy's decisions over a state that was read before.
    pub fn decide_over(
        &mut self,
        now: Timestamp,
        state: &Snapshot,
    ) -> Result<Vec<Decision>, Error> {
        Ok(self.gate.decide_over(&mut self.store, now, state)?)
    }

    /// The same with reasons as the policy said them, for those who judge them.
    pub(crate) fn decide_in_its_words(
        &mut self,
        now: Timestamp,
        state: &Snapshot,
    ) -> Result<Vec<Decision>, Error> {
        let gate = &mut self.gate;
        Ok(gate.decide_in_its_words(&mut self.store, now, state)?)
    }

    /// Compares what the policy says of all queued jobs with its clause, and counts what is found.
    pub fn agreement(&mut self, now: Timestamp) -> Result<Agreement, Error> {
        let Queue {
            store,
            gate,
            observer,
            ..
        } = self;
        Ok(observer.agreement(gate, store, now)?)
    }

    /// Checks that the policy understands its rules. Any other failure is left to [`Queue::clause`].
    pub fn check_rules(&mut self, now: Timestamp) -> Result<(), Error> {
        Ok(self.gate.check_rules(&mut self.store, now)?)
    }

    /// The policy's own fragment for a database, as it returns it.
    pub fn fragment(&mut self, now: Timestamp, dialect: Dialect) -> Result<model::Clause, Error> {
        Ok(self.gate.fragment(&mut self.store, now, dialect)?)
    }
}
