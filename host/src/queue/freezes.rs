//! Freezes and deploy verdicts, with what they really do.
//!
//! Owns the order: the effect is asked for before anything is written, so that the alert, which is
//! written in the same transaction, names it as it was then. Leaves the effect of a freeze to
//! `freeze_effect`. Callers rely on this: an unknown repo is not frozen by hand, unless it is
//! declared new; a bad deploy freezes it all the same, because the deploy is real.

use jiff::Timestamp;
use serde::Serialize;

use super::freeze_effect::frozen_words;
use super::{Error, Queue};
use crate::gate::Rule;
use crate::store::{ActiveFreeze, Actor, DeployVerdict, NewDeploy, RecordedDeploy};

/// Of how many repos that were frozen together the effect is looked at, and how many are named.
const LOOKED_AT: usize = 1_000;
const NAMED: usize = 10;

/// A freeze to make.
#[derive(Debug, Clone, Copy)]
pub struct NewFreeze<'a> {
    /// The repo.
    pub repo: &'a str,
    /// The task whose deploy went bad, by its name.
    pub work_item: Option<&'a str>,
    /// When people are reminded of it. It opens nothing.
    pub until: Option<Timestamp>,
    /// Whether the repo may be unknown to the queue.
    pub new: bool,
}

/// A freeze that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Frozen {
    /// The freeze's number, which never comes again
    pub freeze_id: i64,
    /// The repo
    pub repo: String,
    /// Whether the gate holds the repo's tasks now
    pub holds: bool,
    /// Why tasks of it start all the same, all or some of them, or that no task of it is known;
    /// null if no task of it starts
    pub note: Option<String>,
}

/// The freezes of all repos that were known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FrozenAll {
    /// The number of these freezes, by which exactly they are cleared
    pub group: i64,
    /// How many repos were frozen. A repo that appears later is not
    pub repos: usize,
    /// Up to ten of those whose tasks start all the same, each with why
    pub not_held: Vec<String>,
    /// Whether more repos were frozen than were looked at for that.
    #[serde(skip)]
    pub more: bool,
}

impl FrozenAll {
    /// What was done, in a sentence. It says that no task starts only where that is so.
    pub fn in_words(&self) -> String {
        let (repos, task) = match self.repos {
            1 => ("1 repo is frozen".to_owned(), "no task of it starts"),
            repos => (
                format!("{repos} repos are frozen"),
                "no task of them starts",
            ),
        };
        match self.not_held.is_empty() && !self.more {
            true => format!("{repos}: {task}"),
            false => repos,
        }
    }
}

/// What a deploy's verdict led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Deployed {
    /// What was written down
    #[serde(flatten)]
    pub recorded: RecordedDeploy,
    /// Whether a freeze holds the repo's tasks now
    pub holds: bool,
    /// That the freeze does not hold, and why; that no task of this repo is known
    pub note: Option<String>,
}

impl Queue {
    /// Whether a repo is frozen (`is_repo_frozen`): never while freezes are switched off, and always
    /// when its freezes cannot be read.
    pub fn is_frozen(&mut self, repo: Option<&str>) -> bool {
        self.frozen(repo).0
    }

    /// Whether a repo is frozen, and the newest freeze if it can be read.
    pub fn frozen(&mut self, repo: Option<&str>) -> (bool, Option<ActiveFreeze>) {
        if !self.settings().freeze_enabled {
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

    /// Freezes a repo (`set_repo_freeze`) and says what that does. It is on the disk then.
    pub fn freeze(&mut self, actor: Actor<'_>, freeze: NewFreeze<'_>) -> Result<Frozen, Error> {
        let NewFreeze {
            repo,
            work_item,
            until,
            new,
        } = freeze;
        self.check_freeze_layer()?;
        let mut unknown = None;
        if !new && !repo.is_empty() {
            self.check_known(repo, "frozen")?;
            // A freeze or a deploy may have made a mistyped name known.
            unknown = self.unknown_repo(repo)?;
        }
        let effect = self.freeze_effect(actor.now, repo);
        let note = joined([unknown, effect.note()]);
        let freeze_id = self
            .store
            .freeze(actor, repo, work_item, until, note.as_deref())?;
        Ok(Frozen {
            freeze_id,
            repo: repo.into(),
            holds: effect.holds,
            note,
        })
    }

    /// Freezes each repo of a task, a job or a project, once more if it is frozen, in one
    /// transaction. A repo that appears later is not covered. Fails when no repo is known.
    pub fn freeze_all(
        &mut self,
        actor: Actor<'_>,
        until: Option<Timestamp>,
    ) -> Result<FrozenAll, Error> {
        self.check_freeze_layer()?;
        let configured = self.configured.clone();
        let frozen = self.store.freeze_all(actor, &configured, until)?;
        let frozen = frozen.ok_or(Error::NothingToFreeze)?;
        let mut not_held = Vec::new();
        for repo in frozen.repos.iter().take(LOOKED_AT) {
            let effect = self.freeze_effect(actor.now, repo);
            not_held.extend(effect.note().map(|note| frozen_words(repo, Some(&note))));
            if not_held.len() == NAMED {
                break;
            }
        }
        Ok(FrozenAll {
            group: frozen.group,
            repos: frozen.repos.len(),
            not_held,
            more: frozen.repos.len() > LOOKED_AT,
        })
    }

    /// Writes down what became of a deploy. A degraded one freezes its repo, once for each deploy.
    /// It is on the disk then. Fails if the deploy is degraded and freezes are switched off.
    pub fn deploy_verdict(
        &mut self,
        actor: Actor<'_>,
        deploy: NewDeploy<'_>,
    ) -> Result<Deployed, Error> {
        if deploy.verdict == DeployVerdict::Degraded {
            self.check_freeze_layer()?;
        }
        let unknown = self.unknown_repo(deploy.repo)?;
        let effect = self.freeze_effect(actor.now, deploy.repo);
        let note = joined([unknown.clone(), effect.note()]);
        let recorded = self.store.record_deploy(actor, deploy, note.as_deref())?;
        let frozen = self.is_frozen(Some(deploy.repo));
        Ok(Deployed {
            recorded,
            holds: frozen && effect.holds,
            note: joined([unknown, effect.note().filter(|_| frozen)]),
        })
    }

    /// A freeze that would hold nothing anywhere is refused. So is a degraded verdict: its reporter
    /// counts on a closed repo, so a success would be a silent failure. And if the verdict were
    /// stored without its freeze, it would count as a repetition when it comes again with the layer
    /// on, and freeze nothing.
    fn check_freeze_layer(&mut self) -> Result<(), Error> {
        if self.gate.settings_now(&mut self.store)?.freeze_enabled {
            return Ok(());
        }
        // With both in the way, this process's override is the first to go: before that, the stored
        // setting has no effect.
        let here = match self.gate.rule() {
            Rule::Active(overrides) => overrides.freeze_enabled == Some(false),
            Rule::Given { .. } => true,
        };
        Err(Error::FreezeOff { here })
    }
}

/// Notes in one line; none if there is nothing to say. A question needs no further mark.
pub fn joined(notes: [Option<String>; 2]) -> Option<String> {
    notes.into_iter().flatten().reduce(|before, note| {
        let mark = if before.ends_with('?') { "" } else { ";" };
        format!("{before}{mark} {note}")
    })
}
