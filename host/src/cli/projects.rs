//! What is wrong with the `[[project]]` entries of the configuration, as far as it can be seen
//! without cutting a branch.
//!
//! Owns the notes. Leaves the entries' form to `worker::branch`, and which repos are known to the
//! queue. Callers rely on this: nothing here fails because of a project, and each remote has a few
//! seconds.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use serial_gate::error::with_causes;
use serial_gate::queue::Queue;
use serial_gate::worker::branch::{self, Hooked, Project};

use super::Error;
use super::options::Shared;
use super::plain_text;
use super::text::shown;

/// How long a remote may take to answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Logs which projects have a repo that no task has.
pub fn warn(queue: &mut Queue) -> Result<(), Error> {
    for note in queue.projects_without_rows()? {
        tracing::warn!("{note}");
    }
    Ok(())
}

/// Everything that can be seen. Asks each remote.
pub fn notes(queue: &mut Queue, shared: &Shared) -> Result<Vec<String>, Error> {
    let mut notes = queue.projects_without_rows()?;
    for project in &shared.projects {
        let hook = project.hooked()?;
        let found = hook.as_ref().and_then(of_secret).into_iter();
        let found = found.chain(of_remote(project));
        notes.extend(found.map(|note| format!("project `{}`: {note}", shown(&project.repo))));
    }
    Ok(notes)
}

fn of_secret(hook: &Hooked) -> Option<String> {
    if let Err(cause) = plain_text::read(&hook.secret) {
        let cause = with_causes(&cause);
        return Some(format!("its `hook_secret` cannot be used: {cause}"));
    }
    open_to_all(hook)
}

/// The note about a webhook's secret that every user can read, and that is therefore not secret.
pub fn open_to_all(hook: &Hooked) -> Option<String> {
    let path = hook.secret.display();
    let mode = std::fs::metadata(&hook.secret).map_or(0, |about| about.mode());
    (mode & 0o004 != 0)
        .then(|| format!("every user of this machine can read `{path}`: `chmod o-r` it"))
}

fn of_remote(project: &Project) -> Option<String> {
    match branch::has_base(project, LIMIT) {
        Ok(true) => None,
        Ok(false) => Some(format!(
            "its remote has no branch `{}`: push it, or correct `base` in `serial-gate.toml`",
            shown(&project.base)
        )),
        Err(cause) => Some(with_causes(&cause)),
    }
}
