//! Policies that were built against a contract of the past go on to run.
//!
//! The contracts are frozen files in `policies/`; a component of each is written by hand.

use serial_gate::model::{Dialect, Job, Snapshot, Task, TaskRef, Verdict};
use serial_gate::policy::{Limits, Policy, Runtime};
use serial_gate::queue::with_causes;

use crate::containment::{NOW, encode, nothing, settings};

const CONTRACT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/policies/serial-gate-0.1.0.wit"
);

/// `decide` of 0.1.0 holds the last job for what it reads of the last task: a wrong layout of either
/// gives other numbers. A task takes 32 bytes there, without a label, and a job 56.
const DECIDE: &str = "
    (local $task i32) (local $job i32)
    (local.set $task (i32.add (local.get 9)
        (i32.mul (i32.sub (local.get 10) (i32.const 1)) (i32.const 32))))
    (local.set $job (i32.add (local.get 11)
        (i32.mul (i32.sub (local.get 12) (i32.const 1)) (i32.const 56))))
    (i64.store (i32.const 8192) (i64.load (local.get $job)))
    (i32.store8 (i32.const 8200) (i32.const 1))
    (i32.store8 (i32.const 8208) (i32.const 1))
    (i64.store (i32.const 8216) (i64.load (local.get $task)))
    (i32.store8 (i32.const 8224) (i32.load8_u offset=24 (local.get $task)))
    (i64.store (i32.const 8232) (i64.extend_i32_u (i32.load offset=28 (local.get $task))))
    (i32.store (i32.const 2052) (i32.const 8192))
    (i32.store (i32.const 2056) (i32.const 1))
    (i32.const 2048)";

/// `claim-clause` of 0.1.0 takes the dialect right behind the settings.
const CLAIM_CLAUSE: &str = "
    (i32.store (i32.const 3080) (i32.const 4096))
    (i32.store (i32.const 3084) (select (i32.const 9) (i32.const 8) (local.get 7)))
    (i32.const 3072)";

fn component() -> Vec<u8> {
    let parameters = ["i32"; 15].join(" ");
    let module = format!(
        r#"(module
            (memory (export "memory") 2)
            (global $free (mut i32) (i32.const 65536))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $block i32)
                (local.set $block (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                (global.set $free (i32.add (local.get $block) (local.get 3)))
                (local.get $block))
            (func (export "serial-gate:policy/serial-gate@0.1.0#describe") (result i32) (i32.const 1024))
            (func (export "serial-gate:policy/serial-gate@0.1.0#decide")
                (param {parameters}) (result i32) {DECIDE})
            (func (export "serial-gate:policy/serial-gate@0.1.0#claim-clause")
                (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {CLAIM_CLAUSE})
            (data (i32.const 4096) "AND FALSE"))"#
    );
    encode(
        &module,
        CONTRACT,
        "package tests:frame; world frame { export serial-gate:policy/serial-gate@0.1.0; }",
    )
}

fn policy() -> Policy {
    Runtime::new()
        .unwrap()
        .load(&component(), Limits::default())
        .unwrap()
}

#[test]
fn a_policy_of_0_1_0_sees_the_tables_as_its_contract_has_them() {
    let task = |id, stage| Task {
        id,
        work_item: Some(1),
        repo: Some(2),
        stage: Some(stage),
        label: Some(9),
    };
    let job = |id| Job {
        id,
        task_id: Some(TaskRef::Id(7)),
        repo: Some(2),
        agent: None,
        status: Some(3),
    };
    let state = Snapshot {
        symbols: vec!["a".into(), "b".into()],
        tasks: vec![task(5, 4), task(6, 5), task(7, 6)],
        jobs: vec![job(11), job(12)],
        ..nothing()
    };
    let decisions = policy().decide(&settings(), NOW, &state).unwrap();
    assert_eq!(decisions.len(), 1);
    assert_eq!(decisions[0].job, 12);
    let Verdict::Hold(hold) = &decisions[0].verdict else {
        panic!("{decisions:?}");
    };
    assert_eq!((hold.earlier_task, hold.freeze), (Some(7), Some(6)));
}

#[test]
fn a_policy_of_0_1_0_is_asked_for_its_clause_without_the_time() {
    let policy = policy();
    assert_eq!(policy.describe().unwrap().name, "");
    let clause = |dialect| policy.claim_clause(&settings(), NOW, dialect).unwrap().text;
    assert_eq!(clause(Dialect::Sqlite), "AND FALS");
    assert_eq!(clause(Dialect::Postgres), "AND FALSE");
}

#[test]
fn a_function_that_differs_from_0_1_0_is_named_with_that_version() {
    let other = r#"(component
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (instance $exports (export "describe" (func $f)) (export "decide" (func $f)) (export "claim-clause" (func $f)))
        (export "serial-gate:policy/serial-gate@0.1.0" (instance $exports)))"#;
    let policy = Runtime::new()
        .unwrap()
        .load(&wat::parse_str(other).unwrap(), Limits::default())
        .unwrap();
    let error = with_causes(&policy.describe().unwrap_err());
    assert!(
        error.starts_with(
            "`describe` differs from `serial-gate:policy/serial-gate@0.1.0`: build the policy"
        ),
        "{error}"
    );
}

#[test]
fn a_component_that_lacks_a_function_of_0_1_0_is_refused_with_that_version() {
    let empty = r#"(component (instance $empty) (export "serial-gate:policy/serial-gate@0.1.0" (instance $empty)))"#;
    let refused = Runtime::new()
        .unwrap()
        .load(&wat::parse_str(empty).unwrap(), Limits::default());
    assert_eq!(
        refused.err().unwrap().to_string(),
        "lacks the function `describe` in its export `serial-gate:policy/serial-gate@0.1.0`: implement `wit/serial-gate.wit`"
    );
}
