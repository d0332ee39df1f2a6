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
//!     "utc_offset": "+01:00"
//! }
//! ```
//!
//! There is at least one window. Without `repos` it closes every repo in scope; without
//! `utc_offset` its times are UTC. The clause has the windows that are open now. It is valid until
//! a window opens or closes.

#![no_std]

extern crate alloc;

pub mod week;
pub mod window;

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

use week::{UtcOffset, WeekTime};
use window::Window;

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
    /// The time zone of the windows.
    pub utc_offset: UtcOffset,
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
            utc_offset: UtcOffset::default(),
        }
    }
}

impl FreezeWindow {
    /// The windows that are open at a moment.
    fn open(&self, now: Timestamp) -> Vec<&Window> {
        let now = WeekTime::at(now, self.utc_offset);
        let windows = self.windows.iter();
        windows.filter(|window| window.is_open(now)).collect()
    }

    /// Why the repo is closed, if one of the open windows is for it.
    fn closed(&self, open: &[&Window], repo: &str) -> Option<String> {
        let windows = open.iter().filter(|window| window.is_for(repo));
        let hours: Vec<String> = windows.map(|window| window.hours()).collect();
        let (hours, offset) = (hours.join(" and "), self.utc_offset);
        (!hours.is_empty()).then(|| format!("closed {hours} (utc{offset})"))
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
        let time = WeekTime::at(now, rules.utc_offset);
        let changes = rules
            .windows
            .iter()
            .flat_map(|window| [window.from, window.until]);
        let next = changes.map(|change| time.seconds_until(change)).min()?;
        now.checked_add(next)
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
