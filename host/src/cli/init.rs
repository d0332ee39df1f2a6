//! `init`: prepares a database.

use clap::Args;
use jiff::Timestamp;
use serial_gate::model::{Dialect, Settings};
use serial_gate::policy::{DEFAULT_POLICY, Limits, Runtime};
use serial_gate::queue::{self, Queue, default_settings};
use serial_gate::store::{Act, Change};

use super::options::{Shared, Who};
use super::output::Output;
use super::text::count;
use super::{Error, Outcome};

/// Create the queue's database, or add what is missing to an existing one
#[derive(Args)]
#[command(
    after_help = "In the database of an existing orchestrator, `tasks` and `jobs` stay as they are: only tables,\nnullable columns, indexes and triggers are added, in one transaction. A second run changes nothing.\n\nExample:\n  serial-gate --db orchestrator.db init"
)]
pub struct Init {
    /// The scope may name repos that nothing in the queue has yet
    #[arg(long)]
    new: bool,
    #[command(flatten)]
    who: Who,
}

impl Init {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        // What this command was told is what everybody goes by from now on.
        let settings = shared.overrides.over(default_settings());
        if settings.rules.is_some() && shared.store().is_err() {
            check_rules(&settings)?;
        }
        let configured = shared.configured_repos();
        let told = shared.told.over(default_settings());
        queue::check_first_scope(&shared.db, &told, &configured, self.new)?;
        let who = self.who.name();
        let act = Act {
            now: Timestamp::now(),
            who: &who,
            why: "the queue was made",
        };
        let changes = Queue::init(&shared.db, &settings, act)?;
        if output.json {
            output.json_line(
                &serde_json::json!({ "database": shared.db.path.to_string_lossy(), "changes": changes }),
            )?;
            return Ok(Outcome::Done);
        }
        let database = shared.db.path.display();
        if changes.is_empty() {
            output.line(format!("`{database}` is up to date: nothing was changed"))?;
            return Ok(Outcome::Done);
        }
        output.line(format!(
            "`{database}` is ready: {} made",
            count(changes.len(), "addition")
        ))?;
        for change in changes {
            let (kind, name) = match change {
                Change::Table(name) => ("table", name),
                Change::Column(name) => ("column", name),
                Change::Index(name) => ("index", name),
                Change::Trigger(name) => ("trigger", name),
                Change::Generation(name) => ("policy", name),
                Change::JournalMode(name) => ("journal", name),
            };
            output.line(format!("  {kind:<7} {name}"))?;
        }
        Ok(Outcome::Done)
    }
}

/// Rules that the policy refuses would be everybody's, and the order of tasks nobody's.
fn check_rules(settings: &Settings) -> Result<(), Error> {
    let built_in =
        Runtime::new().and_then(|runtime| runtime.load(DEFAULT_POLICY, Limits::default()));
    built_in
        .and_then(|policy| policy.claim_clause(settings, Timestamp::now(), Dialect::Sqlite))
        .map_err(queue::Error::Policy)?;
    Ok(())
}
