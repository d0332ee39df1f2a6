//! Policies of the contract 0.1.0 (`tests/policies/serial-gate-0.1.0.wit`).
//!
//! Owns what that version has otherwise than 0.2.0: the record `task` has no label, a `task-ref`
//! has no `before-id` but the id itself, and neither `decide` nor `claim-clause` is told the time.

use wasmtime::component::{ComponentType, Func, Lower, TypedFunc};
use wasmtime::{Result, Store};

use super::contract::Answer;
use super::limits::Meter;
use super::v0_2::{self, Snapshot};
use crate::model::{self, Clause, Decision, Dialect, PolicyError, Settings, Symbol};

#[derive(ComponentType, Lower)]
#[component(record)]
struct Task {
    id: i64,
    #[component(name = "work-item")]
    work_item: Option<Symbol>,
    repo: Option<Symbol>,
    stage: Option<Symbol>,
}

#[derive(ComponentType, Lower)]
#[component(variant)]
enum TaskRef {
    #[component(name = "id")]
    Id(i64),
    #[component(name = "after-every-id")]
    AfterEveryId,
}

type Decide<'a> = TypedFunc<(&'a Settings, &'a Snapshot<'a, Task, TaskRef>), Answer<Vec<Decision>>>;
type ClaimClause<'a> = TypedFunc<(&'a Settings, Dialect), Answer<Clause>>;

pub(super) fn decide(
    function: &Func,
    store: &mut Store<Meter>,
    settings: &Settings,
    snapshot: &model::Snapshot,
) -> Result<std::result::Result<Vec<Decision>, PolicyError>> {
    let decide: Decide<'_> = function.typed(&*store)?;
    let snapshot = Snapshot::of(snapshot);
    Ok(decide.call(store, (settings, &snapshot))?.0)
}

pub(super) fn claim_clause(
    function: &Func,
    store: &mut Store<Meter>,
    settings: &Settings,
    dialect: Dialect,
) -> Result<std::result::Result<Clause, PolicyError>> {
    let claim_clause: ClaimClause<'_> = function.typed(&*store)?;
    Ok(claim_clause.call(store, (settings, dialect))?.0)
}

/// How a function's type differs from this version's, if it does.
pub(super) fn check_type(name: &str, function: &Func, store: &Store<Meter>) -> Result<()> {
    match name {
        "decide" => function.typed(store).map(|_: Decide<'_>| ()),
        "claim-clause" => function.typed(store).map(|_: ClaimClause<'_>| ()),
        _ => v0_2::check_type(name, function, store),
    }
}

impl From<v0_2::Task> for Task {
    fn from(task: v0_2::Task) -> Task {
        Task {
            id: task.id,
            work_item: task.work_item,
            repo: task.repo,
            stage: task.stage,
        }
    }
}

impl From<v0_2::TaskRef> for TaskRef {
    fn from(task_ref: v0_2::TaskRef) -> TaskRef {
        match task_ref {
            v0_2::TaskRef::Id(id) | v0_2::TaskRef::BeforeId(id) => TaskRef::Id(id),
            v0_2::TaskRef::AfterEveryId => TaskRef::AfterEveryId,
        }
    }
}
