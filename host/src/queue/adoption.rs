//! Whether the rule fits the rows of another program: is any job queued, any of them gated, any
//! task finished?
//!
//! Owns the comparison of the census with the rule in force, and the rules that would fit. Leaves
//! the count to the store. Callers rely on this: advice is about existing rows only, and is never
//! an error.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::stages::near_finished;
use super::{Error, Queue};
use crate::clause::Agents;
use crate::gate::{default_settings, finished_stages, keys_of, settings_in};
use crate::model::Settings;
use crate::store::{Census, Counted, FinishedStages, STATUSES, Trial};

/// What a database holds, and how the rule fits it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Adoption {
    /// What is there.
    pub census: Census,
    /// What an operator should know.
    pub advice: Vec<Misfit>,
    /// Rules that would fit, as JSON.
    pub rules: Option<String>,
}

/// A sign that the rule does not fit the rows.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Misfit {
    /// No job is queued, and some have a status that the gate does not know.
    NoneQueued {
        /// These, the most frequent first.
        statuses: Vec<String>,
    },
    /// No job is of an agent that the rule may hold.
    NoneGated {
        /// The agents of the jobs.
        agents: Vec<String>,
        /// Those that the rule may hold.
        gated: String,
        /// Whether these are the agents of queued jobs, and not of any.
        queued: bool,
        /// How many were looked at, if there are more.
        sample: Option<u32>,
    },
    /// No task is finished.
    NoneFinished {
        /// The stages of the tasks.
        stages: Vec<String>,
        /// Those in which a task is finished.
        finished: Vec<String>,
        /// How many were looked at, if there are more.
        sample: Option<u32>,
    },
    /// Some tasks are finished, and others look as if they were.
    LooksFinished {
        /// The stages of these.
        stages: Vec<String>,
        /// Those in which a task is finished.
        finished: Vec<String>,
    },
    /// A time that cannot be read.
    NoTime {
        /// It.
        value: String,
    },
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misfit::NoneQueued { statuses } => write!(
                f,
                "no job is `queued`: jobs are {} here. The gate sees only `queued`, and no rule \
                 gives it another name, so your program has to write that",
                listed(statuses)
            ),
            Misfit::NoneGated {
                agents,
                gated,
                queued,
                sample,
            } => {
                let only = match (queued, sample) {
                    (true, None) => "queued are only".into(),
                    (true, Some(sample)) => format!("the first {sample} that are queued are"),
                    (false, None) => "there are only".into(),
                    (false, Some(sample)) => format!("the newest {sample} are"),
                };
                write!(
                    f,
                    "the gate holds nothing here: the rule holds jobs of {gated}, and {only} jobs \
                     of {}",
                    listed(agents)
                )
            }
            Misfit::NoneFinished {
                stages,
                finished,
                sample,
            } => {
                let here = match sample {
                    None => "here".into(),
                    Some(sample) => format!("among the newest {sample}"),
                };
                write!(
                    f,
                    "no task is finished {here}: the rule knows {} as finished, and tasks are in \
                     {}. An unfinished task holds the later ones of its repo",
                    listed(finished),
                    listed(stages)
                )
            }
            Misfit::LooksFinished { stages, finished } => write!(
                f,
                "tasks in {} are unfinished, and each holds the later ones of its repo: the rule \
                 knows {} as finished, by exact text",
                listed(stages),
                listed(finished)
            ),
            Misfit::NoTime { value } => write!(
                f,
                "`{value}` in `jobs.created_at` is not a time that can be read, so the age of such \
                 a job is not known"
            ),
        }
    }
}

impl Queue {
    /// What the database holds, and how the rule in force fits it.
    pub fn adoption(&mut self, now: Timestamp) -> Result<Adoption, Error> {
        let census = self.store.census()?;
        let clause = self.clause(now)?;
        // While the gate is off, there is no advice about gated agents.
        let gated = (!clause.clause.is_empty()).then(|| clause.clause.gated());
        let finished = self.finished_stages()?;
        let settings = self.gate.settings_now(&mut self.store)?;
        let rules = settings.rules.as_deref();
        Ok(judge(census, gated.as_ref(), &finished, rules))
    }

    /// How the work of the gate is tried by the settings in effect.
    pub fn trial(&self, now: Timestamp) -> Trial {
        trial_of(self.settings(), now)
    }
}

/// How the work of the gate is tried by settings as the database has them.
pub(super) fn trial(stored: &str, now: Timestamp) -> Trial {
    trial_of(&settings_in(stored).unwrap_or_else(default_settings), now)
}

fn trial_of(settings: &Settings, now: Timestamp) -> Trial {
    Trial {
        now,
        gated: gated_names(settings),
        finished: finished_stages(settings),
        freezes: settings.freeze_enabled,
    }
}

/// What is found by the names that the rules give, where no policy can be asked.
pub fn adoption_by(census: Census, trial: &Trial, rules: Option<&str>) -> Adoption {
    let gated = Agents::Only(trial.gated.iter().cloned().map(Some).collect());
    judge(census, Some(&gated), &trial.finished, rules)
}

/// The gated agents where the rules name them as the policies of this repository do, and else
/// `analyst`.
fn gated_names(settings: &Settings) -> Vec<String> {
    let rules = settings.rules.as_deref().and_then(keys_of);
    let named =
        rules.and_then(|rules| serde_json::from_value(rules.get("gated_agents")?.clone()).ok());
    named.unwrap_or_else(|| vec!["analyst".into()])
}

