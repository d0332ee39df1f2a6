//! `policy new --language c`: the bindings are those of the contract, and a component that was built
//! of the template does what the one in Rust does. It is kept in `tests/policies/c/`, because the
//! compiler is large: `.ci/c-policy --keep` builds it anew.

use std::fs;

use jiff::Timestamp;
use proptest::prelude::*;
use serial_gate::clause::{Clause, Footprint};
use serial_gate::gate::Rule;
use serial_gate::model::{Dialect, Settings, Snapshot};
use serial_gate::policy::{Allowance, Policy, Runtime, digest};
use wasmtime::Engine;
use wasmtime::component::Component;
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

use super::policy_new::{FOLDER, component_in_rust};
use crate::support::hostile::{NOW, nothing, settings as on};
use crate::support::random_states::{for_random_states_of, settings};
use crate::support::{Gate, checkout};

const COMPONENT: &[u8] = include_bytes!("../policies/c/review-first.wasm");
const SOURCES: &str = include_str!("../policies/c/sources.sha256");

fn policy(component: &[u8]) -> Policy {
    let runtime = Runtime::new().unwrap();
    runtime.load(component, Allowance::default()).unwrap()
}

/// The error of a decision about a snapshot.
fn refused(state: &Snapshot) -> String {
    let decided = policy(COMPONENT).decide(&on(), NOW, state);
    decided.unwrap_err().to_string()
}

#[test]
fn its_bindings_are_what_wit_bindgen_makes_of_the_contract() {
    let mut resolve = Resolve::default();
    let contract = checkout().join("wit/serial-gate.wit");
    let package = resolve.push_path(contract).unwrap().0;
    let world = resolve.select_world(&[package], Some("policy")).unwrap();
    let interface = serial_gate::model::INTERFACE;
    let options = wit_bindgen_c::Opts {
        no_object_file: true,
        rename: vec![(interface.into(), "gate".into())],
        ..Default::default()
    };
    let readme = include_str!("../../host/src/cli/policy/template/c/README.md");
    assert!(readme.contains(&format!("--rename {interface}=gate ")));
    let mut files = Files::default();
    options
        .build()
        .generate(&mut resolve, world, &mut files)
        .unwrap();
    let template = checkout().join("host/src/cli/policy/template/c/bindings");
    // The first line names the exact version.
    let after_the_first_line = |text: &[u8]| {
        let end = text.iter().position(|byte| *byte == b'\n');
        text[end.unwrap()..].to_vec()
    };
    for (name, generated) in files.iter() {
        let kept = template.join(name);
        let text = fs::read(&kept).unwrap();
        if after_the_first_line(&text) != after_the_first_line(generated) {
            let new = concat!(env!("CARGO_TARGET_TMPDIR"), "/");
            fs::write(format!("{new}{name}"), generated).unwrap();
            panic!("`{name}` is stale: cp {new}{name} {}", kept.display());
        }
    }
    assert_eq!(
        files.iter().count(),
        fs::read_dir(template).unwrap().count()
    );
}

#[test]
fn the_kept_component_was_built_of_the_present_template() {
    let gate = Gate::empty();
    gate.run(&["policy", "new", FOLDER, "--language", "c"])
        .succeeds();
    let mut files = 0;
    for line in SOURCES.lines() {
        let (built_of, path) = line.split_once("  ").unwrap();
        let present = digest(&fs::read(gate.path(FOLDER).join(path)).unwrap());
        assert!(
            present == built_of,
            "`{path}` is another one now: .ci/c-policy --keep"
        );
        files += 1;
    }
    assert_eq!(files, 6);
}

#[test]
fn it_imports_nothing_and_passes_the_check_and_its_cases() {
    let engine = Engine::default();
    let component = Component::new(&engine, COMPONENT).unwrap();
    assert_eq!(component.component_type().imports(&engine).count(), 0);
    let gate = Gate::empty();
    gate.run(&["policy", "new", FOLDER, "--language", "c"])
        .succeeds();
    gate.write("c.wasm", COMPONENT);
    gate.run(&["policy", "check", "c.wasm"]).succeeds();
    let cases = ["conform", "review-first/cases.jsonl", "--policy", "c.wasm"];
    insta::assert_snapshot!(gate.run(&cases).succeeds().stdout, @"5 passed, 0 failed");
}

#[test]
fn it_answers_as_the_one_in_rust_does() {
    let (c, rust) = (policy(COMPONENT), policy(&component_in_rust()));
    assert_eq!(c.describe().unwrap(), rust.describe().unwrap());
    let clause = |policy: &Policy, settings: &Settings| {
        let clause = policy.claim_clause(settings, NOW, Dialect::Sqlite).unwrap();
        let guarded = Clause::accept(&clause.text).unwrap();
        let sql = guarded
            .render(serial_gate::clause::Dialect::Sqlite)
            .to_string();
        (sql, clause.notes, clause.valid_until)
    };
    let rule = Rule::Given {
        component: COMPONENT.to_vec(),
        settings: on(),
        allowance: Allowance::default(),
    };
    for_random_states_of(rule, settings(), 500, |queue, _, settings| {
        let all = Footprint::of_every_clause();
        let state = queue.store().snapshot(&all, None).unwrap();
        let decided = |policy: &Policy| policy.decide(settings, Timestamp::UNIX_EPOCH, &state);
        prop_assert_eq!(decided(&c).unwrap(), decided(&rust).unwrap());
        prop_assert_eq!(clause(&c, settings), clause(&rust, settings));
        Ok(())
    });
}

#[test]
fn it_refuses_a_snapshot_that_would_lead_it_out_of_a_column() {
    let mut longer = nothing();
    longer.jobs.id = vec![1];
    let mut out_of_range = nothing();
    out_of_range.tasks.id = vec![1];
    out_of_range.tasks.repo = vec![1];
    out_of_range.tasks.stage = vec![0];
    for state in [longer, out_of_range] {
        let error = refused(&state);
        assert!(
            error.contains("a column is too short or too long"),
            "{error}"
        );
    }
    for ends in [
        vec![],
        vec![1],
        vec![0, 1],
        vec![0, u32::MAX],
        vec![0, 0, u32::MAX, 0],
    ] {
        let mut state = nothing();
        state.symbols.ends = ends;
        let error = refused(&state);
        assert!(error.contains("`ends`"), "{error}");
    }
}

#[test]
fn it_ends_the_call_when_there_is_no_memory_for_its_answer() {
    let mut state = nothing();
    let rows = 20_000;
    state.symbols.text = "queued".into();
    state.symbols.ends = vec![0, 6];
    state.jobs.id = (0..rows).collect();
    state.jobs.task_id = vec![0; rows as usize];
    state.jobs.task_id_kind = vec![0; rows as usize];
    for column in [&mut state.jobs.repo, &mut state.jobs.agent] {
        *column = vec![0; rows as usize];
    }
    state.jobs.status = vec![1; rows as usize];
    let memory = |mib| Allowance {
        memory_mib: mib,
        ..Allowance::default()
    };
    let decided = |mib| {
        let runtime = Runtime::new().unwrap();
        let policy = runtime.load(COMPONENT, memory(mib)).unwrap();
        policy.decide(&on(), NOW, &state)
    };
    assert_eq!(decided(4).unwrap().len(), rows as usize);
    let error = serial_gate::error::with_causes(&decided(1).unwrap_err());
    assert!(error.contains("wanted more memory"), "{error}");
}
