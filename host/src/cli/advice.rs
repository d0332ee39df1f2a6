//! The command for each advice.
//!
//! Owns which verb of the command line does what `queue` and `explain` advise. Leaves which advice is given to the queue.
//! Callers rely on this: a command that is proposed can be pasted, or has its place to fill in in capitals.

use serial_gate::queue::Advice;

use super::options::Shared;
use super::text::{command, shown};

/// The command that does it; none if it takes none, or it would hold what a terminal does not show as it is.
pub fn command_for(shared: &Shared, advice: &Advice) -> Option<String> {
    let run = |words: &[&str]| command(shared, words);
    match advice {
        Advice::TryAgain { job } | Advice::NextClaim { job } => {
            run(&["job", "requeue", &job.to_string()])
        }
        Advice::LookAtProgram { job, status } if status.as_deref() == Some("running") => {
            run(&["job", "requeue", &job.to_string()])
        }
        Advice::StartWorker { agent, .. } => {
            let worker = run(&["work", "--agent", agent])?;
            Some(format!("{worker} -- COMMAND"))
        }
        Advice::LookAtJob { job } => run(&["explain", &job.to_string()]),
        Advice::AddJob { task } => {
            let add = run(&["job", "add", &task.to_string()])?;
            Some(format!("{add} AGENT"))
        }
        Advice::EndTask { task } | Advice::FixStage { task, .. } => {
            run(&["task", "done", &task.to_string()])
        }
        Advice::Unfreeze { repo, .. } => run(&["unfreeze", repo]),
        Advice::Skip { task, force, .. } => {
            let done = run(&["task", "done", &task.to_string()])?;
            let forced = if *force { " --force --reason TEXT" } else { "" };
            Some(format!("{done}{forced}"))
        }
        Advice::Wait { .. } | Advice::WaitForBranch { .. } | Advice::LookAtProgram { .. } => None,
    }
}

/// An advice in a line: what, and the command.
pub fn line(shared: Option<&Shared>, advice: &Advice) -> String {
    let words = advice.in_words(&shown);
    match shared.and_then(|shared| command_for(shared, advice)) {
        Some(command) => format!("{words}: {command}"),
        None => words,
    }
}
