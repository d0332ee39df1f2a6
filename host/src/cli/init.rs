//! `init`: prepares a database.
//!
//! Owns the words for what was found and done. What is added, tried and counted is the library's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serial_gate::error::with_causes;
use serial_gate::gate::{self, default_settings};
use serial_gate::model::{Dialect, Settings};
use serial_gate::policy::{DEFAULT_POLICY, Limits, Runtime};
use serial_gate::queue::{self, Adoption, Preparing, Queue, adoption_by};
use serial_gate::store::{self, Act, Before, Change, GenerationState, Prepared, Store};

use super::adoption::{GIVE, SET, advice, census, note, proof, rows};
use super::options::{Shared, Who};
use super::output::Output;
use super::text::count;
use super::{Error, Outcome, similar};

/// Other writers notice it when they had to wait for longer.
const LONG: Duration = Duration::from_secs(1);

/// Create the queue's database, or add what is missing to an existing one
#[derive(Args)]
#[command(
    after_help = "In the database of an existing orchestrator, `tasks` and `jobs` stay as they are: only tables,\nnullable columns, indexes and triggers are added, in one transaction. There a job is claimed\nand finished and a repo is frozen, and that is undone: if the database forbids it, `init` says\nwhy and changes nothing. A second run changes nothing.\n\nExample:\n  serial-gate --db orchestrator.db init --dry-run\n  serial-gate --db orchestrator.db init"
)]
pub struct Init {
    /// Do everything and undo it, and say what would be added and how long other writers would wait
    #[arg(long)]
    dry_run: bool,
    /// List the additions, and what is in the tables
    #[arg(short, long)]
    verbose: bool,
    /// Make new, empty `tasks` and `jobs` although the database has tables of almost these names
    #[arg(long)]
    new_tables: bool,
    /// The scope may name repos that nothing in the queue has yet
    #[arg(long)]
    new: bool,
    #[command(flatten)]
    who: Who,
}

/// What there is to tell.
struct Told {
    prepared: Prepared,
    adoption: Option<Adoption>,
    /// How many jobs may be claimed; none if that is not known.
    claimable: Option<usize>,
    /// Why it is not known what is in the tables, if so.
    unseen: Option<String>,
    /// A database that was meant, perhaps.
    similar: Option<PathBuf>,
    /// What to say of settings that were given, and stay as they were stored.
    kept: Option<String>,
}

impl Init {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        // What this command was told is what everybody goes by from now on.
        let settings = shared.overrides.over(default_settings());
        if settings.rules.is_some() && shared.store().is_err() {
            check_rules(&settings)?;
        }
        let (dry_run, verbose) = (self.dry_run, self.verbose);
        let preparing = Preparing {
            new_tables: self.new_tables,
            dry_run,
        };
        let configured = shared.configured_repos();
        let by_flags = shared.told.over(default_settings());
        queue::check_first_scope(&shared.db, &by_flags, &configured, self.new)?;
        let who = self.who.name();
        let now = Timestamp::now();
        let act = Act {
            now,
            who: &who,
            why: "the queue was made",
        };
        let prepared = Queue::prepare(&shared.db, &settings, act, preparing)?;
        // A queue is opened in WAL mode only, and a dry run leaves it in the mode that it had.
        let may_open = !dry_run || prepared.changes.is_empty();
        let kept = (prepared.before == Before::Queue && may_open)
            .then(|| kept(shared))
            .flatten();
        let is_new = matches!(prepared.before, Before::Nothing | Before::OtherTables);
        let mut told = Told {
            similar: (prepared.before == Before::Nothing)
                .then(|| similar::beside(&shared.db.path))
                .flatten(),
            prepared,
            adoption: None,
            claimable: None,
            unseen: None,
            kept,
        };
        if !is_new && dry_run {
            let census = Store::census_at(&shared.db.path)?;
            let rules = settings.rules.as_deref();
            told.adoption = Some(adoption_by(census, &told.prepared.trial, rules));
        } else if told.prepared.before == Before::Orchestrator || (!is_new && verbose) {
            match look(shared, now) {
                Ok((adoption, claimable)) => {
                    told.adoption = Some(adoption);
                    told.claimable = claimable;
                }
                // What was done is done.
                Err(error) => told.unseen = Some(with_causes(&error)),
            }
        }
        if output.json {
            output.json_line(&told.as_json(&shared.db.path, dry_run))?;
            return Ok(Outcome::Done);
        }
        let line = if dry_run {
            told.what_would_be(&shared.db.path)
        } else {
            told.what_was_done(&shared.db.path)
        };
        output.line(line)?;
        if verbose {
            list(&told, output)?;
        }
        told.notes(shared, output, dry_run)?;
        Ok(Outcome::Done)
    }
}

