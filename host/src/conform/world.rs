//! The temporary database of the cases, with the queue under test on it.
//!
//! Owns the result's shape: which fields it has, and in which order they are worked out. Claims are
//! undone before the operations run.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::budget::Budget;
use super::case::{Document, Row};
use super::place::Place;
use super::row::{cells, check_columns, json_value};
use super::{CASE_TIME, Error, Through};
use crate::clause::Table;
use crate::gate::{Overrides, Rule, Source, default_settings};
use crate::model::{Settings, Verdict};
use crate::observe::fault;
use crate::policy::{Allowance, Runtime};
use crate::queue::{self, NewFreeze, Options, Queue};
use crate::store::{Actor, Cell, Database, Durability, Outsider, sql_time};

/// The time of every case. Any text that is this time was written by an operation, and is `<now>`
/// in the expected results.
pub(super) const NOW: Timestamp = Timestamp::constant(981_173_106, 0);

const WORKER: &str = "conform";
const LEASE: Duration = Duration::from_secs(3600);

pub(super) struct World {
    pub(super) queue: Queue,
    /// Another program's view of the same database.
    pub(super) outsider: Outsider,
    pub(super) registry: Vec<Option<String>>,
    /// What a case may take of time.
    pub(super) budget: Budget,
    /// The settings that replace each case's.
    replaced: Overrides,
    /// Where the database is. It goes last.
    place: Place,
}

/// Who operates on a case, and why.
fn operator(why: &str) -> Actor<'_> {
    Actor {
        now: NOW,
        who: WORKER,
        why,
    }
}

impl World {
    /// In a file.
    pub(super) fn new(
        component: &[u8],
        allowance: Allowance,
        runtime: Runtime,
    ) -> Result<World, Error> {
        World::at(Place::folder()?, component, allowance, runtime)
    }

    pub(super) fn at(
        place: Place,
        component: &[u8],
        allowance: Allowance,
        runtime: Runtime,
    ) -> Result<World, Error> {
        let database = Database::new(place.location(), Durability::Normal);
        let actor = Actor {
            now: NOW,
            who: WORKER,
            why: "a temporary database",
        };
        Queue::init(&database, &default_settings(), actor)?;
        let outsider = Outsider::connect(&database.location)?;
        let options = Options {
            runtime,
            ..Options::default()
        };
        let rule = Rule::Given {
            component: component.to_vec(),
            settings: settings(&Settings::off(), &Row::new())?,
            allowance,
        };
        let queue = Queue::open(&database, rule, options)?;
        Ok(World {
            queue,
            outsider,
            registry: Vec::new(),
            budget: Budget::new(CASE_TIME),
            replaced: Overrides::default(),
            place,
        })
    }

    /// A value of a case that this database cannot keep, with the reason.
    pub(super) fn cannot_keep(&self, case: &Document) -> Option<String> {
        self.place.cannot_keep(case)
    }

    /// The result of a case, with the reference's fields.
    pub(super) fn evaluate(
        &mut self,
        case: &Document,
        through: Through<'_>,
    ) -> Result<Map<String, Value>, Error> {
        let of_case = settings(&Settings::off(), &case.settings)?;
        self.queue.set_settings(self.replaced.over(of_case));
        self.registry = case.projects.clone();
        self.load(case)?;
        let mut result = Map::new();
        self.observe(case, through, &mut result)?;
        let mut claim_order = Vec::new();
        while let Some(job) = self.claim(through)? {
            claim_order.push(job);
        }
        result.insert("claim_order".into(), json!(claim_order));
        if !case.ops.is_empty() {
            self.load(case)?;
            let ops: Result<Vec<Value>, Error> = case
                .ops
                .iter()
                .map(|operation| self.operate(operation, through))
                .collect();
            result.insert("ops".into(), json!(ops?));
            let mut last = Map::new();
            self.observe(case, through, &mut last)?;
            self.rows(&mut last)?;
            result.insert("final".into(), last.into());
        }
        result
            .values_mut()
            .for_each(|field| hide_now(field, &sql_time(NOW)));
        Ok(result)
    }

