//! Which clause holds now?
//!
//! Owns the answer, and the policy's verdicts: the rule that this process was given, the generation
//! in use with its settings and its clause, the change to another generation, and the fallback when
//! the policy fails. Leaves what happens to jobs to `queue`, and what is only watched to `observe`.
//! The database is a parameter of each question.
//!
//! Callers rely on this: a policy that fails never stops the queue, and never opens a frozen repo
//! to a gated job; and the settings, the policy and the clause in use are always of one generation.

mod by_repo;
mod clause;
mod error;
mod failing;
mod fallback;
mod gated;
mod generation;
mod in_force;
mod kept;
mod loading;
mod reload;
mod scope;
mod settings;
mod stored_rule;
mod trusted;

pub use clause::{CurrentClause, Source, dialect_of};
pub use error::Error;
pub use generation::component;
pub use in_force::NotInForce;
pub use loading::Loader;
pub use scope::{can_be_in_scope, scope_of};
pub use settings::{Overrides, allowance_of, default_settings, settings_of, stored};

pub(crate) use by_repo::Answered;
pub(crate) use failing::{Failing, THE_HOST};
pub(crate) use gated::of_the_default_rule;
pub(crate) use generation::InUse;
pub(crate) use scope::repos_of_rules;
pub(crate) use settings::{finished_stages, keys_of, settings_in};

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{self, Decision, Dialect, Settings, Snapshot};
use crate::policy::{self, Allowance, DEFAULT_POLICY, Policy, texts};
use crate::store::{FinishedStages, Generation, Store};
use gated::GatedAgents;
use reload::Reload;
use stored_rule::StoredRule;

/// Where the policy and its settings come from.
#[derive(Debug, Clone)]
pub enum Rule {
    /// The active generation of the database, with this process's overrides.
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

/// Why the clause is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To claim by it: a failure of the policy counts against its generation.
    Claim,
    /// To look at the queue, which changes nothing.
    Look,
}

/// The gate of one queue.
pub struct Gate {
    rule: Rule,
    loader: Loader,
    in_use: InUse,
    reload: Reload,
    current: Option<Current>,
    gated_agents: Option<GatedAgents>,
    stored_rule: Option<StoredRule>,
}

/// The clause in use.
struct Current {
    clause: Arc<CurrentClause>,
    /// The opening of the database in which it was last kept: it is kept once for each opening, and
    /// not for each claim.
    persisted: Option<i64>,
}

impl Current {
    fn new(clause: CurrentClause) -> Current {
        Current {
            clause: Arc::new(clause),
            persisted: None,
        }
    }
}

impl Gate {
    /// The gate of a queue, with the rule as it is now.
    pub fn open(store: &mut Store, rule: Rule, loader: Loader) -> Result<Gate, Error> {
        Ok(Gate {
            in_use: InUse::read(store, &rule)?,
            rule,
            loader,
            reload: Reload::default(),
            current: None,
            gated_agents: None,
            stored_rule: None,
        })
    }

    /// The settings in use.
    pub fn settings(&self) -> &Settings {
        &self.in_use.settings
    }

    /// Uses other settings than the generation's from now on.
    pub fn set_settings(&mut self, settings: Settings) {
        self.in_use.settings = settings;
        self.current = None;
    }

    /// The settings as they are now: they may have changed since this process last looked.
    pub fn settings_now(&self, store: &mut Store) -> Result<Settings, Error> {
        match self.rule {
            Rule::Active(_) => Ok(InUse::read(store, &self.rule)?.settings),
            Rule::Given { .. } => Ok(self.in_use.settings.clone()),
        }
    }

    /// The stages in which a task is finished, by the settings in use.
    pub fn finished_stages(&self) -> FinishedStages {
        finished_stages(&self.in_use.settings)
    }

    /// Where the policy and its settings come from.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The generation in use; none for a policy of the caller's, or when the database has none.
    pub fn generation(&self) -> Option<&Generation> {
        self.in_use.generation.as_ref()
    }

    /// The number of the generation in use.
    pub fn generation_id(&self) -> Option<i64> {
        self.in_use.id()
    }

    /// Whether this process uses other settings than its generation has.
    pub fn is_overridden(&self) -> bool {
        self.in_use.is_overridden
    }

    /// The generation to blame for a failure; none while this process overrides its settings.
    pub(crate) fn failing(&self) -> Option<Failing> {
        self.in_use.failing()
    }

    /// What loads policies for this process.
    pub fn loader(&self) -> &Loader {
        &self.loader
    }

    /// The clause that claims use. When the policy gives none that may run, the last good one;
    /// without one, a clause that keeps frozen repos closed and nothing else.
    pub fn clause(
        &mut self,
        store: &mut Store,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Arc<CurrentClause>, Error> {
        self.reload(store, purpose, now);
        let current = match self.current.take_if(|current| current.clause.holds_at(now)) {
            Some(current) => current,
            None => Current::new(self.fresh_clause(store, purpose, now)?),
        };
        Ok(Arc::clone(&self.current.insert(current).clause))
    }

    /// Keeps the clause in use in the database, for the day when its policy fails.
    pub fn persist_clause(&mut self, store: &mut Store) -> Result<(), Error> {
        let opening = Some(store.openings());
        let current = self.current.as_mut().filter(|current| {
            current.clause.source == Source::Policy && current.persisted != opening
        });
        if let Some(current) = current {
            let settings = stored(&self.in_use.settings);
            store.keep_clause(&self.in_use.digest, &settings, &current.clause.kept())?;
            current.persisted = opening;
        }
        Ok(())
    }

    /// Reads the active generation anew, after the one in use was rolled back.
    pub(crate) fn read_anew(&mut self, store: &mut Store) -> Result<(), Error> {
        self.in_use = InUse::read(store, &self.rule)?;
        self.current = None;
        Ok(())
    }

    /// The policy's own fragment for a database, as it returns it.
    pub fn fragment(
        &mut self,
        store: &mut Store,
        now: Timestamp,
        dialect: Dialect,
    ) -> Result<model::Clause, Error> {
        let (policy, settings) = self.loaded(store)?;
        let fragment = policy.claim_clause(settings, now, dialect)?;
        Ok(texts::fit_notes(fragment))
    }

    /// Checks that the policy understands its rules. Any other failure is left to [`Gate::clause`].
    pub fn check_rules(&mut self, store: &mut Store, now: Timestamp) -> Result<(), Error> {
        let dialect = dialect_of(store.dialect());
        match self.fragment(store, now, dialect) {
            Err(Error::Policy(
                error @ (policy::Error::Answered { .. } | policy::Error::Rules { .. }),
            )) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The policy's decisions over a state that was read before.
    pub fn decide_over(
        &mut self,
        store: &mut Store,
        now: Timestamp,
        state: &Snapshot,
    ) -> Result<Vec<Decision>, Error> {
        let decisions = self.decide_in_its_words(store, now, state)?;
        Ok(texts::fit_reasons(decisions))
    }

    /// The same, with the reasons as the policy wrote them, to check these.
    pub(crate) fn decide_in_its_words(
        &mut self,
        store: &mut Store,
        now: Timestamp,
        state: &Snapshot,
    ) -> Result<Vec<Decision>, Error> {
        let (policy, settings) = self.loaded(store)?;
        Ok(policy.decide(settings, now, state)?)
    }

    /// The policy, loaded now if it is not yet, and what it is asked with.
    pub(crate) fn loaded(&mut self, store: &mut Store) -> Result<(&Policy, &Settings), Error> {
        self.in_use.loaded(store, &self.loader)
    }
}
