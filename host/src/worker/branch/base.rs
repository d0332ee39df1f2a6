//! Looks whether a base has moved, was rewritten or was deleted since branches were cut from it.
//!
//! Owns the look. If the base has moved, its history is searched for the commits at which
//! unfinished branches were cut: a base that lacks one was rewritten, for example by a force push.
//! Leaves the results to the store. Callers rely on this: a base that has not moved costs one
//! request to the remote, and each step has a time limit.

use std::time::Duration;

use jiff::Timestamp;

use super::git::{FETCH, Git, SHA1, fetch, head};
use super::{Error, Project};
use crate::store::{CutFrom, FinishedStages, Store};

/// How long one step of a look may take. The end of a worker waits for it.
const LIMIT: Duration = Duration::from_secs(60);

/// Looks where the base of a project is now, and stores the result. After an error of git, what was
/// found before is still stored.
pub fn look_at_base(
    store: &mut Store,
    project: &Project,
    finished: &FinishedStages,
    now: Timestamp,
    cancelled: &mut dyn FnMut() -> bool,
) -> Result<(), Error> {
    let Project { repo, base, .. } = project;
    let mut git = Git::of(project, cancelled).for_a_look(LIMIT);
    let Some(mut tip) = git.tip(base)? else {
        return Ok(store.saw_base(now, repo, base, None, &[])?);
    };
    let (mut looked_for, mut failed) = (Vec::new(), None);
    for commit in store.commits_to_look_for(repo, base, &tip, finished)? {
        let contained = match git.contains(base, &commit) {
            Ok((at, contained)) => {
                // It may have moved again in the meantime.
                tip = at;
                contained
            }
            // It would take as long the next time.
            Err(Error::Slow { .. }) => None,
            Err(error) => {
                failed = Some(error);
                break;
            }
        };
        looked_for.push(CutFrom {
            commit,
            tip: tip.clone(),
            contained,
        });
    }
    store.saw_base(now, repo, base, Some(&tip), &looked_for)?;
    failed.map_or(Ok(()), Err)
}

/// Whether a remote answers within this time, and has the base.
///
/// # Errors
///
/// When git cannot ask the remote.
pub fn has_base(project: &Project, limit: Duration) -> Result<bool, Error> {
    let mut goes_on = || false;
    let mut git = Git::of(project, &mut goes_on).for_a_look(limit);
    Ok(git.tip(&project.base)?.is_some())
}

impl Git<'_> {
    /// The tip of a branch, and whether a commit is in its history. `None` if that is not known.
    fn contains(&mut self, branch: &str, commit: &str) -> Result<(String, Option<bool>), Error> {
        let temporary = tempfile::tempdir().map_err(Error::NoFolder)?;
        let folder = temporary.path();
        self.prepare(folder)?;
        // First the commit alone, so that only later commits are sent after it. This fails if the
        // remote no longer has it, or gives only tips. The text in the database may be anything,
        // also an option of git.
        let is_name = commit.len() >= SHA1 && commit.bytes().all(|digit| digit.is_ascii_hexdigit());
        let has_it = is_name && {
            let alone = self.run(Some(folder), &fetch("--depth=1", commit))?;
            alone.status.success()
        };
        let reference = head(branch);
        self.step(FETCH, Some(folder), &fetch("--update-shallow", &reference))?;
        let tip = self.fetched(folder)?;
        if !is_name {
            return Ok((tip, None));
        }
        let asked = self.run(Some(folder), &["merge-base", "--is-ancestor", commit, &tip])?;
        match asked.status.code() {
            Some(0) => Ok((tip, Some(true))),
            Some(1) => Ok((tip, Some(false))),
            // The whole history was fetched, and the commit is not in it.
            Some(_) if !has_it => Ok((tip, Some(false))),
            _ => Err(self.failed("look for a commit in the base", asked)),
        }
    }
}
