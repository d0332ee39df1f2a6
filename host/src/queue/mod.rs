//! The queue behind its gate: where policy and store meet.
//!
//! Owns the gate's behaviour as the reference has it: what is claimed, what applies where, what is
//! frozen, and in which direction each failure goes (design, section 5). It knows no HTTP and no
//! command line. Callers rely on this: a policy that fails never stops the queue, and never opens a
//! frozen repo to a gated job.

mod error;
mod explain;
mod fallback;
mod state;

pub use error::{Error, with_causes};
pub use explain::{Explanation, Held, Standing};
pub use fallback::Source;
pub use state::{OtherHeld, Others, Registry, RepoState, State, Waiting};

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serial_gate_default_policy::scope::Scope;

use crate::clause::{self, Clause, Rendered};
use crate::model::{self, Decision, Settings};
use crate::policy::{self, DEFAULT_POLICY, Limits, Policy, Runtime};
use crate::store::{ActiveFreeze, ClaimConnection, Claimed, Lease, Store, lease_end};

/// What a queue needs besides its database and settings.
#[derive(Debug, Clone)]
pub struct Options {
    /// The policy's component; none means the one that is built in.
    pub policy: Option<Vec<u8>>,
    /// What a policy may use.
    pub limits: Limits,
    /// The time that one claim's query may take; 5 s. A queue of a million held jobs needs about one.
    pub claim_budget: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            policy: None,
            limits: Limits::default(),
            claim_budget: Duration::from_secs(5),
        }
    }
}

/// A queue and its gate.
pub struct Queue {
    store: Store,
    claims: ClaimConnection,
    settings: Settings,
    options: Options,
    /// Loaded when it is first needed: to freeze a repo takes no WebAssembly.
    policy: Option<Policy>,
    clause: Option<CurrentClause>,
    /// Whether the clause was kept in the database: once for each, not for each claim.
    kept: bool,
}

/// The clause that claims go by.
#[derive(Debug, Clone)]
pub struct CurrentClause {
    /// The policy's fragment, as it returned it.
    pub text: String,
    /// The fragment, read and checked.
    pub clause: Clause,
    /// What runs on SQLite.
    pub rendered: Rendered,
    /// Where it comes from.
    pub source: Source,
    /// What an operator should know.
    pub notes: Vec<String>,
    /// Until when it holds, in seconds since 1970.
    pub valid_until: Option<i64>,
}

impl Queue {
    /// Opens a prepared database.
    ///
    /// # Errors
    ///
    /// When the database cannot be used.
    pub fn open(path: &Path, settings: Settings, options: Options) -> Result<Queue, Error> {
        let store = Store::open(path)?;
        let claims = ClaimConnection::open(path, options.claim_budget)?;
        Ok(Queue {
            store,
            claims,
            settings,
            options,
            policy: None,
            clause: None,
            kept: false,
        })
    }

