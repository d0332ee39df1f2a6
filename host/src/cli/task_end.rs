//! What is said of tasks that were ended by a command.
//!
//! Owns that a task that had ended already is not said to end now. Leaves the end to `queue`.

use serial_gate::queue::{Queue, ended_note};
use serial_gate::store::TaskOutcome;

use super::Error;
use super::output::{Output, noting};

/// A task, and how it had ended already.
pub type Before = (i64, Option<TaskOutcome>);

/// The stage that ends tasks, and how each of them had ended before.
pub fn before_the_end(queue: &mut Queue, tasks: &[i64]) -> Result<(String, Vec<Before>), Error> {
    let stage = queue.finished_stages()?.first().to_owned();
    let mut before = Vec::new();
    for task in tasks {
        // A task that is named twice ends once.
        if !before.iter().any(|(other, _)| other == task) {
            before.push((*task, queue.outcome(*task)?));
        }
    }
    Ok((stage, before))
}

pub fn print_ended(
    tasks: &[Before],
    stage: &str,
    outcome: TaskOutcome,
    output: &mut Output,
) -> Result<(), Error> {
    for (task, before) in tasks {
        let note = before.map(|before| ended_note(before, outcome));
        if output.json {
            let document = serde_json::json!({
                "task_id": task, "stage": stage, "outcome": outcome,
            });
            output.json_line(&noting(document, note.as_ref()))?;
        } else {
            output.line(match note {
                Some(note) => format!("task {task} {note}"),
                None => format!("task {task} is {}", outcome.name()),
            })?;
        }
    }
    Ok(())
}