fn judge(
    census: Census,
    gated: Option<&Agents>,
    finished: &FinishedStages,
    rules: Option<&str>,
) -> Adoption {
    let mut advice = Vec::new();
    let mut fitting = rules.and_then(keys_of).unwrap_or_default();
    let mut fits = true;
    let sample = census.sample;
    let sample_of = |rows: u64| (rows > u64::from(sample)).then_some(sample);
    let unknown = |status: &String| !STATUSES.contains(&status.as_str());
    let statuses: Vec<String> = names(&census.statuses)
        .into_iter()
        .filter(unknown)
        .collect();
    if !census.any_queued && !statuses.is_empty() {
        advice.push(Misfit::NoneQueued { statuses });
    }
    let agents = if census.any_queued {
        names(&census.queued_agents)
    } else {
        names(&census.agents)
    };
    if let Some(gated) = gated
        && !agents.is_empty()
        && !agents.iter().any(|agent| holds(gated, agent))
        && !names(&census.agents)
            .iter()
            .any(|agent| holds(gated, agent))
    {
        if let Some(first) = likely_gated(&census, &agents) {
            fitting.insert("gated_agents".into(), json!([first]));
            fits = false;
        }
        advice.push(Misfit::NoneGated {
            agents,
            gated: named(gated).to_string(),
            queued: census.any_queued,
            sample: sample_of(census.jobs),
        });
    }
    let stages = names(&census.stages);
    if !stages.is_empty() && !stages.iter().any(|stage| finished.contains(stage)) {
        let ends: Vec<&String> = stages.iter().filter(|stage| is_an_end(stage)).collect();
        if !ends.is_empty() {
            fitting.insert("finished_stages".into(), json!(ends));
            fits = false;
        }
        // A few tasks without an end are a queue that has just begun.
        let is_work = |stage: &String| WORK.contains(&stage.as_str());
        let should_have_ended = match stages.iter().all(is_work) {
            true => sample_of(census.tasks).is_some(),
            false => census.tasks >= MANY,
        };
        if !ends.is_empty() || should_have_ended {
            advice.push(Misfit::NoneFinished {
                stages,
                finished: finished.all().to_vec(),
                sample: sample_of(census.tasks),
            });
        }
    } else {
        let looks = |stage: &String| near_finished(stage, finished).is_some();
        let stages: Vec<String> = stages.into_iter().filter(looks).collect();
        if !stages.is_empty() {
            let ends = stages.iter().filter(|stage| is_an_end(stage));
            let ends: Vec<&String> = finished.all().iter().chain(ends).collect();
            if ends.len() > finished.all().len() {
                fitting.insert("finished_stages".into(), json!(ends));
                fits = false;
            }
            advice.push(Misfit::LooksFinished {
                stages,
                finished: finished.all().to_vec(),
            });
        }
    }
    if let Some(value) = census.unreadable_time.clone() {
        advice.push(Misfit::NoTime { value });
    }
    Adoption {
        rules: (!fits && !fitting.is_empty()).then(|| Value::Object(fitting).to_string()),
        census,
        advice,
    }
}

/// Of the agents with waiting jobs, the one that has the most first jobs of tasks, if it has at
/// least a tenth of them all.
fn likely_gated(census: &Census, waiting: &[String]) -> Option<String> {
    let is_one = |name: &String| waiting.contains(name);
    let found = census
        .first_agents
        .iter()
        .find(|it| it.value.as_ref().is_some_and(is_one))?;
    let is_fair = found.rows.saturating_mul(10) >= census.first_tasks;
    found.value.clone().filter(|_| is_fair)
}

fn names(counted: &[Counted]) -> Vec<String> {
    counted.iter().filter_map(|it| it.value.clone()).collect()
}

/// Those with a name.
fn named(gated: &Agents) -> Agents {
    let named =
        |agents: &[Option<String>]| agents.iter().filter(|it| it.is_some()).cloned().collect();
    match gated {
        Agents::Only(agents) => Agents::Only(named(agents)),
        Agents::AllBut(agents) => Agents::AllBut(named(agents)),
    }
}

fn holds(gated: &Agents, agent: &str) -> bool {
    let is_it = |name: &Option<String>| name.as_deref() == Some(agent);
    match gated {
        Agents::Only(agents) => agents.iter().any(is_it),
        Agents::AllBut(agents) => !agents.iter().any(is_it),
    }
}

/// The usual stages before the end: where tasks are only in these, a queue may have just begun.
const WORK: [&str; 5] = ["analysis", "development", "review", "testing", "deploy"];

/// Among this many tasks some should be finished.
const MANY: u64 = 10;

/// Whether a word says that a task is over.
fn is_an_end(stage: &str) -> bool {
    const ENDS: [&str; 20] = [
        "done",
        "complete",
        "completed",
        "finish",
        "finished",
        "closed",
        "merged",
        "deployed",
        "released",
        "shipped",
        "resolved",
        "success",
        "succeeded",
        "archived",
        "cancelled",
        "canceled",
        "abandoned",
        "rejected",
        "delivered",
        "ended",
    ];
    let stage = stage.trim().to_lowercase();
    ENDS.contains(&stage.as_str())
}

fn listed(names: &[String]) -> String {
    const NAMED: usize = 5;
    let mut words: Vec<String> = names
        .iter()
        .take(NAMED)
        .map(|name| format!("`{name}`"))
        .collect();
    if names.len() > NAMED {
        words.push("…".into());
    }
    words.join(", ")
}