    /// The rows behind the gate.
    pub fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    /// What an operator has set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Goes on with other settings.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
        self.clause = None;
    }

    /// Gives the first claimable job to a worker; none when every queued job is held. Jobs whose
    /// lease ran out are put back first.
    ///
    /// # Errors
    ///
    /// When the database refuses, or the clause needs more than its budget.
    pub fn claim(
        &mut self,
        now: Timestamp,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<Claimed>, Error> {
        self.store.requeue_expired(now)?;
        let rendered = self.clause(now)?.rendered.clone();
        self.keep_clause()?;
        let lease = Lease {
            worker,
            now,
            until: lease_end(now, lease),
        };
        Ok(self.claims.claim(&rendered, lease)?)
    }

    /// The ids of the queued jobs that the clause lets through, in claim order.
    ///
    /// # Errors
    ///
    /// When the database cannot be read, or the clause needs more than its budget.
    pub fn claimable(&mut self, now: Timestamp) -> Result<Vec<i64>, Error> {
        let rendered = self.clause(now)?.rendered.clone();
        Ok(self.claims.claimable(&rendered)?)
    }

    /// The policy's decisions for all queued jobs, or for one.
    ///
    /// # Errors
    ///
    /// When the policy fails, or the database cannot be read.
    pub fn decide(&mut self, now: Timestamp, job: Option<i64>) -> Result<Vec<Decision>, Error> {
        let reads: Vec<_> = self.clause(now)?.clause.reads().collect();
        let snapshot = self.store.snapshot(&reads, job)?;
        let settings = self.settings.clone();
        Ok(self.policy()?.decide(&settings, now, &snapshot)?)
    }

    /// The clause that claims go by. When the policy gives none that may run, the last good one;
    /// without one, a clause that keeps frozen repos closed and nothing else.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn clause(&mut self, now: Timestamp) -> Result<&CurrentClause, Error> {
        let expired = |clause: &CurrentClause| {
            clause
                .valid_until
                .is_some_and(|until| until <= now.as_second())
        };
        let clause = match self.clause.take().filter(|clause| !expired(clause)) {
            Some(clause) => clause,
            None => {
                self.kept = false;
                self.fresh_clause(now)?
            }
        };
        Ok(self.clause.insert(clause))
    }

    /// Whether the gate acts in a repo, by a name that somebody typed (`serial_gate_applies`).
    pub fn applies(&self, repo: Option<&str>) -> bool {
        self.settings.enabled
            && Scope::parse(&self.settings.repos).applies(repo.unwrap_or_default())
    }

    /// Whether a repo is frozen (`is_repo_frozen`): never while the freeze layer is off, and always
    /// when its freezes cannot be read.
    pub fn is_frozen(&mut self, repo: Option<&str>) -> bool {
        self.frozen(repo).0
    }

    /// Whether a repo is frozen, and the newest freeze if it can be read.
    fn frozen(&mut self, repo: Option<&str>) -> (bool, Option<ActiveFreeze>) {
        if !self.settings.freeze_enabled {
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

    /// Freezes a repo (`set_repo_freeze`) and returns the freeze's id. It is on the disk then.
    ///
    /// # Errors
    ///
    /// When the freeze layer is off, the repo is empty, or the freeze cannot be written.
    pub fn freeze(
        &mut self,
        now: Timestamp,
        repo: &str,
        reason: Option<&str>,
        work_item: Option<&str>,
    ) -> Result<i64, Error> {
        if !self.settings.freeze_enabled {
            return Err(Error::FreezeOff);
        }
        Ok(self.store.freeze(now, repo, reason, work_item)?)
    }

    /// Checks that the policy understands its rules.
    ///
    /// # Errors
    ///
    /// When it does not. Any other failure of the policy is left to [`Queue::clause`].
    pub fn check_rules(&mut self, now: Timestamp) -> Result<(), Error> {
        let settings = self.settings.clone();
        let answer = self
            .policy()
            .and_then(|policy| Ok(policy.claim_clause(&settings, now, model::Dialect::Sqlite)?));
        match answer {
            Err(Error::Policy(error @ policy::Error::Answered { .. })) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Keeps the clause that a claim goes by, if it is the policy's own.
    fn keep_clause(&mut self) -> Result<(), Error> {
        let (Some(clause), Some(policy)) = (&self.clause, &self.policy) else {
            return Ok(());
        };
        if clause.source == Source::Policy && !self.kept {
            self.store
                .keep_clause(policy.digest(), &settings_key(&self.settings), &clause.text)?;
            self.kept = true;
        }
        Ok(())
    }

    /// Asks the policy, and takes nothing from it that the guard or SQLite's plan speaks against.
    fn policy_clause(&mut self, now: Timestamp) -> Result<CurrentClause, Error> {
        let settings = self.settings.clone();
        let answer = self
            .policy()?
            .claim_clause(&settings, now, model::Dialect::Sqlite)?;
        let mut clause = self.checked(answer.text, Source::Policy)?;
        for note in &answer.notes {
            tracing::warn!("{note}");
        }
        clause.notes = answer.notes;
        clause.valid_until = answer.valid_until;
        Ok(clause)
    }

    fn checked(&mut self, text: String, source: Source) -> Result<CurrentClause, Error> {
        let clause = Clause::accept(&text)?;
        let rendered = clause.render(clause::Dialect::Sqlite);
        self.claims.check(&rendered)?;
        Ok(CurrentClause {
            text,
            clause,
            rendered,
            source,
            notes: Vec::new(),
            valid_until: None,
        })
    }

    fn policy(&mut self) -> Result<&Policy, Error> {
        let policy = match self.policy.take() {
            Some(policy) => policy,
            None => {
                let bytes = self.options.policy.as_deref().unwrap_or(DEFAULT_POLICY);
                Runtime::new()?.load(bytes, self.options.limits)?
            }
        };
        Ok(self.policy.insert(policy))
    }
}

/// Settings as a key of the database: the same settings, the same text.
fn settings_key(settings: &Settings) -> String {
    serde_json::json!([
        settings.enabled,
        settings.repos,
        settings.freeze_enabled,
        settings.rules
    ])
    .to_string()
}
