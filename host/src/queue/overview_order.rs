//! The order of the repos in an overview, and the search among them.
//!
//! Owns what a repo needs, in the order of need. Leaves which standing a repo has to `overview`.
//! Callers rely on this: any two repos have one order, whatever their names are.

use std::cmp::{Ordering, Reverse};

use super::natural::natural;
use super::overview::{Overview, RepoRow};

/// What a repo needs: the first that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RepoStanding {
    /// A freeze holds its tasks.
    Frozen,
    /// A job of an unfinished task failed, and was not replaced.
    Failed,
    /// Nobody continues its work: a lease is over, another program moved a job, or no job of its
    /// active task runs, waits or is put off.
    Stuck,
    /// Its active task has been through the pipeline and waits for its merge.
    ToMerge,
    /// Jobs wait, and nothing runs.
    Waiting,
    /// Something runs.
    Running,
    /// There is nothing to do.
    Idle,
}

impl RepoStanding {
    /// All, in their order.
    pub const ALL: [RepoStanding; 7] = [
        RepoStanding::Frozen,
        RepoStanding::Failed,
        RepoStanding::Stuck,
        RepoStanding::ToMerge,
        RepoStanding::Waiting,
        RepoStanding::Running,
        RepoStanding::Idle,
    ];

    /// Its name in addresses.
    pub fn name(self) -> &'static str {
        match self {
            RepoStanding::Frozen => "frozen",
            RepoStanding::Failed => "failed",
            RepoStanding::Stuck => "stuck",
            RepoStanding::ToMerge => "to_merge",
            RepoStanding::Waiting => "waiting",
            RepoStanding::Running => "running",
            RepoStanding::Idle => "idle",
        }
    }
}

/// The order of repos.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// What needs people first, and of that what has needed them for longest.
    #[default]
    Need,
    /// By name, in which `team-3` is before `team-10`.
    Name,
    /// Those with the most queued jobs first.
    Waiting,
    /// Those whose first queued job has waited for longest first.
    Oldest,
}

impl Sort {
    /// All of them.
    pub const ALL: [Sort; 4] = [Sort::Need, Sort::Name, Sort::Waiting, Sort::Oldest];

    /// Its name in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Sort::Need => "need",
            Sort::Name => "name",
            Sort::Waiting => "waiting",
            Sort::Oldest => "oldest",
        }
    }
}

/// Which repos are shown, and in which order: those that fit all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OverviewFilter {
    /// A part of the repo's name, or of its active task's work item, whatever the case.
    pub text: Option<String>,
    /// With this standing.
    pub standing: Option<RepoStanding>,
    /// The order.
    pub sort: Sort,
}

impl Overview {
    /// The repos that fit a filter, in its order.
    pub fn filtered(&self, filter: &OverviewFilter) -> Vec<&RepoRow> {
        let text = filter.text.as_deref().unwrap_or_default().to_lowercase();
        let has_it = |shown: &str| shown.to_lowercase().contains(&text);
        let fits = |row: &&RepoRow| {
            let active = row.active.as_ref();
            let work_item = active.and_then(|active| active.work_item_id.as_deref());
            filter.standing.is_none_or(|only| row.standing == only)
                && (text.is_empty() || has_it(&row.name) || work_item.is_some_and(has_it))
        };
        let mut rows: Vec<&RepoRow> = self.repos.iter().filter(fits).collect();
        match filter.sort {
            Sort::Need => {}
            Sort::Name => rows.sort_by(|one, other| natural(&one.name, &other.name)),
            Sort::Waiting => rows.sort_by(|one, other| {
                let by_number = Reverse(one.waiting).cmp(&Reverse(other.waiting));
                by_number.then_with(|| natural(&one.name, &other.name))
            }),
            Sort::Oldest => rows.sort_by(|one, other| {
                let age = |row: &RepoRow| unknown_last(row.first_waiting_since);
                let by_age = age(one).cmp(&age(other));
                by_age.then_with(|| natural(&one.name, &other.name))
            }),
        }
        rows
    }
}

/// The order of an overview.
pub(super) fn by_need(one: &RepoRow, other: &RepoRow) -> Ordering {
    let age = |row: &RepoRow| {
        let needs_people = row.standing < RepoStanding::Running;
        unknown_last(row.since.filter(|_| needs_people))
    };
    let by_standing = one.standing.cmp(&other.standing);
    by_standing
        .then_with(|| age(one).cmp(&age(other)))
        .then_with(|| natural(&one.name, &other.name))
}

fn unknown_last<T>(time: Option<T>) -> (bool, Option<T>) {
    (time.is_none(), time)
}
