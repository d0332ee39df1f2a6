//! `repo`: whether the gate acts in a repo, and what holds it.

use clap::Args;
use jiff::Timestamp;
use serial_gate::queue::{self, Acting, FreezeEffect, Queue};
use serial_gate::store::{ActiveFreeze, ActiveTask, FurtherFreezes};

use super::Error;
use super::freeze_remedy::{further_lines, until_line};
use super::options::Shared;
use super::output::{Report, Tone, toned};
use super::text::{shown, shown_or_dash, task, when};
use super::verb::Verb;

/// Show whether the gate acts in a repo, its active task, and whether it is frozen
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate repo alpha")]
pub struct Repo {
    /// The repo
    #[arg(value_parser = super::text::repo)]
    repo: String,
}

/// What is shown of a repo.
struct State {
    applies: bool,
    acting: Acting,
    frozen: bool,
    active: Option<ActiveTask>,
    freeze: Option<ActiveFreeze>,
    further: FurtherFreezes,
    effect: FreezeEffect,
    unknown: Option<String>,
}

impl State {
    fn of(queue: &mut Queue, now: Timestamp, repo: &str) -> Result<State, queue::Error> {
        let acting = queue.acting(now, repo)?;
        let finished = queue.finished_stages()?;
        let freeze = queue.store().active_freeze(Some(repo))?;
        let further = match &freeze {
            Some(freeze) => queue.store().further_freezes(repo, freeze.id, now)?,
            None => FurtherFreezes::default(),
        };
        Ok(State {
            applies: queue.applies(Some(repo)),
            acting,
            frozen: queue.is_frozen(Some(repo)),
            active: queue.store().active_task_under(repo, &finished)?,
            freeze,
            further,
            effect: queue.freeze_effect(now, repo),
            unknown: queue.unknown_repo(repo)?,
        })
    }
}

impl Verb for Repo {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let repo = self.repo.as_str();
        let now = Timestamp::now();
        let state = shared
            .queue()?
            .from_one_state(|queue| State::of(queue, now, repo))?;
        let State {
            applies,
            acting,
            frozen,
            active,
            freeze,
            further,
            effect,
            unknown,
        } = state;
        // While freezes are switched off, a freeze exists but holds nothing.
        let exists = frozen || freeze.is_some();
        let freeze = freeze.filter(|_| frozen);
        let note = effect.note().filter(|_| exists);
        let mut report = shared.report();
        report.json(&serde_json::json!({
            "repo": repo, "applies": applies, "acts": acting.here(), "active_task": active,
            "frozen": frozen, "freeze": freeze, "further_freezes": further, "holds": frozen && effect.holds,
            "note": queue::joined([unknown.clone(), note.clone()]),
        }));
        report.line(toned(Tone::Heading, shown(repo)));
        report.line(format!(
            "  gate         {}",
            match acting {
                Acting::Acts => "acts here",
                Acting::ActsHereOnly => {
                    "acts here by this process's own settings only: by the stored ones, \
                     every queued job may be claimed"
                }
                Acting::Idle => "does not act here",
                Acting::IdleHereOnly => "does not act here, by this process's own settings",
            }
        ));
        report.line(format!("  active task  {}", active_task(active.as_ref())));
        let freeze = freeze.map(|freeze| {
            let (since, reason) = (
                when(freeze.since, freeze.frozen_at.as_deref()),
                shown_or_dash(freeze.reason.as_deref()),
            );
            let until = freeze.until.as_deref();
            let until = until.map(|until| until_line(Some(shared), repo, until));
            let until = until.map(|until| format!(", {until}")).unwrap_or_default();
            toned(
                Tone::Held,
                format!("since {since}: {reason} (freeze {}){until}", freeze.id),
            )
        });
        report.line(format!(
            "  frozen       {}",
            freeze.unwrap_or_else(|| if frozen { "yes" } else { "no" }.into())
        ));
        for line in further_lines(Some(shared), repo, &further) {
            report.line(format!("               {line}"));
        }
        for note in note.into_iter().chain(unknown) {
            report.line(format!("  note         {}", shown(&note)));
        }
        Ok(report)
    }
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
