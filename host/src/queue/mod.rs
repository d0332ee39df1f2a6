//! The queue behind its gate: where policy and store meet.
//!
//! Owns the gate's behaviour as the reference has it: what is claimed, what applies where, what is
//! frozen, and in which direction each failure goes (design, section 5). It knows no HTTP and no
//! command line. Callers rely on this: a policy that fails never stops the queue, and never opens a
//! frozen repo to a gated job.

mod acting;
mod added;
mod adoption;
mod advice;
mod agreement;
mod agreement_look;
mod agreement_sample;
mod by_repo;
mod claim;
mod clause;
mod doctor;
mod error;
mod explain;
mod explanation;
mod fallback;
mod follow;
mod freeze_effect;
mod freezes;
mod gated;
mod generation;
mod hold;
mod in_force;
mod known;
mod log;
mod named_rows;
mod nearest;
mod recent;
mod remedy;
mod scope;
mod settings;
mod shadow;
mod stages;
mod state;
mod stored_rule;
mod trusted;
mod verdicts;
mod wait;
mod watch;
mod what_if;
mod words;
mod work;

pub use crate::store::Running;
pub use acting::Acting;
pub use adoption::{Adoption, Misfit, adoption_by};
pub use advice::Advice;
pub(crate) use agreement::fault;
pub use agreement::{ByClause, Contradicting, Contradiction, Decided};
pub use agreement_look::Agreement;
pub use agreement_sample::Pace;
pub use claim::Claimant;
pub use clause::CurrentClause;
pub use doctor::Diagnosis;
pub use error::{Error, with_causes};
pub use explanation::{Ahead, Explanation, FreezeAhead, Held, Standing};
pub use fallback::Source;
pub use freeze_effect::{FreezeEffect, Passes, frozen_words};
pub use freezes::{Deployed, Frozen, NewFreeze};
pub use generation::component;
pub use in_force::NotInForce;
pub use known::WaitingWords;
pub use log::{Entry, LogOptions};
pub use named_rows::Doubt;
pub use remedy::of_active;
pub use scope::{can_be_in_scope, check_first_scope, scope_of};
pub use settings::{Overrides, allowance_of, default_settings, settings_of, stored};
pub use stages::{ended_note, near_finished};
pub use state::{OtherHeld, Others, Registry, RepoState, State, Waiting};
pub use verdicts::{differing, verdict_from_json, verdict_to_json};
pub use words::{Show, as_it_is, time};
pub use work::{Active, JobCounts};

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::clause::Reach;
use crate::model::{self, Decision, Settings};
pub use crate::policy::Allowance;
use crate::policy::{self, DEFAULT_POLICY, Runtime, Trust};
use crate::store::{
    Act, ActiveFreeze, Change, Database, FinishedStages, Move, NewGeneration, Preparation,
    Prepared, Store, TaskEnd, TaskOutcome,
};
use agreement_sample::Sampled;
use doctor::Reconciling;
use follow::Following;
use gated::GatedAgents;
use generation::InUse;
use shadow::Shadow;
use stored_rule::StoredRule;

/// What a queue goes by.
#[derive(Debug, Clone)]
pub enum Rule {
    /// The active generation of its database, and what this process was told otherwise.
    Active(Overrides),
    /// A policy of the caller's, whatever the active generation is. Claims record none.
    Given {
        /// The component.
        component: Vec<u8>,
        /// What an operator would set.
        settings: Settings,
        /// What the policy may use.
        allowance: Allowance,
    },
}

impl Rule {
    /// The policy that is built in.
    pub fn built_in(settings: Settings) -> Rule {
        Rule::Given {
            component: DEFAULT_POLICY.to_vec(),
            settings,
            allowance: Allowance::default(),
        }
    }
}

