//! `policy check`: what each stage finds in a good policy, and how a bad one is refused.

use serial_gate::policy::DEFAULT_POLICY;

use crate::support::Gate;
use crate::support::hostile::{CLAIM, DECIDE_ALL};
use crate::support::hostile::{HARMLESS, Hostile, clause_at};

/// The exit code, and the lines up to where a state would be shown.
fn check(component: &[u8]) -> (Option<i32>, String) {
    let gate = Gate::folder();
    gate.write("policy.wasm", component);
    let ran = gate.run(&["policy", "check", "policy.wasm"]);
    let lines = ran
        .stdout
        .lines()
        .map(|line| line.split(", in the state").next().unwrap().trim_end());
    (ran.code, lines.collect::<Vec<_>>().join("\n") + &ran.stderr)
}

#[test]
fn the_default_policy_passes_every_stage() {
    let (code, found) = check(DEFAULT_POLICY);
    assert_eq!(code, Some(0), "{found}");
    insta::assert_snapshot!(found, @r#"
    contract     ok       `serial` 0.1.0, imports nothing: a task starts when every earlier task of its repo is done and the repo is not frozen
    clause       ok       239 bytes, reads tasks, repo_freeze
    claims       ok       flat: the same cost however many jobs are held; gated: NULL, `analyst`
    decisions    ok       one for each queued job, and for no other, in 200 states
    determinism  ok       the same question gets the same answer, in 200 states
    agreement    ok       `decide` and the clause let the same jobs through, in 540 states and at 8 times
    progress     ok       when all is done and nothing frozen, nothing is held, in 200 states
    "#);
}

#[test]
fn a_policy_may_differ_from_the_default_rule() {
    let claims_all = Hostile {
        decide: DECIDE_ALL,
        module: CLAIM,
        ..HARMLESS
    };
    assert_eq!(check(&claims_all.component()).0, Some(0));
}

#[test]
fn a_file_that_is_no_policy_is_refused_by_its_contract() {
    let (code, found) = check(b"#!/bin/sh");
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(found, @r"
    contract     refused  not WebAssembly: give the `.wasm` file of a component
    ");
}

#[test]
fn a_clause_outside_the_language_is_refused_with_the_guard_s_words() {
    let hostile = Hostile {
        claim_clause: clause_at!("4096", "17"),
        module: r#"(data (i32.const 4096) "AND 1=1) OR (1=1 ")"#,
        ..HARMLESS
    };
    let (code, found) = check(&hostile.component());
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(found, @r"
    contract     ok       `` , imports nothing:
    clause       refused  [parenthesis] `)` closes a parenthesis that the clause did not open at line 1, column 8: remove it
    ");
}

#[test]
fn a_policy_that_leaves_jobs_without_a_decision_is_refused() {
    let (code, found) = check(&HARMLESS.component());
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(found, @r#"
    contract     ok       `` , imports nothing:
    clause       ok       0 bytes, reads no table besides `jobs`
    claims       ok       flat: the same cost however many jobs are held; gated: no agent
    decisions    refused  `decide` has no decision for job 2, which is queued: write one for each queued job
    "#);
}

#[test]
fn a_policy_that_says_one_thing_and_does_another_is_refused() {
    let two_faced = Hostile {
        decide: DECIDE_ALL,
        claim_clause: clause_at!("4096", "27"),
        module: r#"(global $verdict i32 (i32.const 0)) (data (i32.const 4096) "AND jobs.agent <> 'analyst'")"#,
        ..HARMLESS
    };
    let (code, found) = check(&two_faced.component());
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(found, @r#"
    contract     ok       `` , imports nothing:
    clause       ok       27 bytes, reads no table besides `jobs`
    claims       ok       flat: the same cost however many jobs are held; gated: NULL, `analyst`
    decisions    ok       one for each queued job, and for no other, in 200 states
    determinism  ok       the same question gets the same answer, in 200 states
    agreement    refused  `decide` and the clause differ about job 3 (repo `a`, agent none, task 0): `decide` lets it through, the clause holds it
    "#);
}

#[test]
fn a_policy_that_holds_everything_for_ever_is_refused() {
    let holds_all = Hostile {
        decide: DECIDE_ALL,
        claim_clause: clause_at!("4096", "9"),
        module: r#"(global $verdict i32 (i32.const 1)) (data (i32.const 4096) "AND FALSE")"#,
        ..HARMLESS
    };
    let (code, found) = check(&holds_all.component());
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(found, @r#"
    contract     ok       `` , imports nothing:
    clause       ok       9 bytes, reads no table besides `jobs`
    claims       ok       flat: the same cost however many jobs are held; gated: every agent
    decisions    ok       one for each queued job, and for no other, in 200 states
    determinism  ok       the same question gets the same answer, in 200 states
    agreement    ok       `decide` and the clause let the same jobs through, in 477 states and at 8 times
    progress     refused  with every task `done`, no job running and no freeze, only [] of [2, 3, 6] may be claimed
    "#);
}

#[test]
fn an_endless_loop_is_refused_where_it_stands() {
    const LOOP: &str = "(loop $l (br $l)) unreachable";
    for (hostile, stage) in [
        (
            Hostile {
                describe: LOOP,
                ..HARMLESS
            },
            "contract",
        ),
        (
            Hostile {
                claim_clause: LOOP,
                ..HARMLESS
            },
            "clause",
        ),
        (
            Hostile {
                decide: LOOP,
                ..HARMLESS
            },
            "decisions",
        ),
    ] {
        let (code, found) = check(&hostile.component());
        assert_eq!(code, Some(1));
        let last = found.lines().last().unwrap();
        assert!(
            last.starts_with(stage) && last.contains("was stopped after"),
            "{found}"
        );
    }
}

#[test]
fn a_policy_whose_language_rounds_ids_passes_and_that_is_told() {
    // Each id goes through a floating-point number.
    let rounding = DECIDE_ALL
        .replace(
            "(i64.load (i32.add (i32.load offset=96",
            "(i64.trunc_sat_f64_s (f64.convert_i64_s (i64.load (i32.add (i32.load offset=96",
        )
        .replace("(i32.const 3)))))", "(i32.const 3)))))))");
    assert_ne!(rounding, DECIDE_ALL);
    let policy = Hostile {
        decide: Box::leak(rounding.into_boxed_str()),
        module: CLAIM,
        ..HARMLESS
    };
    let (code, found) = check(&policy.component());
    assert_eq!(code, Some(0), "{found}");
    assert!(
        found.contains(
            "in 200 states; ids beyond 2^53 are rounded, so that such a job has no verdict"
        ),
        "{found}"
    );
}

#[test]
fn a_policy_that_traps_without_a_word_is_told_how_to_be_asked_why() {
    let policy = Hostile {
        decide: "unreachable",
        ..HARMLESS
    };
    let (code, found) = check(&policy.component());
    assert_eq!(code, Some(1));
    assert!(
        found.contains(
            "it imports nothing, so it cannot say why. If its language can build it with WASI"
        ),
        "{found}"
    );
}
