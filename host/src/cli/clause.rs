//! `clause`: the policy's fragment for other programs' queries, and the guard for any fragment.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::Timestamp;
use serde_json::json;
use serial_gate::clause;
use serial_gate::gate::{default_settings, dialect_of};
use serial_gate::model::{self, Dialect};
use serial_gate::policy::{Allowance, DEFAULT_POLICY};

use super::options::Shared;
use super::output::{Report, Tone, toned};
use super::text::shown;
use super::verb::Verb;
use super::{Error, Outcome};

/// Print the policy's SQL fragment, or check any fragment
#[derive(Args)]
#[command(after_help = "\
The fragment goes after `SELECT id FROM jobs WHERE status = 'queued'` in your own
query. It changes with the settings and with the policy, and, if `valid_until` is
set, with the time. To cache it, keep the `version` of `--json` with it: in the
transaction of your claim, read `SELECT version FROM serial_gate_clause_version`.
Fetch the fragment again if that number differs, or if `valid_until` is past.

The flags, the environment and the configuration file of this command change the
fragment but not the version: fetch it with the options that your claims have.

Examples:
  serial-gate clause
  serial-gate clause --json | jq '{text, version}'
  serial-gate clause --dialect postgres
  serial-gate clause | serial-gate clause --check -")]
pub struct Clause {
    /// The SQL that the fragment is in; without it, that of the database
    #[arg(long, value_parser = dialects())]
    dialect: Option<Dialect>,
    /// Check the fragment in this file instead (`-` is the standard input), and print the SQL that
    /// would run
    #[arg(long, value_name = "FILE", conflicts_with = "dialect")]
    check: Option<PathBuf>,
}

fn dialects() -> impl TypedValueParser<Value = Dialect> {
    PossibleValuesParser::new(["sqlite", "postgres"]).map(|name| match name.as_str() {
        "postgres" => Dialect::Postgres,
        _ => Dialect::Sqlite,
    })
}

impl Verb for Clause {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        match self.check {
            Some(file) => check(&read(&file)?, shared),
            None => {
                let of_database = || dialect_of(shared.db.location.dialect());
                print(self.dialect.unwrap_or_else(of_database), shared)
            }
        }
    }
}

fn print(dialect: Dialect, shared: &Shared) -> Result<Report, Error> {
    let (clause, version) = fragment(shared, dialect)?;
    let mut report = shared.report();
    report.json(&json!({
        "text": clause.text, "notes": clause.notes, "valid_until": clause.valid_until,
        "version": version,
    }));
    if shared.db.location.dialect() == clause::Dialect::Postgres {
        tracing::warn!(
            "a claim in a server needs the repo's lock before it asks the rule, which a query with \
             this fragment has not: claim by `serial-gate claim`, over HTTP, or by the library"
        );
    }
    if !shared.json {
        for note in clause.notes {
            tracing::warn!("{}", shown(&note));
        }
    }
    report.line(clause.text);
    Ok(report)
}

/// How often to try again when the policy changes in between.
const TRIES: u32 = 20;

/// The clause of the active policy, and its version. Without a queue, the clause of the built-in
/// policy, which has no version.
fn fragment(shared: &Shared, dialect: Dialect) -> Result<(model::Clause, Option<i64>), Error> {
    let now = Timestamp::now();
    if shared.has_no_queue() {
        let policy = shared.runtime.load(DEFAULT_POLICY, Allowance::default())?;
        let settings = shared.overrides.over(default_settings());
        return Ok((policy.claim_clause(&settings, now, dialect)?, None));
    }
    let mut store = shared.store()?;
    for _ in 0..TRIES {
        // The version belongs to the text if it is the same before and after.
        let version = store.clause_version()?;
        let clause = shared.queue()?.fragment(now, dialect)?;
        if store.clause_version()? == version {
            return Ok((clause, version));
        }
    }
    Err(Error::new(
        "the policy or its settings changed during each try to read the clause: try again",
    ))
}

fn check(text: &str, shared: &Shared) -> Result<Report, Error> {
    let mut report = shared.report();
    let clause = match clause::Clause::accept(text) {
        Ok(clause) => clause,
        Err(refusal) if shared.json => {
            report.json(&json!({
                "accepted": false,
                "construct": refusal.construct(),
                "line": refusal.line(),
                "column": refusal.column(),
                "message": refusal.to_string(),
            }));
            return Ok(report.ended(Outcome::Failed));
        }
        Err(refusal) => {
            let of_rule_file = match text.trim_start().starts_with("--") {
                true => "; a rule file is checked by `serial-gate policy check FILE`",
                false => "",
            };
            return Err(Error::new(format!("refused: {refusal}{of_rule_file}")));
        }
    };
    let sqlite = clause.render(clause::Dialect::Sqlite);
    let postgres = clause.render(clause::Dialect::Postgres);
    let (flat, gated) = (clause.flat(), clause.gated().to_string());
    report.json(&json!({
        "accepted": true, "sqlite": sqlite.as_str(), "postgres": postgres.as_str(),
        "flat": flat.is_ok(), "obstacle": flat.as_ref().err().map(ToString::to_string),
        "gated": gated,
    }));
    report.line(toned(Tone::Free, "accepted"));
    report.line(match &flat {
        Ok(()) => "claims    flat: the same cost however many jobs are held".into(),
        Err(obstacle) => format!("claims    not flat: {}", obstacle.in_words()),
    });
    report.line(format!("gated     {gated}"));
    report.line(format!("sqlite    AND {sqlite}"));
    report.line(format!("postgres  AND {postgres}"));
    Ok(report)
}

/// Bytes that are not UTF-8 become a character that the guard refuses by its position.
fn read(file: &Path) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    read.map_err(Error::read(file))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
