//! Policies that were built against a contract of the past go on to run.
//!
//! The contracts are frozen files in `policies/`; a component of each is written by hand.

use serial_gate::error::with_causes;
use serial_gate::model::{Decision, Dialect, Hold, Snapshot, Verdict, task_id_kind};
use serial_gate::policy::{Limits, Policy, Runtime};

use crate::support::hostile::{NOW, encode, nothing, settings};

/// A contract of the past, as far as a component by hand has to know it.
struct Contract {
    version: &'static str,
    /// The parameters of `decide` and of `claim-clause`.
    parameters: [&'static str; 2],
    /// Which parameters of `decide` are the place of the tasks and of the jobs.
    tasks: usize,
    jobs: usize,
    /// How many bytes a task takes, and where its last column stands.
    task: [usize; 2],
    /// Which parameter of `claim-clause` is the dialect.
    dialect: usize,
}

/// Neither a label nor the time.
const V0_1: Contract = Contract {
    version: "0.1.0",
    parameters: [
        "i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32",
        "i32 i32 i32 i32 i32 i32 i32 i32",
    ],
    tasks: 9,
    jobs: 11,
    task: [32, 24],
    dialect: 7,
};

const V0_2: Contract = Contract {
    version: "0.2.0",
    parameters: [
        "i32 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32",
        "i32 i32 i32 i32 i32 i32 i32 i64 i32",
    ],
    tasks: 10,
    jobs: 12,
    task: [40, 32],
    dialect: 8,
};

impl Contract {
    /// Two decisions, both about the last job: what is read of the last task, its id and its last
    /// column, and what is read of the job, the number of its task and the number's case. A wrong
    /// layout of either gives other numbers. A job takes 56 bytes.
    fn decide(&self) -> String {
        let Contract { tasks, jobs, .. } = self;
        let (task_count, job_count) = (tasks + 1, jobs + 1);
        let [size, column] = self.task;
        let value = column + 4;
        format!(
            "(local $task i32) (local $job i32)
            (local.set $task (i32.add (local.get {tasks})
                (i32.mul (i32.sub (local.get {task_count}) (i32.const 1)) (i32.const {size}))))
            (local.set $job (i32.add (local.get {jobs})
                (i32.mul (i32.sub (local.get {job_count}) (i32.const 1)) (i32.const 56))))
            (i64.store (i32.const 8192) (i64.load (local.get $job)))
            (i32.store8 (i32.const 8200) (i32.const 1))
            (i32.store8 (i32.const 8208) (i32.const 1))
            (i64.store (i32.const 8216) (i64.load (local.get $task)))
            (i32.store8 (i32.const 8224) (i32.load8_u offset={column} (local.get $task)))
            (i64.store (i32.const 8232) (i64.extend_i32_u (i32.load offset={value} (local.get $task))))
            (i64.store (i32.const 8256) (i64.load (local.get $job)))
            (i32.store8 (i32.const 8264) (i32.const 1))
            (i32.store8 (i32.const 8272) (i32.load8_u offset=8 (local.get $job)))
            (i64.store (i32.const 8280) (i64.load offset=24 (local.get $job)))
            (i32.store8 (i32.const 8288) (i32.const 1))
            (i64.store (i32.const 8296) (i64.extend_i32_u (i32.load8_u offset=16 (local.get $job))))
            (i32.store (i32.const 2052) (i32.const 8192))
            (i32.store (i32.const 2056) (i32.const 2))
            (i32.const 2048)"
        )
    }

    fn component(&self) -> Vec<u8> {
        let Contract {
            version, dialect, ..
        } = self;
        let [of_decide, of_claim_clause] = self.parameters;
        let interface = format!("serial-gate:policy/serial-gate@{version}");
        let decide = self.decide();
        let module = format!(
            r#"(module
                (memory (export "memory") 2)
                (global $free (mut i32) (i32.const 65536))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $block i32)
                    (local.set $block (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                    (global.set $free (i32.add (local.get $block) (local.get 3)))
                    (local.get $block))
                (func (export "{interface}#describe") (result i32) (i32.const 1024))
                (func (export "{interface}#decide") (param {of_decide}) (result i32) {decide})
                (func (export "{interface}#claim-clause") (param {of_claim_clause}) (result i32)
                    (i32.store (i32.const 3080) (i32.const 4096))
                    (i32.store (i32.const 3084) (select (i32.const 9) (i32.const 8) (local.get {dialect})))
                    (i32.const 3072))
                (data (i32.const 4096) "AND FALSE"))"#
        );
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/policies");
        encode(
            &module,
            &format!("{folder}/serial-gate-{version}.wit"),
            &format!("package tests:frame; world frame {{ export {interface}; }}"),
        )
    }

    fn policy(&self) -> Policy {
        Runtime::new()
            .unwrap()
            .load(&self.component(), Limits::default())
            .unwrap()
    }

