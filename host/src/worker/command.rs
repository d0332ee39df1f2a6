//! The command of a job, which finds its job in its environment, and as JSON on its standard input.
//!
//! Owns the names of the variables. Callers rely on this: a job's texts are not trusted, so they
//! are passed as values, and no shell ever reads them.

use std::io::{self, Seek, Write};
use std::path::Path;
use std::process::Command;

use serde::Serialize;

use super::Setup;
use super::branch::Project;
use super::child::NOT_A_PROGRAM;
use crate::alerts::SECRET_VARIABLES;
use crate::store::{Claimed, TaskBranch};

/// The variables that may say where a server is, and how to get in.
const ADDRESSES: [&str; 4] = [
    "SERIAL_GATE_DB",
    "SERIAL_GATE_CONFIG",
    "PGPASSWORD",
    "PGPASSFILE",
];

/// The document on the standard input.
#[derive(Serialize)]
struct Job<'a> {
    #[serde(flatten)]
    claimed: &'a Claimed,
    remote: Option<&'a str>,
    branch: Option<&'a TaskBranch>,
    sent_back_by: Option<i64>,
}

/// What a command is told besides its job.
#[derive(Clone, Copy, Default)]
pub(super) struct Besides<'a> {
    pub project: Option<&'a Project>,
    pub branch: Option<&'a TaskBranch>,
    /// The job that sent the task back to this one's stage.
    pub sent_back_by: Option<i64>,
}

pub(super) fn of(
    setup: &Setup,
    job: &Claimed,
    besides: Besides<'_>,
    db: Option<&Path>,
) -> io::Result<Command> {
    let Besides {
        project,
        branch,
        sent_back_by,
    } = besides;
    let (program, args) = &setup.command;
    let remote = project.map(|project| project.remote.as_str());
    let document = Job {
        claimed: job,
        remote,
        branch,
        sent_back_by,
    };
    // A file and not a pipe: nothing waits for the command to read it.
    let mut input = tempfile::tempfile()?;
    serde_json::to_writer(&mut input, &document)?;
    input.write_all(b"\n")?;
    input.rewind()?;
    let mut command = Command::new(program);
    command.args(args).stdin(input);
    // The worker may have the service's environment, whose secrets no job gets.
    for variable in SECRET_VARIABLES {
        command.env_remove(variable);
    }
    // The address of a server is not for a job, whose code may be a stranger's. A configuration file
    // without one is among the variables that follow.
    if db.is_none() {
        for variable in ADDRESSES {
            command.env_remove(variable);
        }
    }
    command.envs(setup.environment.iter().map(|(name, value)| (name, value)));
    if let Some(db) = db {
        command.env("SERIAL_GATE_DB", std::path::absolute(db)?);
    }
    let (id, task) = (job.id.to_string(), job.task_id.map(|task| task.to_string()));
    let (attempt, fence) = (job.attempt.to_string(), job.fence.to_string());
    let sent_back_by = sent_back_by.map(|job| job.to_string());
    for (name, value) in [
        ("SERIAL_GATE_JOB", Some(id.as_str())),
        ("SERIAL_GATE_TASK", task.as_deref()),
        ("SERIAL_GATE_WORK_ITEM", job.work_item_id.as_deref()),
        ("SERIAL_GATE_REPO", job.repo.as_deref()),
        ("SERIAL_GATE_AGENT", job.agent.as_deref()),
        ("SERIAL_GATE_ATTEMPT", Some(&attempt)),
        // With the token, the command may end its own task; with the fence, other systems can
        // refuse a late one.
        ("SERIAL_GATE_TOKEN", Some(&job.token)),
        ("SERIAL_GATE_FENCE", Some(&fence)),
        ("SERIAL_GATE_SENT_BACK_BY", sent_back_by.as_deref()),
        ("SERIAL_GATE_REMOTE", remote),
        ("SERIAL_GATE_BRANCH", branch.map(|branch| &*branch.name)),
        ("SERIAL_GATE_BASE", branch.map(|branch| &*branch.base)),
        (
            "SERIAL_GATE_BASE_COMMIT",
            branch.map(|branch| &*branch.base_commit),
        ),
    ] {
        // A missing value must not be inherited from an outer job.
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Ok(command)
}

/// The reason why a command cannot be started.
pub(super) enum AtFault {
    /// The command, for every job.
    Command,
    /// The job: its texts are too long, or have a NUL.
    Job,
    /// The machine, for now.
    Machine,
}

pub(super) fn at_fault(error: &io::Error) -> AtFault {
    use io::ErrorKind as K;
    match error.kind() {
        K::NotFound | K::PermissionDenied | K::NotADirectory | K::IsADirectory => AtFault::Command,
        K::ArgumentListTooLong | K::InvalidInput => AtFault::Job,
        _ if error.raw_os_error() == Some(NOT_A_PROGRAM) => AtFault::Command,
        _ => AtFault::Machine,
    }
}

/// The error of a job whose texts cannot be passed to a command.
pub(super) fn unfit(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::InvalidInput => {
            "the command cannot be given the job: its work item, repo or agent has a NUL \
             character, so add the task again without one"
        }
        _ => {
            "the command cannot be given the job: its texts are longer than an environment may be, \
             so add the task again with shorter ones"
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The variables that the command of a job is given, or that are taken from it.
    fn variables(db: Option<&Path>) -> Vec<(String, bool)> {
        let setup = Setup {
            name: "w".into(),
            agents: vec!["a".into()],
            command: ("true".into(), Vec::new()),
            environment: vec![("SERIAL_GATE_LEASE", "9000ms".into())],
            parallel: 1,
            max: None,
            lease: Duration::ZERO,
            timeout: None,
            projects: Vec::new(),
            tries: 1,
            retry_after: Duration::ZERO,
            attempts: None,
            prints_json: false,
            keeps_output: true,
        };
        let job = Claimed {
            id: 1,
            task_id: None,
            work_item_id: None,
            repo: None,
            agent: None,
            attempt: 1,
            token: "t".into(),
            fence: 1,
            worker: "w".into(),
            lease_until: String::new(),
            generation: None,
        };
        let command = of(&setup, &job, Besides::default(), db).unwrap();
        let variables = command.get_envs();
        let variables =
            variables.map(|(name, value)| (name.to_string_lossy().into_owned(), value.is_some()));
        variables.collect()
    }

    #[test]
    fn a_job_has_the_path_of_a_file_and_never_the_address_of_a_server() {
        let of_file = variables(Some(Path::new("queue.db")));
        assert!(of_file.contains(&("SERIAL_GATE_DB".into(), true)));
        let of_server = variables(None);
        for name in [
            "SERIAL_GATE_DB",
            "SERIAL_GATE_CONFIG",
            "PGPASSWORD",
            "PGPASSFILE",
        ] {
            assert!(of_server.contains(&(name.into(), false)), "{name}");
        }
        assert!(of_server.contains(&("SERIAL_GATE_LEASE".into(), true)));
    }
}
