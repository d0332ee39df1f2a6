//! `repo`: whether the gate acts in a repo, and what holds it.

use clap::Args;
use jiff::Timestamp;
use serial_gate::queue::{Acting, Queue};
use serial_gate::store::ActiveTask;

use super::options::Shared;
use super::output::{Output, Tone, toned};
use super::text::{shown, shown_or_dash, task, when};
use super::{Error, Outcome};

/// Show whether the gate acts in a repo, its active task, and whether it is frozen
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate repo alpha")]
pub struct Repo {
    /// The repo
    repo: String,
}

impl Repo {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let mut queue = shared.queue()?;
        let repo = self.repo.as_str();
        let applies = queue.applies(Some(repo));
        let acting = queue.acting(Timestamp::now(), repo)?;
        let frozen = queue.is_frozen(Some(repo));
        let finished = queue.finished_stages()?;
        let active = queue.store().active_task_under(repo, &finished)?;
        let freeze = queue.store().active_freeze(Some(repo))?.filter(|_| frozen);
        let effect = queue.freeze_effect(Timestamp::now(), repo);
        let unknown = queue.unknown_repo(repo)?;
        // A freeze may be there although its layer is off.
        let is_there = frozen || freeze_behind(&mut queue, repo)?;
        let note = effect.note().filter(|_| is_there);
        if output.json {
            let notes: Vec<String> = unknown.into_iter().chain(note).collect();
            let note = (!notes.is_empty()).then(|| notes.join("; "));
            let document = serde_json::json!({
                "repo": repo, "applies": applies, "acts": acting.here(), "active_task": active, "frozen": frozen, "freeze": freeze,
                "holds": frozen && effect.holds, "note": note,
            });
            output.json_line(&document)?;
            return Ok(Outcome::Done);
        }
        output.line(toned(Tone::Heading, shown(repo)))?;
        output.line(format!(
            "  gate         {}",
            match acting {
                Acting::Acts => "acts here",
                Acting::ActsHereOnly => {
                    "acts here by this process's own settings only: by the stored ones, every queued job may be claimed"
                }
                Acting::Idle => "does not act here",
                Acting::IdleHereOnly => "does not act here, by this process's own settings",
            }
        ))?;
        output.line(format!("  active task  {}", active_task(active.as_ref())))?;
        let freeze = freeze.map(|freeze| {
            let (since, reason) = (
                when(freeze.since, freeze.frozen_at.as_deref()),
                shown_or_dash(freeze.reason.as_deref()),
            );
            toned(
                Tone::Held,
                format!("since {since}: {reason} (freeze {})", freeze.id),
            )
        });
        output.line(format!(
            "  frozen       {}",
            freeze.unwrap_or_else(|| if frozen { "yes" } else { "no" }.into())
        ))?;
        for note in note.into_iter().chain(unknown) {
            output.line(format!("  note         {}", shown(&note)))?;
        }
        Ok(Outcome::Done)
    }
}

/// Whether a freeze is kept that holds nothing while freezes are switched off.
fn freeze_behind(queue: &mut Queue, repo: &str) -> Result<bool, Error> {
    Ok(queue.store().active_freeze(Some(repo))?.is_some())
}

/// The active task of a repo in a few words.
pub fn active_task(active: Option<&ActiveTask>) -> String {
    active.map_or_else(
        || "none".into(),
        |active| {
            let name = task(active.id, active.work_item_id.as_deref());
            format!("{name} in {}", shown_or_dash(active.stage.as_deref()))
        },
    )
}
