//! The branch of a task: planned, cut, and the state of its base.
//!
//! Owns its columns. A branch is planned before it is pushed, so that after a crash a worker can
//! distinguish its own push from another branch. Leaves the base to `bases`, and git to `branch`.
//! Callers rely on this: only the holder of the job's claim plans or confirms, no two tasks of a
//! repo have one branch, and a branch that was confirmed is never planned again.

use jiff::Timestamp;

use super::holding::check_claim;
use super::jobs::Claim;
use super::pulls::{Pull, PullState, pull_at};
use crate::store::engine::{Row, values};
use crate::store::{Error, Store, sql_time};

/// The branch of a task.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct TaskBranch {
    /// Its name.
    pub name: String,
    /// The branch that it was cut from.
    pub base: String,
    /// The tip of the base that it was cut at.
    pub base_commit: String,
    /// When it was cut, UTC; none while it is only planned.
    #[serde(serialize_with = "crate::store::maybe_rfc3339")]
    #[schema(format = DateTime)]
    pub cut_at: Option<String>,
    /// The tip of the base as it was last seen, if it has moved since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_moved_to: Option<String>,
    /// Whether the moved base no longer contains the commit that the branch was cut at. Then the
    /// branch must be rebased: a merge would bring back what was removed from the base.
    pub base_rewritten: bool,
    /// Whether it is unknown if the moved base contains that commit: the last look failed, or took
    /// too long.
    pub base_unknown: bool,
    /// When the base was last seen at its new tip, or missing; UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(serialize_with = "crate::store::maybe_rfc3339")]
    #[schema(format = DateTime)]
    pub base_seen_at: Option<String>,
    /// Whether the remote had no such base when it was last looked at.
    pub base_deleted: bool,
    /// Its pull request, if the forge told of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<Pull>,
}

impl TaskBranch {
    /// Whether the forge said that it was merged.
    pub fn is_merged(&self) -> bool {
        let pull = self.pull_request.as_ref();
        pull.is_some_and(|pull| pull.state == PullState::Merged)
    }
}

/// Whether a base has a commit that a branch was cut at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutFrom {
    /// The commit.
    pub commit: String,
    /// The tip of the base at which it was looked for.
    pub tip: String,
    /// Whether it was found; none if that is unknown, for example because the search took too long.
    pub contained: Option<bool>,
}

/// A branch to cut.
#[derive(Debug, Clone, Copy)]
pub struct NewBranch<'a> {
    /// The task.
    pub task: i64,
    /// The name of the branch.
    pub name: &'a str,
    /// The branch that it is cut from.
    pub base: &'a str,
    /// The tip of the base.
    pub base_commit: &'a str,
}

impl Store {
    /// The branch of a task, planned or cut, if there is one.
    pub fn branch(&mut self, task: i64) -> Result<Option<TaskBranch>, Error> {
        self.read(|tx| {
            let found = tx.row(
                &format!("SELECT {BRANCH} FROM tasks WHERE tasks.id = $1"),
                values![task],
                |row| branch_at(row, 0),
            )?;
            Ok(found.flatten())
        })
    }

    /// Stores the branch that is about to be pushed. It replaces an earlier plan.
    ///
    /// # Errors
    ///
    /// When the claim is no longer valid, the branch was cut already, or another task of the repo
    /// has it.
    pub fn plan_branch(&mut self, claim: Claim<'_>, branch: NewBranch<'_>) -> Result<(), Error> {
        let NewBranch {
            task,
            name,
            base,
            base_commit,
        } = branch;
        self.write_alone(|tx| {
            check_claim(tx, claim, "prepared")?;
            let taken: Option<i64> = tx.row(
                "SELECT other.id FROM tasks AS own JOIN tasks AS other
                 ON other.repo IS NOT DISTINCT FROM own.repo
                     WHERE own.id = $1 AND other.gate_branch = $2 AND other.id != own.id LIMIT 1",
                values![task, name],
                |row| row.get(0),
            )?;
            if let Some(other) = taken {
                return Err(Error::BranchOf {
                    branch: name.into(),
                    task: other,
                });
            }
            let planned = tx.execute(
                "UPDATE tasks SET gate_branch = $2, gate_base = $3, gate_base_commit = $4
                     WHERE id = $1 AND gate_cut_at IS NULL",
                values![task, name, base, base_commit],
            )?;
            match planned {
                0 => Err(Error::NoTask { id: task }),
                _ => Ok(()),
            }
        })
    }

