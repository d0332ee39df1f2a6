//! Policies of the contract 0.1.0 (`tests/policies/serial-gate-0.1.0.wit`).
//!
//! Owns what that version has otherwise: the record `task` has no label, a `task-ref` has no
//! `before-id` but the id itself, and neither `decide` nor `claim-clause` is told the time. All other
//! types are the current ones.

use wasmtime::component::{ComponentType, Func, InstancePre, Lower, TypedFunc};
use wasmtime::{Result, Store};

use super::limits::Meter;
use super::version::Version;
use crate::model::{
    self, Clause, Decision, Description, Dialect, Freeze, PolicyError, Settings, Symbol,
};

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

#[derive(ComponentType, Lower)]
#[component(record)]
struct Job {
    id: i64,
    #[component(name = "task-id")]
    task_id: Option<TaskRef>,
    repo: Option<Symbol>,
    agent: Option<Symbol>,
    status: Option<Symbol>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Snapshot<'a> {
    symbols: &'a [String],
    tasks: &'a [Task],
    jobs: &'a [Job],
    freezes: &'a [Freeze],
}

type Answer<T> = (std::result::Result<T, PolicyError>,);
type Describe = TypedFunc<(), (Description,)>;
type Decide<'a> = TypedFunc<(&'a Settings, &'a Snapshot<'a>), Answer<Vec<Decision>>>;
type ClaimClause<'a> = TypedFunc<(&'a Settings, Dialect), Answer<Clause>>;

/// An instance whose functions have this version's types.
pub(super) struct Component {
    describe: Func,
    decide: Func,
    claim_clause: Func,
}

impl Component {
    pub(super) fn instantiate(
        component: &InstancePre<Meter>,
        store: &mut Store<Meter>,
    ) -> Result<Component> {
        let instance = component.instantiate(&mut *store)?;
        let mut function = |name| {
            let function = Version::V0_1.function(&instance, store, name)?;
            check_type(name, &function, store)?;
            Ok::<Func, wasmtime::Error>(function)
        };
        Ok(Component {
            describe: function("describe")?,
            decide: function("decide")?,
            claim_clause: function("claim-clause")?,
        })
    }

    pub(super) fn call_describe(&self, store: &mut Store<Meter>) -> Result<Description> {
        let describe: Describe = self.describe.typed(&*store)?;
        Ok(describe.call(store, ())?.0)
    }

    pub(super) fn call_decide(
        &self,
        store: &mut Store<Meter>,
        settings: &Settings,
        snapshot: &model::Snapshot,
    ) -> Result<std::result::Result<Vec<Decision>, PolicyError>> {
        let tasks: Vec<Task> = snapshot.tasks.iter().map(Task::from).collect();
        let jobs: Vec<Job> = snapshot.jobs.iter().map(Job::from).collect();
        let snapshot = Snapshot {
            symbols: &snapshot.symbols,
            tasks: &tasks,
            jobs: &jobs,
            freezes: &snapshot.freezes,
        };
        let decide: Decide<'_> = self.decide.typed(&*store)?;
        Ok(decide.call(store, (settings, &snapshot))?.0)
    }

    pub(super) fn call_claim_clause(
        &self,
        store: &mut Store<Meter>,
        settings: &Settings,
        dialect: Dialect,
    ) -> Result<std::result::Result<Clause, PolicyError>> {
        let claim_clause: ClaimClause<'_> = self.claim_clause.typed(&*store)?;
        Ok(claim_clause.call(store, (settings, dialect))?.0)
    }
}

/// How a function's type differs from this version's, if it does.
pub(super) fn check_type(name: &str, function: &Func, store: &Store<Meter>) -> Result<()> {
    match name {
        "describe" => function.typed(store).map(|_: Describe| ()),
        "decide" => function.typed(store).map(|_: Decide<'_>| ()),
        _ => function.typed(store).map(|_: ClaimClause<'_>| ()),
    }
}

impl From<&model::Task> for Task {
    fn from(task: &model::Task) -> Task {
        let model::Task {
            id,
            work_item,
            repo,
            stage,
            label: _,
        } = *task;
        Task {
            id,
            work_item,
            repo,
            stage,
        }
    }
}

impl From<&model::Job> for Job {
    fn from(job: &model::Job) -> Job {
        let model::Job {
            id,
            task_id,
            repo,
            agent,
            status,
        } = *job;
        Job {
            id,
            task_id: task_id.map(|task_id| match task_id {
                model::TaskRef::Id(id) | model::TaskRef::BeforeId(id) => TaskRef::Id(id),
                model::TaskRef::AfterEveryId => TaskRef::AfterEveryId,
            }),
            repo,
            agent,
            status,
        }
    }
}
