//! Policies of the contract 0.2.0 (`tests/policies/serial-gate-0.2.0.wit`).
//!
//! Owns what that version has otherwise: the tables of a snapshot are lists of records, its symbols
//! a list of texts, and NULL is none. Most of it is 0.1.0's as well. All other types are the
//! current ones.

use std::iter::zip;

use wasmtime::component::{ComponentType, Func, Lower, TypedFunc};
use wasmtime::{Result, Store};

use super::contract::{Answer, check_type_of_today};
use super::limits::Meter;
use crate::model::{
    self, Decision, Freezes, Jobs, NULL, PolicyError, Settings, Symbol, TaskIdKind, Tasks,
    task_id_kind,
};

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Task {
    pub(super) id: i64,
    #[component(name = "work-item")]
    pub(super) work_item: Option<Symbol>,
    pub(super) repo: Option<Symbol>,
    pub(super) stage: Option<Symbol>,
    label: Option<Symbol>,
}

#[derive(ComponentType, Lower)]
#[component(variant)]
pub(super) enum TaskRef {
    #[component(name = "id")]
    Id(i64),
    #[component(name = "before-id")]
    BeforeId(i64),
    #[component(name = "after-every-id")]
    AfterEveryId,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Job<Ref> {
    id: i64,
    #[component(name = "task-id")]
    task_id: Option<Ref>,
    repo: Option<Symbol>,
    agent: Option<Symbol>,
    status: Option<Symbol>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Freeze {
    id: i64,
    repo: Option<Symbol>,
    #[component(name = "frozen-at")]
    frozen_at: Option<Symbol>,
    #[component(name = "cleared-at")]
    cleared_at: Option<Symbol>,
    reason: Option<Symbol>,
    #[component(name = "work-item")]
    work_item: Option<Symbol>,
}

/// The tables in rows, with a version's task and what it has in `jobs.task_id`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Snapshot<'a, Row, Ref> {
    symbols: Vec<&'a str>,
    tasks: Vec<Row>,
    jobs: Vec<Job<Ref>>,
    freezes: Vec<Freeze>,
}

type Decide<'a> =
    TypedFunc<(&'a Settings, i64, &'a Snapshot<'a, Task, TaskRef>), Answer<Vec<Decision>>>;

pub(super) fn decide(
    function: &Func,
    store: &mut Store<Meter>,
    settings: &Settings,
    now: i64,
    snapshot: &model::Snapshot,
) -> Result<std::result::Result<Vec<Decision>, PolicyError>> {
    let decide: Decide<'_> = function.typed(&*store)?;
    let snapshot = Snapshot::of(snapshot);
    Ok(decide.call(store, (settings, now, &snapshot))?.0)
}

/// How a function's type differs from this version's, if it does.
pub(super) fn check_type(name: &str, function: &Func, store: &Store<Meter>) -> Result<()> {
    match name {
        "decide" => function.typed(store).map(|_: Decide<'_>| ()),
        _ => check_type_of_today(name, function, store),
    }
}

impl<'a, Row: From<Task>, Ref: From<TaskRef>> Snapshot<'a, Row, Ref> {
    pub(super) fn of(columns: &'a model::Snapshot) -> Snapshot<'a, Row, Ref> {
        Snapshot {
            symbols: columns.symbols.iter().map(|(_, text)| text).collect(),
            tasks: tasks(&columns.tasks).map(Row::from).collect(),
            jobs: jobs(&columns.jobs).collect(),
            freezes: freezes(&columns.freezes).collect(),
        }
    }
}

fn tasks(columns: &Tasks) -> impl Iterator<Item = Task> {
    let keys = zip(&columns.id, &columns.work_item);
    let state = zip(zip(&columns.repo, &columns.stage), &columns.label);
    zip(keys, state).map(|((id, work_item), ((repo, stage), label))| Task {
        id: *id,
        work_item: symbol(*work_item),
        repo: symbol(*repo),
        stage: symbol(*stage),
        label: symbol(*label),
    })
}

fn jobs<Ref: From<TaskRef>>(columns: &Jobs) -> impl Iterator<Item = Job<Ref>> {
    let task_ids = zip(&columns.task_id, &columns.task_id_kind);
    let state = zip(zip(&columns.repo, &columns.agent), &columns.status);
    zip(zip(&columns.id, task_ids), state).map(|((id, (number, kind)), ((repo, agent), status))| {
        Job {
            id: *id,
            task_id: task_ref(*number, *kind).map(Ref::from),
            repo: symbol(*repo),
            agent: symbol(*agent),
            status: symbol(*status),
        }
    })
}

fn freezes(columns: &Freezes) -> impl Iterator<Item = Freeze> {
    let times = zip(&columns.frozen_at, &columns.cleared_at);
    let why = zip(&columns.reason, &columns.work_item);
    zip(zip(&columns.id, &columns.repo), zip(times, why)).map(
        |((id, repo), ((frozen_at, cleared_at), (reason, work_item)))| Freeze {
            id: *id,
            repo: symbol(*repo),
            frozen_at: symbol(*frozen_at),
            cleared_at: symbol(*cleared_at),
            reason: symbol(*reason),
            work_item: symbol(*work_item),
        },
    )
}

/// The texts are counted from 0 here.
fn symbol(symbol: Symbol) -> Option<Symbol> {
    (symbol != NULL).then(|| symbol - 1)
}

fn task_ref(number: i64, kind: TaskIdKind) -> Option<TaskRef> {
    match kind {
        task_id_kind::NULL => None,
        task_id_kind::ID => Some(TaskRef::Id(number)),
        task_id_kind::BEFORE_ID => Some(TaskRef::BeforeId(number)),
        _ => Some(TaskRef::AfterEveryId),
    }
}
