//! Branches: a task's branch is cut at the task's turn, so that its base has the predecessor's
//! code.
//!
//! Owns the steps of a cut, and the type of a project. Leaves git to `git`, changes of the base to
//! `base`, and the records to the store. Callers rely on this: a cut that was interrupted can be
//! repeated: a branch that was pushed is found by its plan, and one that was not is cut from the
//! present base. An existing branch without a plan is never reused.

mod add;
mod base;
mod environment;
mod error;
mod forge;
mod git;
mod link;
mod merged;
mod name;
mod output;
mod plain;
mod pull;
mod said;

pub use add::{add_task, add_task_in_line};
pub use base::{has_base, look_at_base};
pub use error::Error;
pub use forge::{Forge, Hooked};
pub use merged::{InBase, look_at_branch};
pub use pull::{is_link, pull_words};

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::printable::Show;
use crate::store::{self, Claim, NewBranch, Store, TaskBranch, TaskRow};
use git::{AtRemote, Git};

/// An entry `[[project]]` of the configuration: where the branches of a repo are cut.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// The repo, as tasks name it.
    #[serde(default)]
    pub repo: String,
    /// The git remote, as `git fetch` takes it: an address, or a path.
    #[serde(default)]
    pub remote: String,
    /// The branch from which a task's branch is cut.
    #[serde(default = "main")]
    pub base: String,
    /// The name of a task's branch. `{work_item}` becomes the task's work item, or without one its
    /// id; `{task}` becomes its id.
    #[serde(default = "pattern")]
    pub branch: String,
    /// The forge that has the repository, if its webhooks are taken.
    #[serde(default)]
    pub forge: Option<Forge>,
    /// The repository's full name there, such as `org/name`.
    #[serde(default)]
    pub forge_repo: Option<String>,
    /// The file with the secret of its webhook.
    #[serde(default)]
    pub hook_secret: Option<PathBuf>,
    /// The address of a work item, with `{work_item}` in the place of its name.
    #[serde(default)]
    pub work_item_link: Option<String>,
    /// The address of a branch, with `{branch}`, and if need be `{base}`, in the place of its name.
    #[serde(default)]
    pub branch_link: Option<String>,
}

fn main() -> String {
    "main".into()
}

fn pattern() -> String {
    "task/{work_item}".into()
}

/// Checks projects without asking a remote.
pub fn check(projects: &[Project]) -> Result<(), Error> {
    let mut repos = BTreeSet::new();
    for project in projects {
        let Project {
            repo,
            remote,
            base,
            branch,
            ..
        } = project;
        for (key, value) in [("repo", repo), ("remote", remote), ("base", base)] {
            if value.is_empty() {
                return Err(Error::Empty(key));
            }
        }
        if remote.starts_with('-') {
            return Err(Error::Option(repo.clone()));
        }
        if remote.contains(char::is_control) {
            return Err(Error::Unprintable(repo.clone()));
        }
        if !name::is_valid(base) {
            let (repo, base) = (repo.clone(), base.clone());
            return Err(Error::Base { repo, base });
        }
        if !branch.contains("{work_item}") && !branch.contains("{task}") {
            return Err(Error::Pattern {
                repo: repo.clone(),
                pattern: branch.clone(),
            });
        }
        if !name::is_valid(&project.name(7, Some("x"))) {
            return Err(Error::Unusable {
                repo: repo.clone(),
                pattern: branch.clone(),
            });
        }
        project.hooked()?;
        project.check_links()?;
        if !repos.insert(repo) {
            return Err(Error::Twice(repo.clone()));
        }
    }
    Ok(())
}

/// The beginning of a commit's name, for people.
pub fn short(commit: &str) -> String {
    commit.chars().take(10).collect()
}

/// The age from which the time of a look is shown. A worker looks every minute.
const OLD: Duration = Duration::from_secs(10 * 60);

/// What has changed in the base since a branch was cut, and what to do about it. `None` if nothing
/// has. An old observation has its time.
pub fn base_words(branch: &TaskBranch, now: Timestamp, show: Show<'_>) -> Option<String> {
    let words = words_of_base(branch, show)?;
    let seen = branch.base_seen_at.as_deref().filter(|seen| {
        let since = store::from_sql_time(seen).and_then(|seen| store::time_since(seen, now));
        since.is_none_or(|since| since >= OLD)
    });
    Some(match seen {
        Some(seen) => format!("{words} (seen {} UTC)", show(seen)),
        None => words,
    })
}

fn words_of_base(branch: &TaskBranch, show: Show<'_>) -> Option<String> {
    let base = show(&branch.base);
    if branch.base_deleted {
        return Some(format!(
            "the remote has no `{base}` any more: push it again, or rebase the branch onto another \
             base"
        ));
    }
    let tip = show(&short(branch.base_moved_to.as_deref()?));
    let commit = show(&short(&branch.base_commit));
    Some(if branch.base_rewritten {
        format!("`{base}` was rewritten and no longer contains {commit}: rebase the branch onto it")
    } else if branch.base_unknown {
        format!(
            "`{base}` is at {tip}, and whether it still contains {commit} is not known: look \
             before you merge or rebase"
        )
    } else {
        format!("`{base}` has moved since, to {tip}: merge it into the branch")
    })
}

/// The project of a repo, if it has one.
pub fn project_of<'a>(projects: &'a [Project], repo: Option<&str>) -> Option<&'a Project> {
    projects
        .iter()
        .find(|project| Some(project.repo.as_str()) == repo)
}

