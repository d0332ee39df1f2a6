//! The rule in Rego, run by regorus: by its virtual machine and by its interpreter.
//!
//! The rule reads each repo's first task from a sorted list: a search repo by repo would cost
//! tasks × repos. It looks a repo up with a default, because in 0.14.1 a missing key ends a rule of
//! the interpreter but not of the virtual machine.

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::RegoVM;
use regorus::{Engine, Value};

use crate::rows::{Outcome, Rows};

const RULE: &str = r#"
package gate

unfinished := sort([[task.repo, task.id] | some task in input.tasks; task.stage != "done"])

first := {pair[0]: pair[1] |
    some i, pair in unfinished
    not unfinished[i - 1][0] == pair[0]
}

active := sort([[freeze.repo, 0 - freeze.id] |
    some freeze in input.freezes
    freeze.cleared_at == null
])

frozen := {pair[0]: id |
    some i, pair in active
    not active[i - 1][0] == pair[0]
    id := 0 - pair[1]
}

earlier_task(job) := id if {
    job.agent == "analyst"
    id := object.get(first, job.repo, null)
    id != null
    id < job.task
} else := null

newest_freeze(job) := object.get(frozen, job.repo, null) if job.agent == "analyst" else := null

decisions := [[job.id, earlier_task(job), newest_freeze(job)] |
    some job in input.jobs
    job.status == "queued"
]
"#;

const ENTRY: &str = "data.gate.decisions";

/// regorus' virtual machine.
pub struct Machine(RegoVM);

/// regorus' interpreter.
pub struct Interpreter(Engine);

impl Machine {
    pub fn new() -> Machine {
        let mut engine = engine();
        let policy = engine.compile_with_entrypoint(&ENTRY.into()).unwrap();
        let mut machine = RegoVM::new();
        machine.load_program(Compiler::compile_from_policy(&policy, &[ENTRY]).unwrap());
        // By default it stops at 25,000 instructions.
        machine.set_max_instructions(usize::MAX);
        Machine(machine)
    }

    pub fn decide(&mut self, rows: &Rows) -> Value {
        self.0.set_input(input(rows));
        self.0.execute().unwrap()
    }
}

impl Interpreter {
    pub fn new() -> Interpreter {
        Interpreter(engine())
    }

    pub fn decide(&mut self, rows: &Rows) -> Value {
        self.0.set_input(input(rows));
        self.0.eval_rule(ENTRY.into()).unwrap()
    }
}

/// The answer in the form that all are compared in.
pub fn outcomes(answer: &Value) -> Vec<Outcome> {
    let outcome = |decision: &Value| {
        let [job, earlier_task, freeze] = [0, 1, 2].map(|at: usize| decision[at].as_i64().ok());
        Outcome {
            job: job.unwrap(),
            earlier_task,
            freeze,
        }
    };
    answer.as_array().unwrap().iter().map(outcome).collect()
}

fn engine() -> Engine {
    let mut engine = Engine::new();
    engine.add_policy("gate.rego".into(), RULE.into()).unwrap();
    engine
}

/// The rows as the engine takes them.
fn input(rows: &Rows) -> Value {
    let [tasks, jobs, freezes] = ["tasks", "jobs", "freezes"].map(Value::from);
    let names = [
        "id",
        "repo",
        "stage",
        "task",
        "agent",
        "status",
        "cleared_at",
    ];
    let [id, repo, stage, task, agent, status, cleared_at] = names.map(Value::from);
    let queued = Value::from("queued");
    let text = |text: &str| Value::from(text);
    object([
        (
            tasks,
            rows.tasks
                .iter()
                .map(|row| {
                    object([
                        (id.clone(), row.id.into()),
                        (repo.clone(), text(&row.repo)),
                        (stage.clone(), text(row.stage)),
                    ])
                })
                .collect::<Vec<Value>>()
                .into(),
        ),
        (
            jobs,
            rows.jobs
                .iter()
                .map(|row| {
                    object([
                        (id.clone(), row.id.into()),
                        (task.clone(), row.task.into()),
                        (repo.clone(), text(&row.repo)),
                        (agent.clone(), text(row.agent)),
                        (status.clone(), queued.clone()),
                    ])
                })
                .collect::<Vec<Value>>()
                .into(),
        ),
        (
            freezes,
            rows.freezes
                .iter()
                .map(|row| {
                    object([
                        (id.clone(), row.id.into()),
                        (repo.clone(), text(&row.repo)),
                        (cleared_at.clone(), Value::Null),
                    ])
                })
                .collect::<Vec<Value>>()
                .into(),
        ),
    ])
}

fn object<const N: usize>(entries: [(Value, Value); N]) -> Value {
    std::collections::BTreeMap::from(entries).into()
}
