//! The pipeline: the stages that a task goes through, each with its agent.
//!
//! Owns its one row and its audit. Leaves to the queue which pipelines are refused, and to
//! `advance` how a task moves. Callers rely on this: a pipeline is read and stored as a whole.

use serde::{Deserialize, Serialize};

use super::audit::{self, AuditRow};
use super::effect::Effect;
use crate::store::engine::{Tx, Unexpected, values};
use crate::store::{Actor, Error, Store};

/// The stage after the last one, in which a task waits for its merge.
pub const MERGE: &str = "merge";

/// The stages in their order, and what comes after them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipeline {
    /// The stages; there is at least one.
    pub stages: Vec<PipelineStage>,
    /// What comes after the last one.
    pub then: Then,
    /// After how many failed attempts a job has failed.
    pub attempts: u32,
}

/// A stage of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineStage {
    /// Its name.
    pub stage: String,
    /// The agent whose jobs do its work.
    pub agent: String,
}

/// What comes after the last stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// The task waits in the stage [`MERGE`].
    Merge,
    /// The task is done.
    Done,
}

impl Then {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Then::Merge => "merge",
            Then::Done => "done",
        }
    }
}

impl Pipeline {
    /// The agent of a stage; none if the stage is not in the pipeline.
    pub fn agent_of(&self, stage: &str) -> Option<&str> {
        let mut stages = self.stages.iter();
        let found = stages.find(|one| one.stage == stage)?;
        Some(&found.agent)
    }

    /// The stage after this one; none after the last.
    pub(crate) fn after(&self, stage: &str) -> Option<&PipelineStage> {
        let mut rest = self.stages.iter().skip_while(|one| one.stage != stage);
        rest.next();
        rest.next()
    }

    /// The stage before this one, which may be the one after the last; none before the first.
    pub(crate) fn before(&self, stage: &str) -> Option<&PipelineStage> {
        if stage == MERGE && self.then == Then::Merge {
            return self.stages.last();
        }
        let mut pairs = self.stages.iter().zip(self.stages.iter().skip(1));
        pairs
            .find(|(_, one)| one.stage == stage)
            .map(|(before, _)| before)
    }

    /// Whether a task in this stage waits for its merge.
    pub fn waits_for_merge(&self, stage: &str) -> bool {
        self.then == Then::Merge && stage == MERGE
    }

    /// As it is given to the command line: `analysis=analyst review=reviewer, then merge`.
    pub fn in_words(&self) -> String {
        let stages = self.stages.iter();
        let stages = stages.map(|one| format!("{}={}", one.stage, one.agent));
        let stages: Vec<String> = stages.collect();
        let attempts = match self.attempts {
            1 => String::new(),
            number => format!(", {number} attempts"),
        };
        format!("{}, then {}{attempts}", stages.join(" "), self.then.name())
    }
}

impl Store {
    /// The pipeline, if one is set.
    pub fn pipeline(&mut self) -> Result<Option<Pipeline>, Error> {
        self.read(read)
    }

    /// How many tasks are in other stages than these, by stage, the most first. A few stages only.
    pub fn tasks_outside(&mut self, stages: &[&str]) -> Result<Vec<(String, i64)>, Error> {
        let stages = serde_json::Value::from(stages).to_string();
        self.read(|tx| {
            // The first condition lets an index find the unfinished tasks of most rules.
            let sql = format!(
                "SELECT stage, count(*) FROM tasks WHERE stage != 'done' AND stage NOT IN ({})
                 GROUP BY stage ORDER BY 2 DESC, 1 LIMIT 5",
                tx.texts_of("$1")
            );
            tx.rows(&sql, values![stages], |row| {
                Ok((row.shown(0)?.unwrap_or_default(), row.get(1)?))
            })
        })
    }

    /// Sets the pipeline or removes it, with a row in the audit. Returns the one before.
    pub fn set_pipeline(
        &mut self,
        actor: Actor<'_>,
        pipeline: Option<&Pipeline>,
    ) -> Result<Option<Pipeline>, Error> {
        self.write_alone(|tx| {
            let before = read(tx)?;
            match pipeline {
                None => {
                    tx.execute("DELETE FROM serial_gate_pipeline", &[])?;
                }
                Some(pipeline) => {
                    let text = serde_json::to_string(pipeline).map_err(Unexpected::Json)?;
                    tx.execute(
                        "INSERT INTO serial_gate_pipeline (id, pipeline) VALUES (1, $1)
                             ON CONFLICT (id) DO UPDATE SET pipeline = excluded.pipeline",
                        values![text],
                    )?;
                }
            }
            let [said_before, said] =
                [before.as_ref(), pipeline].map(|one| one.map(Pipeline::in_words));
            let row = AuditRow {
                action: match pipeline {
                    Some(_) => "pipeline set",
                    None => "pipeline clear",
                },
                repo: None,
                subject: "pipeline".into(),
                before: said_before.as_deref(),
                after: said.as_deref(),
            };
            audit::write_down(tx, actor, row)?;
            let effect = Effect {
                what: "the pipeline",
                table: "serial_gate_pipeline",
            };
            effect.holds(read(tx)?.as_ref() == pipeline)?;
            Ok(before)
        })
    }
}

pub(crate) fn read(tx: &dyn Tx) -> Result<Option<Pipeline>, Error> {
    let text: Option<String> = tx.row(
        "SELECT pipeline FROM serial_gate_pipeline WHERE id = 1",
        &[],
        |row| row.get(0),
    )?;
    let pipeline = text.map(|text| serde_json::from_str(&text)).transpose();
    Ok(pipeline.map_err(Unexpected::Json)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_one_before_and_one_after_it() {
        let stage = |name: &str| PipelineStage {
            stage: name.into(),
            agent: format!("{name}er"),
        };
        let pipeline = Pipeline {
            stages: vec![stage("analysis"), stage("work"), stage("review")],
            then: Then::Merge,
            attempts: 1,
        };
        let name = |found: Option<&PipelineStage>| found.map(|one| one.stage.clone());
        for (stage, before, after) in [
            ("analysis", None, Some("work")),
            ("work", Some("analysis"), Some("review")),
            ("review", Some("work"), None),
            ("merge", Some("review"), None),
            ("else", None, None),
        ] {
            assert_eq!(name(pipeline.before(stage)).as_deref(), before, "{stage}");
            assert_eq!(name(pipeline.after(stage)).as_deref(), after, "{stage}");
        }
    }
}