impl Told {
    fn what_was_done(&self, path: &Path) -> String {
        let path = path.display();
        let Prepared {
            before, changes, ..
        } = &self.prepared;
        let additions = count(changes.len(), "addition");
        match before {
            Before::Nothing => format!("created `{path}`: a new, empty queue"),
            Before::OtherTables => {
                format!("`{path}` has a new, empty queue beside the tables that were there")
            }
            Before::Orchestrator if self.unseen.is_some() => format!("`{path}` adopted"),
            Before::Orchestrator if self.is_empty() => {
                format!("`{path}` adopted: its `tasks` and `jobs` are empty")
            }
            Before::Orchestrator => {
                let free = self
                    .claimable
                    .map(|free| format!(", {free} may be claimed"));
                format!(
                    "`{path}` adopted: {} are there{}",
                    self.rows(),
                    free.unwrap_or_default()
                )
            }
            Before::Queue if changes.is_empty() => {
                format!("`{path}` is up to date: nothing was changed")
            }
            Before::Queue => format!("`{path}` is ready: {additions} made"),
        }
    }

    fn what_would_be(&self, path: &Path) -> String {
        let path = path.display();
        let Prepared {
            before,
            changes,
            locked,
            ..
        } = &self.prepared;
        let additions = count(changes.len(), "addition");
        let wait = format!("other writers would wait {}", seconds(*locked));
        match before {
            Before::Nothing => format!("`{path}` would be created: a new, empty queue"),
            Before::OtherTables => format!(
                "`{path}` would get a new, empty queue beside the tables that are there; {wait}"
            ),
            Before::Orchestrator => format!(
                "`{path}` would be adopted: {} are there, {additions} would be made; {wait}",
                self.rows()
            ),
            Before::Queue if changes.is_empty() => {
                format!("`{path}` is up to date: nothing would be changed")
            }
            Before::Queue => format!("`{path}` would get {additions}; {wait}"),
        }
    }

    fn is_empty(&self) -> bool {
        let found = self.adoption.as_ref().map(|adoption| &adoption.census);
        found.is_none_or(|census| census.tasks == 0 && census.jobs == 0)
    }

    fn rows(&self) -> String {
        let (tasks, jobs) = self.adoption.as_ref().map_or((0, 0), |adoption| {
            (adoption.census.tasks, adoption.census.jobs)
        });
        format!("{} and {}", rows(tasks, "task"), rows(jobs, "job"))
    }

