//! A policy with hours in which nothing starts.
//!
//! A gated job is held as in the default rule, and also in weekly windows. A window closes some
//! repos, or every repo in scope, and may span the end of the week. It is not a freeze: it ends on
//! time, and `freeze_enabled` does not switch it off. Everything else is as in the default policy:
//! the scope, the kill switch, freezes, and the parameters `gated_agents`, `finished_stages` and
//! `repos`.
//!
//! ```json
//! {
//!     "windows": [{"repos": ["alpha"], "from": "fri 16:00", "until": "mon 08:00"}],
//!     "time_zone": "Europe/Berlin"
//! }
//! ```
//!
//! There is at least one window. Without `repos` it closes every repo in scope. Its times are those
//! that the clocks show in `time_zone`, a name of the IANA database, with summer time; `clocks` says
//! what happens to a window when they are changed. Instead of a zone, `utc_offset` gives clocks that
//! are never changed, such as `+01:00`; without either, times are UTC.
//!
//! The clause has the windows that are open now. It is valid until a window may open or close, or
//! clocks are changed. The database of zones is a part of the component, so a country's new rule
//! needs a new component.

#![no_std]

extern crate alloc;

pub mod clocks;
pub mod week;
pub mod window;
pub mod zone;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;
use serial_gate_default_policy::clause;
use serial_gate_default_policy::decide::Queue;
use serial_gate_default_policy::rule::Rule;
use serial_gate_default_policy::serial::{self, Serial};
use serial_gate_default_policy::settings::Settings;
use serial_gate_default_policy::snapshot::{Decision, Hold, Snapshot, Timestamp};

use clocks::Clocks;
use week::UtcOffset;
use window::Window;
use zone::Zone;

/// The rule's parameters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FreezeWindow {
    /// The agents whose jobs the gate may hold. At least one.
    pub gated_agents: Vec<String>,
    /// The stages in which a task is finished. At least one.
    pub finished_stages: Vec<String>,
    /// The only repos in which the gate acts, by their exact names. At least one, or left out for
    /// all that the scope admits.
    pub repos: Option<Vec<String>>,
    /// When gated jobs are held. At least one.
    pub windows: Vec<Window>,
    /// How far the clocks of the windows are ahead of UTC. Not together with `time_zone`.
    pub utc_offset: Option<UtcOffset>,
    /// The time zone of the windows. Without both, they are in UTC.
    pub time_zone: Option<Zone>,
}

impl Default for FreezeWindow {
    fn default() -> FreezeWindow {
        let Serial {
            gated_agents,
            finished_stages,
            repos,
        } = Serial::default();
        FreezeWindow {
            gated_agents,
            finished_stages,
            repos,
            windows: Vec::new(),
            utc_offset: None,
            time_zone: None,
        }
    }
}

impl FreezeWindow {
    /// The clocks that the windows are read by.
    fn clocks(&self) -> Clocks<'_> {
        match &self.time_zone {
            Some(zone) => Clocks::Zone(zone),
            None => Clocks::Fixed(self.utc_offset.unwrap_or_default()),
        }
    }

    /// The windows that are open at a moment.
    fn open(&self, now: Timestamp) -> Vec<&Window> {
        let shown = self.clocks().shown(now);
        let windows = self.windows.iter();
        windows.filter(|window| window.is_open(shown)).collect()
    }

    /// Why the repo is closed, if one of the open windows is for it.
    fn closed(&self, open: &[&Window], repo: &str) -> Option<String> {
        let windows = open.iter().filter(|window| window.is_for(repo));
        let hours: Vec<String> = windows.map(|window| window.hours()).collect();
        let (hours, clocks) = (hours.join(" and "), self.clocks());
        (!hours.is_empty()).then(|| format!("closed {hours} ({clocks})"))
    }
}

impl Rule for FreezeWindow {
    const NAME: &'static str = "freeze-window";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "a task starts when every earlier task of its repo is done, the \
         repo is not frozen, and no weekly window closes it";

    fn gated_agents(&self) -> &[String] {
        &self.gated_agents
    }

    fn finished_stages(&self) -> &[String] {
        &self.finished_stages
    }

    fn repos(&self) -> Option<&[String]> {
        self.repos.as_deref()
    }

    fn check(&self) -> Result<(), String> {
        if self.windows.is_empty() {
            let remedy = r#"write one, such as {"from":"fri 16:00","until":"mon 08:00"}"#;
            return Err(format!("`windows` is empty: {remedy}"));
        }
        if self.utc_offset.is_some() && self.time_zone.is_some() {
            return Err("`utc_offset` and `time_zone` are both given: leave one out".into());
        }
        self.windows.iter().try_for_each(Window::check)
    }

    fn decide<D: From<Decision>>(
        settings: &Settings<FreezeWindow>,
        now: Timestamp,
        snapshot: &Snapshot,
    ) -> Result<Vec<D>, String> {
        let queue = Queue::read(settings, snapshot)?;
        let open = settings.rules.open(now);
        queue.decide(|job| Hold {
            rule: settings.rules.closed(&open, job.repo.name),
            ..serial::hold(job)
        })
    }

    fn claim_clause(settings: &Settings<FreezeWindow>, now: Timestamp) -> String {
        let closed = window::closed(&settings.rules.open(now));
        let reasons = serial::reasons(settings).into_iter().chain([closed]);
        clause::held_while(settings, reasons)
    }

    fn valid_until(settings: &Settings<FreezeWindow>, now: Timestamp) -> Option<Timestamp> {
        let rules = &settings.rules;
        let clocks = rules.clocks();
        let time = clocks.time(now);
        // As long as the clocks are not changed, windows open and close at the times they show.
        let times = rules
            .windows
            .iter()
            .flat_map(|window| [window.from, window.until]);
        let seconds = times.map(|next| time.seconds_until(next)).min()?;
        let next = now.checked_add(seconds);
        next.into_iter().chain(clocks.next_change(now)).min()
    }
}

#[cfg(target_arch = "wasm32")]
mod component {
    #![allow(unsafe_code, reason = "the generated exports are unsafe")]

    type Policy = serial_gate_default_policy::component::Exports<crate::FreezeWindow>;
    serial_gate_default_policy::component::export!(Policy);
    serial_gate_default_policy::component::metadata!();
}

#[cfg(test)]
mod tests;
