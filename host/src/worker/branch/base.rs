//! What becomes of a base after branches were cut from it: it moves, it is rewritten, or it is
//! deleted.
//!
//! Owns the look at it. Where it has moved, the commits that unfinished branches were cut at are
//! looked for in its history: a base that no longer has one was rewritten, by a force push for
//! example. What was found out is left to the store. Callers rely on this: a base that has not
//! moved since the last look costs one question to the remote, and a look takes a bounded time, in
//! a folder that is thrown away.

use std::time::Duration;

use jiff::Timestamp;

use super::git::{FETCH, Git, REMOTE, SHA1, head};
use super::{Error, Project};
use crate::store::{CutFrom, FinishedStages, Store};

/// How long one step of a look may take. A worker that is done waits for it.
const LIMIT: Duration = Duration::from_secs(60);

/// Looks where the base of a project is now, and remembers it, so that a task whose base has moved
/// is known, and one whose base was rewritten.
///
/// # Errors
///
/// When git fails, or the database refuses. What was found out before is remembered.
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
                // It may have moved again meanwhile.
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

impl Git<'_> {
    /// The tip of a branch, and whether it has a commit in its history; none for what is no commit.
    fn contains(&mut self, branch: &str, commit: &str) -> Result<(String, Option<bool>), Error> {
        let temporary = tempfile::tempdir().map_err(Error::NoFolder)?;
        let folder = temporary.path();
        self.prepare(folder)?;
        // The commit alone at first: then only what came after it is sent. The remote may have
        // thrown it away, or give nothing that is no tip. What is in the database need not be a
        // commit, and could be read as an option.
        let is_name = commit.len() >= SHA1 && commit.bytes().all(|digit| digit.is_ascii_hexdigit());
        let has_it = is_name && {
            let alone = [
                "fetch",
                "--quiet",
                "--no-tags",
                "--depth=1",
                "--filter=tree:0",
                REMOTE,
                commit,
            ];
            self.run(Some(folder), &alone)?.status.success()
        };
        let reference = head(branch);
        let fetch = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--update-shallow",
            "--filter=tree:0",
            REMOTE,
            &reference,
        ];
        self.step(FETCH, Some(folder), &fetch)?;
        let tip = self.fetched(folder)?;
        if !is_name {
            return Ok((tip, None));
        }
        let asked = self.run(Some(folder), &["merge-base", "--is-ancestor", commit, &tip])?;
        match asked.status.code() {
            Some(0) => Ok((tip, Some(true))),
            Some(1) => Ok((tip, Some(false))),
            // The whole history is here, and it is not in it.
            Some(_) if !has_it => Ok((tip, Some(false))),
            _ => Err(self.failed("look for a commit in the base", asked)),
        }
    }
}