    pub(super) fn set_settings(&mut self, changed: &Row) -> Result<(), Error> {
        let changed = settings(self.queue.settings(), changed)?;
        self.queue.set_settings(self.replaced.over(changed));
        Ok(())
    }

    /// From now on these hold in every case, whatever its own are.
    pub(super) fn replace_settings(&mut self, replaced: Overrides) -> Result<(), Error> {
        self.queue.set_settings(replaced.over(default_settings()));
        self.queue.check_rules(NOW)?;
        self.replaced = replaced;
        Ok(())
    }

    /// The policy's clause. A fallback is an error, so that it is never taken for the policy's.
    pub(super) fn clause(&mut self) -> Result<Value, Error> {
        let clause = self.queue.clause(NOW)?;
        Ok(match clause.source {
            Source::Off | Source::Policy => json!(clause.text),
            Source::LastGood | Source::FreezeOnly => json!({ "error": clause.notes }),
        })
    }

    pub(super) fn claimable(&mut self, through: Through<'_>) -> Result<Vec<i64>, Error> {
        match through {
            Through::Clause => Ok(self.queue.claimable(NOW)?),
            Through::Decisions(decide) => {
                let decisions = decide(&mut self.queue, NOW)?;
                let queued = self.queue.store().queued_jobs();
                if let Some(fault) = fault(&queued.map_err(queue::Error::from)?, &decisions) {
                    return Err(Error::Decided(fault));
                }
                let claimed = decisions
                    .into_iter()
                    .filter(|decision| decision.verdict == Verdict::Claim);
                Ok(claimed.map(|decision| decision.job).collect())
            }
        }
    }

    /// Claims a job. Each claim leaves one queued job fewer, so a case comes to its end.
    pub(super) fn claim(&mut self, through: Through<'_>) -> Result<Option<i64>, Error> {
        if self.budget.is_spent() {
            return Err(Error::Time);
        }
        if let Through::Clause = through {
            return Ok(self.queue.claim(NOW, WORKER, LEASE)?.map(|job| job.id));
        }
        let first = self.claimable(through)?.into_iter().min();
        if let Some(job) = first {
            let changed = self.outsider.execute(
                "UPDATE jobs SET status = 'running' WHERE id = $1 AND status = 'queued'",
                vec![Cell::Integer(job)],
            )?;
            if changed == 0 {
                return Err(Error::Decided(format!(
                    "job {job} is let through and cannot be claimed"
                )));
            }
        }
        Ok(first)
    }

    pub(super) fn freeze(
        &mut self,
        repo: &str,
        reason: Option<&str>,
        work_item: Option<&str>,
    ) -> bool {
        let actor = operator(reason.unwrap_or_default());
        // The reference freezes any repo.
        let freeze = NewFreeze {
            repo,
            work_item,
            until: None,
            new: true,
        };
        self.queue.freeze(actor, freeze).is_ok()
    }

    pub(super) fn unfreeze(&mut self, repo: &str) -> Result<usize, Error> {
        Ok(self
            .queue
            .store_mut()
            .unfreeze(operator(""), repo, None)
            .map_err(queue::Error::from)?)
    }

    pub(super) fn has_active(
        &mut self,
        repo: Option<&str>,
        except: Option<i64>,
    ) -> Result<bool, Error> {
        Ok(self
            .queue
            .store()
            .has_active_task(repo, except)
            .map_err(queue::Error::from)?)
    }

    /// The fields that a result has before and after the operations.
    fn observe(
        &mut self,
        case: &Document,
        through: Through<'_>,
        result: &mut Map<String, Value>,
    ) -> Result<(), Error> {
        result.insert("clause".into(), self.clause()?);
        result.insert("claimable".into(), json!(self.claimable(through)?));
        let (mut frozen, mut applies, mut active) = (Map::new(), Map::new(), Map::new());
        for repo in repos_of(case) {
            let about = (
                self.queue.is_frozen(repo.as_deref()),
                self.queue.applies(repo.as_deref()),
                self.has_active(repo.as_deref(), None)?,
            );
            match repo {
                Some(repo) => {
                    frozen.insert(repo.clone(), about.0.into());
                    applies.insert(repo.clone(), about.1.into());
                    active.insert(repo, about.2.into());
                }
                // There is no key for null.
                None => {
                    let about = json!({ "frozen": about.0, "applies": about.1, "active": about.2 });
                    result.insert("null_repo".into(), about);
                }
            }
        }
        result.insert("frozen".into(), frozen.into());
        result.insert("applies".into(), applies.into());
        result.insert("active".into(), active.into());
        result.insert("snapshot".into(), self.snapshot());
        Ok(())
    }