/// What a queue needs besides its database and its rule.
#[derive(Clone)]
pub struct Options {
    /// The time that one claim's query may take; 5 s. A queue of a million held jobs needs about one.
    pub claim_budget: Duration,
    /// Compiles and runs the policies; queues of one process share it.
    pub runtime: Runtime,
    /// Whose policies are run; anybody's, if there is none.
    pub trust: Option<Trust>,
    /// Where to write down what was decided at each claim; none writes nothing.
    pub log: Option<LogOptions>,
    /// The repos that the configuration names: they are known, whether or not a row has them.
    pub repos: Vec<String>,
    /// How often `decide` is compared with the clause beside claims; none never does. It is for processes that stay.
    pub pace: Option<Pace>,
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
        }
    }
}

/// How a database is prepared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Preparing {
    /// Make new tables although the database has others of almost their names.
    pub new_tables: bool,
    /// Do it all, and roll it back.
    pub dry_run: bool,
}

/// A queue and its gate.
pub struct Queue {
    store: Store,
    rule: Rule,
    options: Options,
    in_use: InUse,
    following: Following,
    clause: Option<Arc<CurrentClause>>,
    gated_agents: Option<GatedAgents>,
    stored_rule: Option<StoredRule>,
    /// In which opening of the database the clause was kept there: once for each, not for each claim.
    kept: Option<i64>,
    /// Whether the clause is asked for by a claim.
    claiming: bool,
    /// Whether it is asked for what others claim by, so that nothing of this process is changed.
    asks_for_others: bool,
    shadow: Shadow,
    /// What was compared last beside a claim.
    sampled: Option<Sampled>,
    /// What was counted last by a look, and when.
    counted: Option<(Contradicting, Timestamp)>,
    /// The input that was logged last.
    logged: Option<String>,
    /// Whether the last line could not be added to the log.
    log_failed: bool,
    /// How many claims were not looked at although somebody wanted it.
    left_out: u64,
    reconciling: Reconciling,
}

impl Queue {
    /// Prepares a database, or adds what is missing. The built-in policy with these settings is its
    /// first generation, unless it has generations already.
    ///
    /// # Errors
    ///
    /// When the file is not a database that can be written, or cannot be adopted.
    pub fn init(
        database: impl Into<Database>,
        settings: &Settings,
        act: Act<'_>,
    ) -> Result<Vec<Change>, Error> {
        Ok(Queue::prepare(database, settings, act, Preparing::default())?.changes)
    }

    /// The same, and tells what was found and tried.
    ///
    /// # Errors
    ///
    /// As [`Queue::init`].
    pub fn prepare(
        database: impl Into<Database>,
        settings: &Settings,
        act: Act<'_>,
        preparing: Preparing,
    ) -> Result<Prepared, Error> {
        let first = NewGeneration {
            component: DEFAULT_POLICY,
            signature: None,
            digest: &policy::digest(DEFAULT_POLICY),
            name: serial_gate_default_policy::NAME,
            version: serial_gate_default_policy::VERSION,
            settings: &stored(settings),
            limits: &stored(&Allowance::default()),
        };
        let preparation = Preparation {
            first,
            act,
            trial: &|stored| adoption::trial(stored, act.now),
            new_tables: preparing.new_tables,
            dry_run: preparing.dry_run,
        };
        Ok(Store::init(database, preparation)?)
    }

    /// Opens a prepared database.
    ///
    /// # Errors
    ///
    /// When the database cannot be used.
    pub fn open(
        database: impl Into<Database>,
        rule: Rule,
        options: Options,
    ) -> Result<Queue, Error> {
        let mut store = Store::open(database)?;
        store.set_claim_budget(options.claim_budget);
        let in_use = InUse::read(&mut store, &rule)?;
        Ok(Queue {
            store,
            rule,
            options,
            in_use,
            following: Following::default(),
            clause: None,
            gated_agents: None,
            stored_rule: None,
            kept: None,
            claiming: false,
            asks_for_others: false,
            shadow: Shadow::default(),
            sampled: None,
            counted: None,
            logged: None,
            log_failed: false,
            left_out: 0,
            reconciling: Reconciling::default(),
        })
    }

