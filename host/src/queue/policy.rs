//! The policy of a queue: its clause, its decisions, and the settings that it is asked with.
//!
//! Owns which questions to the gate a queue passes on, on its own connection. Leaves the answers to
//! `gate`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Error, Queue};
use crate::clause::{Agents, Footprint};
use crate::gate::{CurrentClause, NotInForce, Purpose};
use crate::model::{self, Decision, Description, Dialect, Settings, Snapshot};
use crate::observe::Agreement;
use crate::policy::{self, Allowance, Runtime};
use crate::store::Generation;

impl Queue {
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

    /// Why the rule in force is not the active generation's; none if it is, or if no clause was
    /// asked for yet.
    pub fn not_in_force(&self) -> Option<NotInForce> {
        self.gate.not_in_force()
    }

    /// What compiles and runs the policies.
    pub fn runtime(&self) -> &Runtime {
        &self.gate.loader().runtime
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

    /// The clause that claims use: see [`Gate::clause`](crate::gate::Gate::clause).
    pub fn clause(&mut self, now: Timestamp) -> Result<Arc<CurrentClause>, Error> {
        Ok(self.gate.clause(&mut self.store, Purpose::Look, now)?)
    }

    /// The rows that can matter to the policy: a snapshot for it needs no others.
    pub fn footprint(&mut self, now: Timestamp) -> Result<Footprint, Error> {
        Ok(self.clause(now)?.footprint())
    }

    /// The agents whose jobs the policy may hold while the gate is on.
    pub fn gated_agents(&mut self, now: Timestamp) -> Agents {
        self.gate.gated_agents(&mut self.store, now)
    }

    /// Looks at the first job of each waiting line: see
    /// [`look_at_heads`](crate::store::Store::look_at_heads). Returns how many alerts there are of
    /// jobs that have been in the queue for longer than `limit`.
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

    /// The policy's decisions for all queued jobs, or for one. The clause is asked for first,
    /// because it tells which rows the policy needs.
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

    /// The same, with the reasons as the policy wrote them, to check these.
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
        let (observer, gate, store) = self.parts();
        Ok(observer.agreement(gate, store, now)?)
    }

    /// Checks that the policy understands its rules. Any other failure is left to
    /// [`Queue::clause`].
    pub fn check_rules(&mut self, now: Timestamp) -> Result<(), Error> {
        Ok(self.gate.check_rules(&mut self.store, now)?)
    }

    /// The policy's own fragment for a database, as it returns it.
    pub fn fragment(&mut self, now: Timestamp, dialect: Dialect) -> Result<model::Clause, Error> {
        Ok(self.gate.fragment(&mut self.store, now, dialect)?)
    }
}