    pub(super) fn snapshot(&mut self) -> Value {
        json!(self.queue.reference_state(&self.registry))
    }

    pub(super) fn load(&mut self, case: &Document) -> Result<(), Error> {
        self.outsider.replace_rows(|outsider| {
            for (table, rows) in [
                (Table::Tasks, &case.tasks),
                (Table::Jobs, &case.jobs),
                (Table::RepoFreeze, &case.freezes),
            ] {
                for row in rows {
                    check_columns(table, row)?;
                    outsider.insert(table, cells(table, row)?)?;
                }
            }
            Ok(())
        })
    }

    fn rows(&self, result: &mut Map<String, Value>) -> Result<(), Error> {
        let freeze: Vec<_> = Table::RepoFreeze.column_names().collect();
        for (name, table, columns) in [
            ("tasks", "tasks", &["id", "stage"][..]),
            ("jobs", "jobs", &["id", "status"]),
            ("freezes", "repo_freeze", &freeze),
        ] {
            let rows = self.outsider.rows(table, columns)?;
            let objects = rows.into_iter().map(|row| {
                let fields = columns.iter().zip(row);
                let fields = fields.map(|(column, cell)| ((*column).into(), json_value(cell)));
                Value::Object(fields.collect())
            });
            result.insert(name.into(), objects.collect());
        }
        Ok(())
    }
}

impl Settings {
    /// What the reference starts from.
    fn off() -> Settings {
        Settings {
            enabled: false,
            repos: String::new(),
            freeze_enabled: false,
            rules: None,
        }
    }
}

/// Settings with some of them changed. A switch is on as it would be in the reference's language.
fn settings(before: &Settings, changed: &Row) -> Result<Settings, Error> {
    let switch = |key: &str, before: bool| match changed.get(key) {
        None => before,
        Some(Value::Null) => false,
        Some(Value::Bool(on)) => *on,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(entries)) => !entries.is_empty(),
    };
    let repos = match changed.get("repos") {
        None => before.repos.clone(),
        Some(Value::Null) => String::new(),
        Some(Value::String(csv)) => csv.clone(),
        Some(other) => {
            return Err(Error::Value(format!(
                "`settings.repos` is `{other}`: write a text or null"
            )));
        }
    };
    Ok(Settings {
        enabled: switch("enabled", before.enabled),
        repos,
        freeze_enabled: switch("freeze_enabled", before.freeze_enabled),
        rules: match changed.get("rules") {
            None => before.rules.clone(),
            Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Object(entries)) => Some(Value::Object(entries.clone()).to_string()),
            Some(other) => {
                return Err(Error::Value(format!(
                    "`settings.rules` is `{other}`: write a JSON object or null"
                )));
            }
        },
    })
}

/// Every repo that a case mentions, once; none for null.
fn repos_of(case: &Document) -> BTreeSet<Option<String>> {
    let rows = [&case.tasks, &case.jobs, &case.freezes, &case.ops]
        .into_iter()
        .flatten();
    let in_rows = rows.filter_map(|row| match row.get("repo")? {
        Value::Null => Some(None),
        Value::String(repo) => Some(Some(repo.clone())),
        _ => None,
    });
    in_rows
        .chain(case.projects.iter().chain(&case.probe_repos).cloned())
        .collect()
}

/// Puts the expected results' word where an operation wrote the time.
fn hide_now(value: &mut Value, now: &str) {
    match value {
        Value::String(text) if text == now => *text = "<now>".into(),
        Value::Array(items) => items.iter_mut().for_each(|item| hide_now(item, now)),
        Value::Object(entries) => entries.values_mut().for_each(|entry| hide_now(entry, now)),
        _ => {}
    }
}
