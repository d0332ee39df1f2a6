//! `clause`: the policy's fragment for queries of one's own, and the guard for anybody's fragment.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serial_gate::clause;
use serial_gate::gate::default_settings;
use serial_gate::model;
use serial_gate::policy::{DEFAULT_POLICY, Limits, Runtime};

use super::options::Shared;
use super::output::{Output, Tone, toned};
use super::text::shown;
use super::{Error, Outcome};

/// Print the policy's SQL fragment, or check any fragment
#[derive(Args)]
#[command(
    after_help = "The fragment goes behind `SELECT id FROM jobs WHERE status = 'queued'` in a query of your own. It changes with the settings and with the policy, and, if `valid_until` is set, with the time. To keep it, keep the `version` of `--json` with it: in the transaction of your claim, read `SELECT version FROM serial_gate_clause_version`, and fetch the fragment anew if that is another number, or if `valid_until` is past.\n\nThe flags, the environment and the configuration file of this command change the fragment that it prints, and not the version: fetch it with those that your claims have.\n\nExamples:\n  serial-gate clause\n  serial-gate clause --json | jq '{text, version}'\n  serial-gate clause --dialect postgres\n  \
    serial-gate clause | serial-gate clause --check -"
)]
pub struct Clause {
    /// The database that the fragment is for
    #[arg(long, value_enum, default_value_t = Dialect::Sqlite)]
    dialect: Dialect,
    /// Check the fragment in this file instead (`-` is the standard input), and print what would
    /// run
    #[arg(long, value_name = "FILE", conflicts_with = "dialect")]
    check: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Dialect {
    Sqlite,
    Postgres,
}

impl Clause {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        match self.check {
            Some(file) => check(&read(&file)?, output),
            None => print(self.dialect, shared, output),
        }
    }
}

fn print(dialect: Dialect, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
    let dialect = match dialect {
        Dialect::Sqlite => model::Dialect::Sqlite,
        Dialect::Postgres => model::Dialect::Postgres,
    };
    let Fragment { clause, version } = fragment(shared, dialect)?;
    if output.json {
        output.json_line(&serde_json::json!({
            "text": clause.text, "notes": clause.notes, "valid_until": clause.valid_until, "version": version,
        }))?;
        return Ok(Outcome::Done);
    }
    for note in clause.notes {
        tracing::warn!("{}", shown(&note));
    }
    output.line(clause.text)?;
    Ok(Outcome::Done)
}

/// A policy's answer, and what tells it from the answers before and after.
struct Fragment {
    clause: model::Clause,
    /// None where there is no queue.
    version: Option<i64>,
}

/// How often the policy may be changed while it is asked.
const TRIES: u32 = 20;

/// The active policy's; where there is no queue, the built-in one's.
fn fragment(shared: &Shared, dialect: model::Dialect) -> Result<Fragment, Error> {
    let now = Timestamp::now();
    if shared.has_no_queue() {
        let policy = Runtime::new()?.load(DEFAULT_POLICY, Limits::default())?;
        let settings = shared.overrides.over(default_settings());
        return Ok(Fragment {
            clause: policy.claim_clause(&settings, now, dialect)?,
            version: None,
        });
    }
    let mut store = shared.store()?;
    for _ in 0..TRIES {
        // The version belongs to the text if it is the same before and after.
        let version = store.clause_version()?;
        let clause = shared.queue()?.fragment(now, dialect)?;
        if store.clause_version()? == version {
            return Ok(Fragment { clause, version });
        }
    }
    Err(Error::Changing)
}

fn check(text: &str, output: &mut Output) -> Result<Outcome, Error> {
    let clause = match clause::Clause::accept(text) {
        Ok(clause) => clause,
        Err(refusal) if output.json => {
            output.json_line(&serde_json::json!({
                "accepted": false,
                "construct": refusal.construct(),
                "line": refusal.line(),
                "column": refusal.column(),
                "message": refusal.to_string(),
            }))?;
            return Ok(Outcome::Failed);
        }
        Err(refusal) => return Err(Error::Refused(refusal)),
    };
    let sqlite = clause.render(clause::Dialect::Sqlite);
    let postgres = clause.render(clause::Dialect::Postgres);
    let (flat, gated) = (clause.flat(), clause.gated().to_string());
    if output.json {
        output.json_line(&serde_json::json!({
            "accepted": true, "sqlite": sqlite.as_str(), "postgres": postgres.as_str(),
            "flat": flat.is_ok(), "obstacle": flat.as_ref().err().map(ToString::to_string),
            "gated": gated,
        }))?;
        return Ok(Outcome::Done);
    }
    output.line(toned(Tone::Free, "accepted"))?;
    output.line(match &flat {
        Ok(()) => "claims    flat: the same cost however many jobs are held".into(),
        Err(obstacle) => format!("claims    not flat: {}", obstacle.in_words()),
    })?;
    output.line(format!("gated     {gated}"))?;
    output.line(format!("sqlite    AND {sqlite}"))?;
    output.line(format!("postgres  AND {postgres}"))?;
    Ok(Outcome::Done)
}

/// Bytes that are not UTF-8 become a character that the guard refuses by its position.
fn read(file: &Path) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    read.map_err(|cause| Error::Read {
        path: file.into(),
        cause,
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