/// Cuts the branch of a task under the claim of one of its jobs, unless it was cut before.
/// `cancelled` is called again and again, and interrupts the cut by returning true.
pub fn cut(
    store: &mut Store,
    project: &Project,
    claim: Claim<'_>,
    task: i64,
    clock: &dyn Fn() -> Timestamp,
    cancelled: &mut dyn FnMut() -> bool,
) -> Result<TaskBranch, Error> {
    let known = store.branch(task)?;
    if let Some(branch) = known.as_ref().filter(|branch| branch.cut_at.is_some()) {
        return Ok(branch.clone());
    }
    let row = store.task(task)?.ok_or(store::Error::NoTask { id: task })?;
    let name = project.branch_of(&row);
    project.check_name(&name)?;
    let mut git = Git::of(project, cancelled);
    if !git.is_branch_name(&name)? {
        return Err(Error::Name(name));
    }
    let place = git.place_of(&name)?;
    match place.commit.clone() {
        Some(commit) => {
            let is_planned = |plan: TaskBranch| plan.name == name && plan.base_commit == commit;
            if !known.is_some_and(is_planned) {
                return Err(Error::Taken {
                    repo: project.repo.clone(),
                    branch: name,
                    commit,
                });
            }
        }
        None => {
            project.check_place(&name, place)?;
            cut_new(store, &mut git, claim, task, &name, clock)?;
        }
    }
    store.confirm_branch(clock(), claim, task)?;
    let cut = store.branch(task)?;
    Ok(cut.ok_or(store::Error::NoTask { id: task })?)
}

fn cut_new(
    store: &mut Store,
    git: &mut Git<'_>,
    claim: Claim<'_>,
    task: i64,
    name: &str,
    clock: &dyn Fn() -> Timestamp,
) -> Result<(), Error> {
    let base = &git.project.base;
    if git.tip(base)?.is_none() {
        return Err(Error::NoBase {
            repo: git.project.repo.clone(),
            base: base.clone(),
        });
    }
    let folder = tempfile::tempdir().map_err(Error::NoFolder)?;
    let base_commit = git.fetch(folder.path(), base)?;
    store.saw_base(clock(), &git.project.repo, base, Some(&base_commit), &[])?;
    let branch = NewBranch {
        task,
        name,
        base,
        base_commit: &base_commit,
    };
    store.plan_branch(claim, branch)?;
    let pushed = git.push(folder.path(), &base_commit, name);
    if let Err(Error::Git { .. }) = pushed {
        // A colliding branch may have been pushed in the meantime.
        git.project.check_place(name, git.place_of(name)?)?;
    }
    pushed
}

impl Project {
    /// Makes paths that are relative absolute. An address stays as it is.
    pub fn resolve(&mut self, absolute: impl Fn(&Path) -> io::Result<PathBuf>) {
        if let Some(secret) = &mut self.hook_secret
            && let Ok(path) = absolute(secret)
        {
            *secret = path;
        }
        if plain::scheme(&self.remote) != Some("file") || self.remote.contains("://") {
            return;
        }
        let path = absolute(Path::new(&self.remote)).ok();
        if let Some(path) = path.as_deref().and_then(Path::to_str) {
            self.remote = path.to_owned();
        }
    }

    /// Refuses a name that no branch of the repo can have.
    fn check_name(&self, name: &str) -> Result<(), Error> {
        if name.len() > name::LONGEST {
            return Err(Error::Long {
                begin: name.chars().take(60).collect(),
                length: name.len(),
                longest: name::LONGEST,
            });
        }
        if !name::is_valid(name) {
            return Err(Error::Name(name.into()));
        }
        if name::collide(name, &self.base) {
            return Err(Error::BesideBase {
                repo: self.repo.clone(),
                branch: name.into(),
                base: self.base.clone(),
            });
        }
        Ok(())
    }

    /// Refuses a name that collides with another branch of the remote.
    fn check_place(&self, name: &str, place: AtRemote) -> Result<(), Error> {
        let (repo, branch) = (self.repo.clone(), name.to_owned());
        match place {
            AtRemote {
                in_the_way: Some(other),
                ..
            } => Err(Error::InTheWay {
                repo,
                branch,
                other,
            }),
            AtRemote {
                alike: Some(other), ..
            } => Err(Error::Alike {
                repo,
                branch,
                other,
            }),
            _ => Ok(()),
        }
    }

    fn branch_of(&self, task: &TaskRow) -> String {
        self.name(task.id, task.work_item_id.as_deref())
    }

    /// The branch of a task with an id and a work item.
    fn name(&self, task: i64, work_item: Option<&str>) -> String {
        let id = task.to_string();
        let work_item = work_item.filter(|name| !name.is_empty());
        // One pass, so that a placeholder in a work item is not replaced.
        let parts = self.branch.split("{work_item}");
        let parts: Vec<String> = parts.map(|part| part.replace("{task}", &id)).collect();
        parts.join(work_item.unwrap_or(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(pattern: &str, work_item: Option<&str>) -> String {
        let project = Project {
            branch: pattern.into(),
            ..Project::default()
        };
        project.branch_of(&TaskRow {
            id: 7,
            work_item_id: work_item.map(Into::into),
            repo: None,
            stage: None,
            since: None,
        })
    }

    #[test]
    fn a_branch_is_named_after_its_work_item_or_its_id() {
        for (pattern, work_item, name) in [
            ("task/{work_item}", Some("ORCH-1"), "task/ORCH-1"),
            ("task/{work_item}", None, "task/7"),
            ("task/{work_item}", Some(""), "task/7"),
            ("{task}-{work_item}", Some("{task}"), "7-{task}"),
        ] {
            assert_eq!(branch(pattern, work_item), name);
        }
    }
}
