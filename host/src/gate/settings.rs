//! What an operator sets: for every process, with a generation, or for one process only.
//!
//! Owns the text of settings and allowances in the database, and the order of precedence: a
//! process's own overrides come before what its generation says. Leaves the repos in scope to
//! `scope`. Callers rely on this: equal values have equal texts, so that these can be compared.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Error;
use crate::model::Settings;
use crate::policy::Allowance;
use crate::store::{FinishedStages, Generation};

/// What one process overrides of its generation's settings. None leaves it to the generation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The kill switch.
    pub enabled: Option<bool>,
    /// The scope.
    pub repos: Option<String>,
    /// Whether a freeze holds anything.
    pub freeze_enabled: Option<bool>,
    /// The policy's own parameters.
    pub rules: Option<String>,
}

impl Overrides {
    /// The settings that hold where a generation has these.
    pub fn over(&self, settings: Settings) -> Settings {
        Settings {
            enabled: self.enabled.unwrap_or(settings.enabled),
            repos: self.repos.clone().unwrap_or(settings.repos),
            freeze_enabled: self.freeze_enabled.unwrap_or(settings.freeze_enabled),
            rules: self.rules.clone().or(settings.rules),
        }
    }
}

/// The stages in which a task is finished: those that the rules name, as the policies of this
/// repository do (`finished_stages`), and else `done`.
pub(crate) fn finished_stages(settings: &Settings) -> FinishedStages {
    #[derive(Deserialize)]
    struct Rules {
        #[serde(default)]
        finished_stages: Vec<String>,
    }
    let rules = settings.rules.as_deref();
    // The policy refuses rules of another kind.
    let rules = rules.and_then(keys_of).map(Value::Object);
    let rules = rules.and_then(|rules| serde_json::from_value::<Rules>(rules).ok());
    FinishedStages::new(rules.map(|rules| rules.finished_stages).unwrap_or_default())
}

/// The keys of rules; none if they are not a JSON object.
pub(crate) fn keys_of(rules: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(rules).ok()
}

/// The settings of a new queue: the gate acts in all repos, by the policy's defaults.
pub fn default_settings() -> Settings {
    Settings {
        enabled: true,
        repos: String::new(),
        freeze_enabled: true,
        rules: None,
    }
}

/// The settings of a generation.
pub fn settings_of(generation: &Generation) -> Result<Settings, Error> {
    read(generation.id, "settings", &generation.settings)
}

/// Settings as they are in the database, if they are what this version writes.
pub(crate) fn settings_in(stored: &str) -> Option<Settings> {
    serde_json::from_str(stored).ok()
}

/// What a generation may use.
pub fn allowance_of(generation: &Generation) -> Result<Allowance, Error> {
    read(generation.id, "limits", &generation.limits)
}

fn read<T: for<'de> Deserialize<'de>>(
    generation: i64,
    what: &'static str,
    text: &str,
) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|cause| Error::Unreadable {
        generation,
        what,
        cause,
    })
}

/// Settings or an allowance as they are in the database: the same value, the same text.
pub fn stored(value: &impl Serialize) -> String {
    // Plain records of numbers and texts: JSON can hold them all.
    serde_json::to_string(value).unwrap_or_default()
}