    /// Stores that the planned branch exists.
    ///
    /// # Errors
    ///
    /// When the claim is no longer valid, or nothing was planned.
    pub fn confirm_branch(
        &mut self,
        now: Timestamp,
        claim: Claim<'_>,
        task: i64,
    ) -> Result<(), Error> {
        self.write(|tx| {
            check_claim(tx, claim, "prepared")?;
            let cut = tx.execute(
                "UPDATE tasks SET gate_cut_at = coalesce(gate_cut_at, $2)
                     WHERE id = $1 AND gate_branch IS NOT NULL",
                values![task, sql_time(now)],
            )?;
            match cut {
                0 => Err(Error::NoTask { id: task }),
                _ => Ok(()),
            }
        })
    }
}

/// The columns of [`branch_at`], of a query over `tasks`.
pub(crate) const BRANCH: &str = "gate_branch, gate_base, gate_base_commit, gate_cut_at,
    (SELECT tip FROM serial_gate_base AS seen WHERE seen.repo = tasks.repo
        AND seen.base = gate_base
        AND seen.tip NOT IN (gate_base_commit, '') AND gate_cut_at IS NOT NULL),
    (SELECT look.contained FROM serial_gate_cut_from AS look JOIN serial_gate_base AS seen
        ON seen.repo = look.repo AND seen.base = look.base AND seen.tip = look.tip
        WHERE look.repo = tasks.repo AND look.base = gate_base
        AND look.base_commit = gate_base_commit),
    EXISTS (SELECT 1 FROM serial_gate_base AS seen WHERE seen.repo = tasks.repo
        AND seen.base = gate_base
        AND seen.tip = '' AND gate_cut_at IS NOT NULL),
    (SELECT seen_at FROM serial_gate_base AS seen WHERE seen.repo = tasks.repo
        AND seen.base = gate_base
        AND seen.tip IS DISTINCT FROM gate_base_commit AND gate_cut_at IS NOT NULL),
    (SELECT state FROM serial_gate_pull AS pull
        WHERE pull.task = tasks.id AND pull.branch = gate_branch),
    (SELECT forge FROM serial_gate_pull AS pull
        WHERE pull.task = tasks.id AND pull.branch = gate_branch),
    (SELECT who FROM serial_gate_pull AS pull
        WHERE pull.task = tasks.id AND pull.branch = gate_branch),
    (SELECT url FROM serial_gate_pull AS pull
        WHERE pull.task = tasks.id AND pull.branch = gate_branch),
    (SELECT at FROM serial_gate_pull AS pull
        WHERE pull.task = tasks.id AND pull.branch = gate_branch)";

/// A task's branch, from a column on.
pub(crate) fn branch_at(row: Row<'_>, column: usize) -> Result<Option<TaskBranch>, Error> {
    let text = |offset| row.shown(column + offset);
    let Some(name) = text(0)? else {
        return Ok(None);
    };
    let base_moved_to = text(4)?;
    // A look at another tip does not count for this one, and a base that is back at its old tip
    // needs no look.
    let contained: Option<bool> = row.get(column + 5)?;
    Ok(Some(TaskBranch {
        name,
        base: text(1)?.unwrap_or_default(),
        base_commit: text(2)?.unwrap_or_default(),
        cut_at: text(3)?,
        base_rewritten: base_moved_to.is_some() && contained == Some(false),
        base_unknown: base_moved_to.is_some() && contained.is_none(),
        base_moved_to,
        base_deleted: row.get(column + 6)?,
        base_seen_at: text(7)?,
        pull_request: pull_at(row, column + 8)?,
    }))
}
