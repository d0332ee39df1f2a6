//! Looks whether a task's branch was merged into its base.
//!
//! Owns the look, which reads the remote as it is now. Callers rely on this: each step has a time
//! limit, and a branch that was squashed or rebased counts as not merged, because its commits are
//! not in the base.

use std::time::Duration;

use super::git::{FETCH, Git, SHA1, fetch, head};
use super::{Error, Project};
use crate::store::TaskBranch;

/// How long one step of a look may take. Somebody waits for it.
const LIMIT: Duration = Duration::from_secs(60);

/// Whether a branch is in its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InBase {
    /// The base has all its commits.
    Yes,
    /// The base lacks this many of them.
    Lacks(u64),
    /// The remote has no such branch any more, so its commits are not known.
    NoBranch,
    /// The remote has no such base any more.
    NoBase,
}

/// Looks whether the base has the commits of a branch.
pub fn look_at_branch(project: &Project, branch: &TaskBranch) -> Result<InBase, Error> {
    let mut never = || false;
    let mut git = Git::of(project, &mut never).for_a_look(LIMIT);
    let Some(tip) = git.tip(&branch.name)? else {
        return Ok(InBase::NoBranch);
    };
    // The branch has no commit of its own.
    if tip == branch.base_commit {
        return Ok(InBase::Yes);
    }
    if git.tip(&branch.base)?.is_none() {
        return Ok(InBase::NoBase);
    }
    match git.commits_beyond(branch)? {
        0 => Ok(InBase::Yes),
        commits => Ok(InBase::Lacks(commits)),
    }
}

const OWN: &str = "refs/gate/branch";
const BASE: &str = "refs/gate/base";

impl Git<'_> {
    /// How many commits of a branch its base lacks.
    fn commits_beyond(&mut self, branch: &TaskBranch) -> Result<u64, Error> {
        let temporary = tempfile::tempdir().map_err(Error::NoFolder)?;
        let folder = temporary.path();
        self.prepare(folder)?;
        // First the commit that both have, so that only later ones are sent. Where this fails, all
        // are sent. The text in the database may be anything, also an option of git.
        let commit = &branch.base_commit;
        if commit.len() >= SHA1 && commit.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            self.run(Some(folder), &fetch("--depth=1", commit))?;
        }
        for (from, to) in [(&branch.base, BASE), (&branch.name, OWN)] {
            let what = format!("+{}:{to}", head(from));
            self.step(FETCH, Some(folder), &fetch("--update-shallow", &what))?;
        }
        let beyond = format!("{BASE}..{OWN}");
        let counted = self.step(
            "count the commits",
            Some(folder),
            &["rev-list", "--count", &beyond],
        )?;
        // Git prints a number.
        Ok(counted.trim().parse().unwrap_or(u64::MAX))
    }
}
