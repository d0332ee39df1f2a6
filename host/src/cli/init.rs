//! `init`: prepares a database.
//!
//! Owns the order of the steps. Leaves the output to `init_words`, and the additions, the trial and
//! the counting to the library.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serial_gate::error::with_causes;
use serial_gate::gate::{self, default_settings};
use serial_gate::model::Settings;
use serial_gate::policy::{Allowance, DEFAULT_POLICY};
use serial_gate::queue::{self, Adoption, Preparing, Queue, adoption_by};
use serial_gate::store::{self, Before, GenerationState, Pipeline, Prepared, Store};

use super::options::{Shared, Who};
use super::output::Report;
use super::verb::Verb;
use super::{Error, init_words, similar, text};

/// Create the queue's database, or add what is missing to an existing one
#[derive(Args)]
#[command(after_help = "\
In the database of an existing orchestrator, `tasks` and `jobs` stay as they are: only
tables, nullable columns, indexes and triggers are added, in one transaction. There,
`init` tries to claim and finish a job and to freeze a repo, and undoes it: if the
database forbids this, it says why and changes nothing. A second run changes nothing.

Examples:
  serial-gate --db orchestrator.db init --dry-run
  serial-gate --db orchestrator.db init")]
pub struct Init {
    /// Do everything and undo it; report the additions, and how long other writers would wait
    #[arg(long)]
    dry_run: bool,
    /// List the additions, and what the tables contain
    #[arg(short, long)]
    verbose: bool,
    /// Make new, empty `tasks` and `jobs` even if the database has tables with similar names
    #[arg(long)]
    new_tables: bool,
    /// The scope may name repos that nothing in the queue has yet
    #[arg(long)]
    new: bool,
    #[command(flatten)]
    who: Who,
}

/// The result, for `init_words`.
pub struct Done {
    pub dry_run: bool,
    pub prepared: Prepared,
    pub adoption: Option<Adoption>,
    /// How many jobs may be claimed, if that is known.
    pub claimable: Option<usize>,
    /// Why the rows could not be counted.
    pub uncounted: Option<String>,
    /// A database with a similar name.
    pub similar: Option<PathBuf>,
    /// The pipeline, unless this was a dry run.
    pub pipeline: Option<Option<Pipeline>>,
    /// A note that the stored settings stay although flags give others.
    pub kept: Option<String>,
}

impl Verb for Init {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        // The settings of this command become the queue's.
        let settings = shared.overrides.over(default_settings());
        if settings.rules.is_some() && shared.store().is_err() {
            check_rules(shared, &settings)?;
        }
        let (dry_run, verbose) = (self.dry_run, self.verbose);
        let preparing = Preparing {
            new_tables: self.new_tables,
            dry_run,
        };
        let configured = shared.configured_repos();
        let by_flags = shared.by_flags.over(default_settings());
        queue::check_first_scope(&shared.db, &by_flags, &configured, self.new)?;
        let actor = self.who.actor("the queue was made");
        let now = actor.now;
        let prepared = Queue::prepare(&shared.db, &settings, actor, preparing)?;
        let before = prepared.before;
        // A queue is opened in WAL mode only, and a dry run does not change the mode.
        let may_open = !dry_run || prepared.changes.is_empty();
        let mut done = Done {
            dry_run,
            kept: match before {
                Before::Queue if may_open => kept(shared),
                _ => None,
            },
            similar: match before {
                Before::Nothing => shared.db.location.file().and_then(similar::beside),
                _ => None,
            },
            pipeline: match dry_run {
                true => None,
                false => Some(shared.store()?.pipeline()?),
            },
            prepared,
            adoption: None,
            claimable: None,
            uncounted: None,
        };
        let is_new = matches!(before, Before::Nothing | Before::OtherTables);
        if !is_new && dry_run {
            let census = Store::census_at(&shared.db.location)?;
            let rules = settings.rules.as_deref();
            done.adoption = Some(adoption_by(census, &done.prepared.trial, rules));
        } else if before == Before::Orchestrator || (!is_new && verbose) {
            match look(shared, now) {
                Ok((adoption, claimable)) => {
                    done.adoption = Some(adoption);
                    done.claimable = claimable;
                }
                // The preparation itself succeeded.
                Err(error) => done.uncounted = Some(with_causes(&error)),
            }
        }
        // A file needs nothing.
        if !dry_run && shared.db.location.file().is_none() {
            shared.queue_as_stored()?.prepare_claims(now)?;
        }
        Ok(init_words::report(&done, verbose, shared))
    }
}

/// A note if flags give other settings than a queue has stored. Settings from the environment and
/// the file need no note: they apply to each command of this user anyway.
fn kept(shared: &Shared) -> Option<String> {
    let mut store = shared.store().ok()?;
    let active = store.generation_in(GenerationState::Active).ok()??;
    let stored = gate::settings_of(&active).ok()?;
    (shared.by_flags.over(stored.clone()) != stored).then(|| {
        let gate = text::gate(shared);
        format!("the stored settings stay as they are: `{gate} policy settings` changes them")
    })
}

/// The content of a prepared queue's tables, and how many jobs may be claimed. `None` if that takes
/// too long to find out.
fn look(shared: &Shared, now: Timestamp) -> Result<(Adoption, Option<usize>), Error> {
    let mut queue = shared.queue_as_stored()?;
    let adoption = queue.adoption(now)?;
    match queue.claimable(now) {
        Ok(jobs) => Ok((adoption, Some(jobs.len()))),
        Err(queue::Error::Gate(gate::Error::Store(store::Error::Budget { .. }))) => {
            Ok((adoption, None))
        }
        Err(error) => Err(error.into()),
    }
}

/// Rules that the policy refuses must not be stored: no order of tasks would be enforced.
fn check_rules(shared: &Shared, settings: &Settings) -> Result<(), Error> {
    let dialect = gate::dialect_of(shared.db.location.dialect());
    let built_in = shared.runtime.load(DEFAULT_POLICY, Allowance::default());
    built_in
        .and_then(|policy| policy.claim_clause(settings, Timestamp::now(), dialect))
        .map_err(queue::Error::from)?;
    Ok(())
}
