//! Random states of a queue, small and full of collisions, because that is where rules differ.
//!
//! Owns the choice: few repos, ids that meet, NULLs, names that only almost match. It knows nothing
//! of the clause; `directed` makes states of what a clause says.

use serde_json::{Value, json};

use super::dice::Dice;

/// An endless sequence of states, each as the `case` of a conformance case without settings.
pub(super) struct States(Dice);

impl States {
    pub(super) fn new() -> States {
        States(Dice::new(0x5345_5249_414c))
    }

    fn below(&mut self, end: usize) -> usize {
        self.0.below(end)
    }

    fn one_of(&mut self, values: &[Value]) -> Value {
        self.0.one_of(values).cloned().unwrap_or_default()
    }
}

impl Iterator for States {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        let repos = [
            json!("a"),
            json!("a"),
            json!("b"),
            json!("A"),
            json!(""),
            Value::Null,
        ];
        let stages = [
            json!("done"),
            json!("analysis"),
            json!("Done"),
            json!("review"),
            Value::Null,
        ];
        let agents = [
            json!("analyst"),
            json!("analyst"),
            json!("developer"),
            json!("Analyst"),
            Value::Null,
        ];
        let statuses = [
            json!("queued"),
            json!("queued"),
            json!("queued"),
            json!("running"),
            Value::Null,
        ];
        let cleared = [Value::Null, json!("2026-01-01 00:00:00"), json!("")];
        let tasks: Vec<Value> = (1..=self.below(6))
            .map(|id| {
                json!({
                    "id": id, "repo": self.one_of(&repos), "stage": self.one_of(&stages),
                    "gate_label": (id % 3 == 0).then_some("hotfix"),
                })
            })
            .collect();
        let jobs: Vec<Value> = (1..=self.below(8))
            .map(|id| {
                let task_id = [
                    Value::Null,
                    json!(self.below(7)),
                    json!(self.below(7)),
                    json!(self.below(7)),
                ];
                json!({
                    "id": id, "task_id": self.one_of(&task_id), "repo": self.one_of(&repos),
                    "agent": self.one_of(&agents), "status": self.one_of(&statuses),
                })
            })
            .collect();
        let freezes: Vec<Value> = (1..=self.below(3))
            .map(|id| {
                let repos = [json!("a"), json!("b"), json!("")];
                json!({
                    "id": id, "repo": self.one_of(&repos), "cleared_at": self.one_of(&cleared),
                })
            })
            .collect();
        Some(json!({ "tasks": tasks, "jobs": jobs, "freezes": freezes }))
    }
}