    /// What is read of task 7 with a work item, a repo, the stage `review` and the label `hotfix`, and of
    /// job 12 with this in `task_id`. Symbols are counted from 0 in these versions.
    fn reads(&self, task_id: i64, kind: u8) -> [Hold; 2] {
        let mut state = nothing();
        let [item, repo, review, hotfix, queued] =
            ["A-1", "alpha", "review", "hotfix", "queued"].map(|text| state.symbols.push(text));
        let Snapshot { tasks, jobs, .. } = &mut state;
        tasks.id = vec![5, 6, 7];
        tasks.work_item = vec![item; 3];
        tasks.repo = vec![repo; 3];
        tasks.stage = vec![0, 0, review];
        tasks.label = vec![0, 0, hotfix];
        jobs.id = vec![11, 12];
        jobs.task_id = vec![0, task_id];
        jobs.task_id_kind = vec![task_id_kind::NULL, kind];
        jobs.repo = vec![repo; 2];
        jobs.agent = vec![0; 2];
        jobs.status = vec![queued; 2];
        let decisions = self.policy().decide(&settings(), NOW, &state).unwrap();
        let holds = decisions.into_iter().map(|decision| match decision {
            Decision {
                job: 12,
                verdict: Verdict::Hold(hold),
            } => hold,
            other => panic!("{other:?}"),
        });
        holds.collect::<Vec<_>>().try_into().unwrap()
    }
}

fn hold(earlier_task: impl Into<Option<i64>>, freeze: i64) -> Hold {
    Hold {
        earlier_task: earlier_task.into(),
        freeze: Some(freeze),
        rule: None,
    }
}

#[test]
fn a_policy_of_0_1_0_sees_the_tables_as_its_contract_has_them() {
    let (stage, id, after_every_id) = (2, 0, 1);
    let of_task = hold(7, stage);
    for (kind, of_job) in [
        (task_id_kind::ID, hold(9, id)),
        (task_id_kind::BEFORE_ID, hold(9, id)),
    ] {
        assert_eq!(V0_1.reads(9, kind), [of_task.clone(), of_job]);
    }
    let [_, of_job] = V0_1.reads(0, task_id_kind::AFTER_EVERY_ID);
    assert_eq!(of_job.freeze, Some(after_every_id));
    let [_, of_job] = V0_1.reads(0, task_id_kind::NULL);
    assert_eq!(of_job.earlier_task, None);
}

#[test]
fn a_policy_of_0_2_0_sees_the_tables_as_its_contract_has_them() {
    let (label, id, before_id, after_every_id) = (3, 0, 1, 2);
    let of_task = hold(7, label);
    for (kind, of_job) in [
        (task_id_kind::ID, hold(9, id)),
        (task_id_kind::BEFORE_ID, hold(9, before_id)),
    ] {
        assert_eq!(V0_2.reads(9, kind), [of_task.clone(), of_job]);
    }
    let [_, of_job] = V0_2.reads(0, task_id_kind::AFTER_EVERY_ID);
    assert_eq!(of_job.freeze, Some(after_every_id));
    let [_, of_job] = V0_2.reads(0, task_id_kind::NULL);
    assert_eq!(of_job.earlier_task, None);
}

#[test]
fn an_older_policy_is_asked_for_its_clause_as_its_contract_has_it() {
    for contract in [V0_1, V0_2] {
        let policy = contract.policy();
        assert_eq!(policy.describe().unwrap().name, "");
        let clause = |dialect| policy.claim_clause(&settings(), NOW, dialect).unwrap().text;
        assert_eq!(clause(Dialect::Sqlite), "AND FALS");
        assert_eq!(clause(Dialect::Postgres), "AND FALSE");
    }
}

#[test]
fn a_function_that_differs_from_an_older_contract_is_named_with_that_version() {
    for version in ["0.1.0", "0.2.0"] {
        let interface = format!("serial-gate:policy/serial-gate@{version}");
        let other = format!(
            r#"(component
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (instance $exports (export "describe" (func $f)) (export "decide" (func $f)) (export "claim-clause" (func $f)))
            (export "{interface}" (instance $exports)))"#
        );
        let policy = Runtime::new()
            .unwrap()
            .load(&wat::parse_str(other).unwrap(), Limits::default())
            .unwrap();
        let error = with_causes(&policy.describe().unwrap_err());
        let expected = format!("`describe` differs from `{interface}`: build the policy");
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn a_component_that_lacks_a_function_of_an_older_contract_is_refused_with_that_version() {
    for version in ["0.1.0", "0.2.0"] {
        let interface = format!("serial-gate:policy/serial-gate@{version}");
        let empty =
            format!(r#"(component (instance $empty) (export "{interface}" (instance $empty)))"#);
        let refused = Runtime::new()
            .unwrap()
            .load(&wat::parse_str(empty).unwrap(), Limits::default());
        assert_eq!(
            refused.err().unwrap().to_string(),
            format!(
                "lacks the function `describe` in its export `{interface}`: implement `wit/serial-gate.wit`"
            )
        );
    }
}
