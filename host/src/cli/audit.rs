//! `audit`: who did what, and why.

use clap::Args;

use super::options::Shared;
use super::output::Output;
use super::text::{shown, shown_or_dash};
use super::{Error, Outcome};

/// List what operators did, the newest first: who, what, from what to what, and why
#[derive(Args)]
#[command(
    after_help = "Changes of the policy concern every repo, so they are listed only without `--repo`.\n\nExamples:\n  serial-gate audit\n  serial-gate audit --repo alpha --limit 5"
)]
pub struct Audit {
    /// What was done in this repo only
    #[arg(long)]
    repo: Option<String>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
}

impl Audit {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let entries = shared.store()?.audit(self.repo.as_deref(), self.limit)?;
        if output.json {
            for entry in entries {
                output.json_line(&entry)?;
            }
            return Ok(Outcome::Done);
        }
        if entries.is_empty() {
            output.line("nothing was done yet")?;
            return Ok(Outcome::Done);
        }
        let rows = entries.iter().map(|entry| {
            vec![
                entry.at.clone(),
                shown(&entry.who),
                shown(&entry.action),
                shown_or_dash(entry.repo.as_deref()),
                shown(&entry.subject),
                change(entry.before.as_deref(), entry.after.as_deref()),
                shown_or_dash(Some(entry.why.as_str()).filter(|why| !why.is_empty())),
            ]
        });
        output.table(
            &["at (utc)", "who", "what", "repo", "to", "change", "why"],
            rows.collect(),
        )?;
        Ok(Outcome::Done)
    }
}

fn change(before: Option<&str>, after: Option<&str>) -> String {
    if before == after {
        return "-".into();
    }
    format!("{} → {}", shown_or_dash(before), shown_or_dash(after))
}