    /// The rows behind the gate. Another generation may be active when its caller is done: this connection is the one that
    /// does not hear of its own changes.
    pub fn store(&mut self) -> &mut Store {
        self.following.look_again();
        &mut self.store
    }

    /// A number that changes when another connection has changed the database. A cheap read.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn data_version(&mut self) -> Result<i64, Error> {
        Ok(self.store.data_version()?)
    }

    /// The settings in effect.
    pub fn settings(&self) -> &Settings {
        &self.in_use.settings
    }

    /// Goes on with other settings than the generation's.
    pub fn set_settings(&mut self, settings: Settings) {
        self.in_use.settings = settings;
        self.clause = None;
    }

    /// Looks at the first job of each waiting line: see [`Store::look_at_heads`]. Returns how many alerts there are of jobs
    /// that have been in the queue for longer than `limit`.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub fn look_at_heads(
        &mut self,
        now: Timestamp,
        limit: Option<Duration>,
    ) -> Result<usize, Error> {
        let agents = self.gated_agents(now);
        Ok(self.store.look_at_heads(now, &agents, limit)?)
    }

    /// The ids of the queued jobs that the clause lets through, in claim order.
    ///
    /// # Errors
    ///
    /// When the database cannot be read, or the clause needs more than its budget.
    pub fn claimable(&mut self, now: Timestamp) -> Result<Vec<i64>, Error> {
        let clause = self.clause(now)?;
        Ok(self.store.claimable(&clause.rendered)?)
    }

    /// The policy's decisions for all queued jobs, or for one.
    ///
    /// # Errors
    ///
    /// When the policy fails, or the database cannot be read.
    pub fn decide(&mut self, now: Timestamp, job: Option<i64>) -> Result<Vec<Decision>, Error> {
        let reach = self.reach(now)?;
        let snapshot = self.store.snapshot(&reach, job)?;
        self.decide_over(now, &snapshot)
    }

    /// The clause that claims go by. When the policy gives none that may run, the last good one;
    /// without one, a clause that keeps frozen repos closed and nothing else.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn clause(&mut self, now: Timestamp) -> Result<Arc<CurrentClause>, Error> {
        self.follow(now);
        let clause = match self.clause.take_if(|clause| clause.holds_at(now)) {
            Some(clause) => clause,
            None => {
                self.kept = None;
                Arc::new(self.fresh_clause(now)?)
            }
        };
        Ok(Arc::clone(self.clause.insert(clause)))
    }

    /// The stages in which a task is finished, as the rules have them now.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn finished_stages(&mut self) -> Result<FinishedStages, Error> {
        Ok(settings::finished_stages(&self.settings_now()?))
    }

    /// Moves tasks to a stage, all of them or none, with a row in the audit for each. A finished stage ends them, as
    /// [`Store::end_tasks`] does.
    ///
    /// # Errors
    ///
    /// When the stage is empty, there is no such task, it is to end while a job of it runs, or the database refuses.
    pub fn move_tasks(
        &mut self,
        act: Act<'_>,
        ids: &[i64],
        stage: &str,
        running: Running<'_>,
    ) -> Result<(), Error> {
        match self.move_to(stage, running)? {
            Move::To(stage) => Ok(self.store.set_stage_by(act, ids, stage)?),
            Move::End(end) => Ok(self.store.end_tasks(act, ids, end)?),
        }
    }

    /// Moves a task to a stage and marks it, both or neither. What is not given stays as it is.
    ///
    /// # Errors
    ///
    /// As [`Queue::move_tasks`], or when the mark is empty.
    pub fn change_task(
        &mut self,
        act: Act<'_>,
        id: i64,
        stage: Option<&str>,
        label: Option<Option<&str>>,
        running: Running<'_>,
    ) -> Result<(), Error> {
        let moved = stage
            .map(|stage| self.move_to(stage, running))
            .transpose()?;
        Ok(self.store.change_task(act, id, moved, label)?)
    }

    /// Cancels tasks, all of them or none, with a row in the audit for each.
    ///
    /// # Errors
    ///
    /// As [`Queue::move_tasks`].
    pub fn cancel_tasks(
        &mut self,
        act: Act<'_>,
        ids: &[i64],
        running: Running<'_>,
    ) -> Result<(), Error> {
        let finished = self.finished_stages()?;
        let end = TaskEnd {
            outcome: TaskOutcome::Cancelled,
            stage: finished.first(),
            running,
        };
        Ok(self.store.end_tasks(act, ids, end)?)
    }

    fn move_to<'a>(&mut self, stage: &'a str, running: Running<'a>) -> Result<Move<'a>, Error> {
        let finished = self.finished_stages()?;
        Ok(if finished.contains(stage) {
            Move::End(TaskEnd {
                outcome: TaskOutcome::Done,
                stage,
                running,
            })
        } else {
            Move::To(stage)
        })
    }

    /// Whether a repo is frozen (`is_repo_frozen`): never while the freeze layer is off, and always
    /// when its freezes cannot be read.
    pub fn is_frozen(&mut self, repo: Option<&str>) -> bool {
        self.frozen(repo).0
    }

    /// Whether a repo is frozen, and the newest freeze if it can be read.
    pub fn frozen(&mut self, repo: Option<&str>) -> (bool, Option<ActiveFreeze>) {
        if !self.in_use.settings.freeze_enabled {
            return (false, None);
        }
        match self.store.active_freeze(repo) {
            Ok(freeze) => (freeze.is_some(), freeze),
            Err(error) => {
                tracing::warn!(
                    repo,
                    "the freezes cannot be read, so the repo counts as frozen: {error}"
                );
                (true, None)
            }
        }
    }

    /// The settings as they are now: they may have changed since this process last looked.
    pub(super) fn settings_now(&mut self) -> Result<Settings, Error> {
        match self.rule {
            Rule::Active(_) => Ok(InUse::read(&mut self.store, &self.rule)?.settings),
            Rule::Given { .. } => Ok(self.in_use.settings.clone()),
        }
    }

    /// Checks that the policy understands its rules.
    ///
    /// # Errors
    ///
    /// When it does not. Any other failure of the policy is left to [`Queue::clause`].
    pub fn check_rules(&mut self, now: Timestamp) -> Result<(), Error> {
        match self.fragment(now, model::Dialect::Sqlite) {
            Err(Error::Policy(
                error @ (policy::Error::Answered { .. } | policy::Error::Rules(_)),
            )) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The policy's own fragment for a database, as it returns it.
    ///
    /// # Errors
    ///
    /// When the policy cannot be loaded, or has no answer.
    pub fn fragment(
        &mut self,
        now: Timestamp,
        dialect: model::Dialect,
    ) -> Result<model::Clause, Error> {
        let (policy, settings, _) = self.loaded()?;
        Ok(policy::texts::fit_notes(
            policy.claim_clause(settings, now, dialect)?,
        ))
    }

    /// The rows that can matter to the policy: a snapshot for it needs no others.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn reach(&mut self, now: Timestamp) -> Result<Reach, Error> {
        Ok(self.clause(now)?.reach())
    }

    /// The policy's decisions over a state that was read before.
    ///
    /// # Errors
    ///
    /// When the policy fails.
    pub fn decide_over(
        &mut self,
        now: Timestamp,
        snapshot: &model::Snapshot,
    ) -> Result<Vec<Decision>, Error> {
        Ok(policy::texts::fit_reasons(
            self.decide_in_its_words(now, snapshot)?,
        ))
    }

    /// The same with reasons as the policy said them, for those who judge them.
    pub(crate) fn decide_in_its_words(
        &mut self,
        now: Timestamp,
        snapshot: &model::Snapshot,
    ) -> Result<Vec<Decision>, Error> {
        let (policy, settings, _) = self.loaded()?;
        Ok(policy.decide(settings, now, snapshot)?)
    }
}