    fn notes(&self, shared: &Shared, output: &mut Output, dry_run: bool) -> Result<(), Error> {
        if let Some(similar) = &self.similar {
            let similar = similar.display();
            note(
                output,
                &format!("did you mean `{similar}`, which is beside it?"),
            )?;
        }
        if let Some(kept) = &self.kept {
            note(output, kept)?;
        }
        if let Some(unseen) = &self.unseen {
            let text = format!("its rows were not counted: {unseen}");
            note(output, &text)?;
        }
        for change in &self.prepared.changes {
            if let Change::Row(name) = change {
                note(
                    output,
                    &format!(
                        "the row of `{name}` was lost or was no number: it has the next one, so that every kept clause is fetched anew"
                    ),
                )?;
            }
        }
        proof(output, &self.prepared.proof)?;
        for table in &self.prepared.unread {
            note(
                output,
                &format!(
                    "the table `{table}` is not read: the gate reads only `tasks`, `jobs` and `repo_freeze`"
                ),
            )?;
        }
        if let Some(adoption) = &self.adoption {
            // A queue that is prepared has its rules.
            let is_new = dry_run && self.prepared.before != Before::Queue;
            advice(output, adoption, shared, if is_new { &GIVE } else { &SET })?;
        }
        if !dry_run && self.prepared.locked > LONG {
            let waited = seconds(self.prepared.locked);
            note(output, &format!("other writers had to wait {waited}"))?;
        }
        Ok(())
    }

    fn as_json(&self, path: &Path, dry_run: bool) -> serde_json::Value {
        let Prepared {
            before,
            changes,
            proof,
            unread,
            locked,
            ..
        } = &self.prepared;
        serde_json::json!({
            "database": path.to_string_lossy(),
            "changes": changes,
            "dry_run": dry_run,
            "before": before,
            "locked_ms": u64::try_from(locked.as_millis()).unwrap_or(u64::MAX),
            "forbidden": proof.forbidden,
            "untried": proof.unknown,
            "unread_tables": unread,
            "adoption": self.adoption,
            "claimable": self.claimable,
            "note": self.kept,
            "similar": self.similar.as_ref().map(|path| path.to_string_lossy()),
        })
    }
}

/// That a queue which has settings keeps them, where flags say otherwise. The environment and the
/// file say every time what this user's commands go by, so that they need no word.
fn kept(shared: &Shared) -> Option<String> {
    let mut store = shared.store().ok()?;
    let active = store.generation_in(GenerationState::Active).ok()??;
    let stored = gate::settings_of(&active).ok()?;
    (shared.told.over(stored.clone()) != stored).then(|| {
        "the stored settings stay as they are: `serial-gate policy settings` changes them".into()
    })
}

fn list(told: &Told, output: &mut Output) -> Result<(), Error> {
    for change in &told.prepared.changes {
        let (kind, name) = match change {
            Change::Table(name) => ("table", name),
            Change::Column(name) => ("column", name),
            Change::Row(name) => ("row of", name),
            Change::Index(name) => ("index", name),
            Change::Trigger(name) => ("trigger", name),
            Change::Generation(name) => ("policy", name),
            Change::JournalMode(name) => ("journal", name),
        };
        output.line(format!("  {kind:<7} {name}"))?;
    }
    let found = told.adoption.as_ref();
    if let Some(line) = found.and_then(|adoption| census(&adoption.census)) {
        output.line(line)?;
    }
    Ok(())
}

/// What is in the tables of a prepared queue.
fn look(shared: &Shared, now: Timestamp) -> Result<(Adoption, Option<usize>), Error> {
    let mut queue = shared.queue_as_stored()?;
    Ok((queue.adoption(now)?, claimable(&mut queue, now)?))
}

/// How many jobs may be claimed; none if it takes too long to find out.
fn claimable(queue: &mut Queue, now: Timestamp) -> Result<Option<usize>, Error> {
    match queue.claimable(now) {
        Ok(jobs) => Ok(Some(jobs.len())),
        Err(queue::Error::Gate(gate::Error::Store(store::Error::Budget { .. }))) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Rules that the policy refuses would be everybody's, and the order of tasks nobody's.
fn check_rules(settings: &Settings) -> Result<(), Error> {
    let built_in =
        Runtime::new().and_then(|runtime| runtime.load(DEFAULT_POLICY, Limits::default()));
    built_in
        .and_then(|policy| policy.claim_clause(settings, Timestamp::now(), Dialect::Sqlite))
        .map_err(queue::Error::from)?;
    Ok(())
}
