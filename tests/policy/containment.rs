//! Policies that mean harm, as real components: each is stopped, named, and leaves the queue going.

use std::sync::Barrier;

use jiff::Timestamp;
use serial_gate::error::with_causes;
use serial_gate::gate::{Rule, Source};
use serial_gate::model::Dialect;
use serial_gate::policy::{Allowance, Error, Policy, Runtime};
use serial_gate::queue::{Options, Queue};

use crate::support::Gate;
use crate::support::hostile::{HARMLESS, Hostile, NOW, calls, clause_at, nothing, settings};

#[test]
fn the_frame_itself_is_a_policy() {
    let policy = HARMLESS.policy();
    assert_eq!(policy.describe().unwrap().name, "");
    assert_eq!(policy.decide(&settings(), NOW, &nothing()).unwrap(), []);
    assert_eq!(
        policy
            .claim_clause(&settings(), NOW, Dialect::Sqlite)
            .unwrap()
            .text,
        ""
    );
}

#[test]
fn an_endless_loop_in_any_function_is_stopped_at_its_time_limit() {
    const LOOP: &str = "(loop $l (br $l)) unreachable";
    let looping = Hostile {
        describe: LOOP,
        decide: LOOP,
        claim_clause: LOOP,
        ..HARMLESS
    };
    let policy = looping.policy();
    let begun = std::time::Instant::now();
    assert!(
        policy
            .claim_clause(&settings(), NOW, Dialect::Sqlite)
            .is_err()
    );
    println!(
        "a clause of at most 50 ms was stopped after {:?}",
        begun.elapsed()
    );
    let begun = std::time::Instant::now();
    assert!(policy.decide(&settings(), NOW, &nothing()).is_err());
    println!(
        "a `decide` of at most 1 s was stopped after {:?}",
        begun.elapsed()
    );
    assert_eq!(
        calls(&looping),
        [
            "`describe` was stopped after 50 ms, its time limit",
            "`decide` was stopped after 1000 ms, its time limit",
            "`claim-clause` was stopped after 50 ms, its time limit",
        ]
    );
}

#[test]
fn an_endless_loop_at_the_start_of_the_instance_is_stopped_as_well() {
    let looping = Hostile {
        module: "(func $s (loop $l (br $l))) (start $s)",
        ..HARMLESS
    };
    assert_eq!(
        calls(&looping)[2],
        "`claim-clause` was stopped after 50 ms, its time limit"
    );
}

#[test]
fn endless_recursion_ends_in_a_trap() {
    let recursing = Hostile {
        module: "(func $f (result i32) (i32.add (call $f) (i32.const 1)))",
        decide: "call $f",
        ..HARMLESS
    };
    let [_, decide, _] = calls(&recursing);
    assert!(decide.starts_with("`decide` trapped"), "{decide}");
    let policy = recursing.policy();
    let error = with_causes(&policy.decide(&settings(), NOW, &nothing()).unwrap_err());
    assert!(error.contains("call stack exhausted"), "{error}");
}

#[test]
fn memory_that_grows_without_end_is_refused_at_its_limit() {
    let growing = Hostile {
        claim_clause: "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) unreachable",
        ..HARMLESS
    };
    assert_eq!(
        calls(&growing)[2],
        "`claim-clause` wanted more memory than its 64 MiB"
    );
}

#[test]
fn a_table_that_grows_without_end_is_refused_too() {
    let growing = Hostile {
        module: "(table $t 1 funcref)",
        claim_clause: "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
            (i32.le_u (table.size $t) (i32.const 10000)) (if (then (return (i32.const 3072)))) unreachable",
        ..HARMLESS
    };
    assert_eq!(calls(&growing)[2], "ok");
}

/// A policy that has this in its module so many times.
fn with_parts(part: &str, count: usize) -> Result<Policy, Error> {
    Hostile {
        module: part.repeat(count).leak(),
        ..HARMLESS
    }
    .load()
}

#[test]
fn a_policy_may_have_several_memories_and_large_tables() {
    let policy = with_parts("(memory 1) (table 9000 funcref)", 15).unwrap();
    assert_eq!(policy.describe().unwrap().name, "");
}

#[test]
fn a_policy_with_more_memories_or_tables_than_any_compiler_makes_is_refused_with_their_number() {
    let (memories, tables) = (
        "of 17 exceeds the per-instance limit of 16",
        "of 65 exceeds the per-instance limit of 64",
    );
    for (part, count, limit) in [
        ("(memory 1)", 16, memories),
        ("(table 1 funcref)", 65, tables),
    ] {
        let error = with_causes(&with_parts(part, count).err().unwrap());
        assert!(error.contains(limit), "{error}");
    }
}

#[test]
fn a_policy_of_more_instances_than_any_compiler_makes_is_refused_and_does_not_wait_for_room() {
    let instances = "(core instance (instantiate $empty))".repeat(65);
    let name = serial_gate::model::INTERFACE;
    let export = format!(r#"(instance $none) (export "{name}" (instance $none))"#);
    let text = format!("(component (core module $empty) {instances} {export})");
    let component = wat::parse_str(text).unwrap();
    let loaded = Runtime::new()
        .unwrap()
        .load(&component, Allowance::default());
    let error = with_causes(&loaded.err().unwrap());
    assert!(error.contains("65 core module instances"), "{error}");
}

#[test]
fn an_operator_may_allow_more_memory_than_the_default() {
    let growing = Hostile {
        describe: "(if (i32.eq (memory.grow (i32.const 32000)) (i32.const -1)) (then unreachable)) i32.const 1024",
        ..HARMLESS
    };
    let limits = Allowance {
        memory_mib: 2048,
        ..Allowance::default()
    };
    let policy = Runtime::new().unwrap().load(&growing.component(), limits);
    assert!(policy.unwrap().describe().is_ok());
}

#[test]
fn more_calls_at_a_time_than_the_pool_has_room_for_wait_for_each_other() {
    const CALLS: usize = 400;
    // Long enough for all of them to begin before the first ends.
    let slow = Hostile {
        module: "(global $turns (mut i32) (i32.const 4000000))",
        describe: "(loop $l (global.set $turns (i32.sub (global.get $turns) (i32.const 1))) (br_if $l (global.get $turns)))
            i32.const 1024",
        ..HARMLESS
    };
    let limits = Allowance {
        clause_ms: 1_000,
        ..Allowance::default()
    };
    let policy = Runtime::new().unwrap().load(&slow.component(), limits);
    let policy = policy.unwrap();
    let together = Barrier::new(CALLS);
    std::thread::scope(|scope| {
        for _ in 0..CALLS {
            scope.spawn(|| {
                together.wait();
                policy.describe().unwrap();
            });
        }
    });
}

#[test]
fn a_trap_is_named_and_the_next_call_starts_afresh() {
    let trapping = Hostile {
        decide: "unreachable",
        ..HARMLESS
    };
    let policy = trapping.policy();
    for _ in 0..3 {
        let error = with_causes(&policy.decide(&settings(), NOW, &nothing()).unwrap_err());
        assert!(
            error.starts_with("`decide` trapped") && error.contains("unreachable"),
            "{error}"
        );
        assert!(policy.describe().is_ok());
    }
}

#[test]
fn a_policy_that_counts_its_calls_answers_as_if_each_were_the_first() {
    let counting = Hostile {
        module: "(global $calls (mut i32) (i32.const 0))",
        describe: "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (i32.store (i32.const 1028) (global.get $calls)) i32.const 1024",
        ..HARMLESS
    };
    let policy = counting.policy();
    for _ in 0..3 {
        assert_eq!(policy.describe().unwrap().name.len(), 1);
    }
}

#[test]
fn a_clause_of_20_mib_is_more_than_a_result_may_be() {
    let long = Hostile {
        claim_clause: concat!(
            "(drop (memory.grow (i32.const 400)))",
            clause_at!("65536", "20971520")
        ),
        ..HARMLESS
    };
    assert_eq!(
        calls(&long)[2],
        "`claim-clause` returned more than its 16 MiB of results"
    );
}

#[test]
fn a_list_of_a_gibibyte_that_is_not_there_is_refused_without_being_read() {
    let endless = Hostile {
        decide: "(i32.store (i32.const 2052) (i32.const 0)) (i32.store (i32.const 2056) (i32.const 22369621)) i32.const 2048",
        ..HARMLESS
    };
    let [_, decide, _] = calls(&endless);
    assert_eq!(
        decide,
        "`decide` trapped: list pointer/length out of bounds of memory"
    );
}

#[test]
fn a_list_of_many_empty_decisions_is_more_than_a_result_may_be() {
    let many = Hostile {
        decide: "(drop (memory.grow (i32.const 700)))
            (i32.store (i32.const 2052) (i32.const 65536)) (i32.store (i32.const 2056) (i32.const 600000))
            i32.const 2048",
        ..HARMLESS
    };
    assert_eq!(
        calls(&many)[1],
        "`decide` returned more than its 16 MiB of results"
    );
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    let broken = Hostile {
        module: r#"(data (i32.const 4096) "\ff\fe")"#,
        claim_clause: clause_at!("4096", "2"),
        ..HARMLESS
    };
    let [_, _, clause] = calls(&broken);
    assert!(
        clause.starts_with("`claim-clause` trapped: ") && clause.contains("utf-8"),
        "{clause}"
    );
}

#[test]
fn an_answer_that_points_outside_the_memory_is_refused() {
    let outside = Hostile {
        claim_clause: "i32.const -8",
        ..HARMLESS
    };
    assert!(
        calls(&outside)[2].starts_with("`claim-clause` trapped: "),
        "{:?}",
        calls(&outside)
    );
}

#[test]
fn whatever_a_policy_does_claims_go_on_and_frozen_repos_stay_closed() {
    let gate = Gate::new();
    for repo in ["alpha", "alpha", "beta"] {
        gate.run(&["task", "add", repo]).succeeds();
    }
    gate.run(&["freeze", "beta", "--new", "--reason", "bad deploy"])
        .succeeds();
    for (name, claim_clause, module) in [
        ("loop", "(loop $l (br $l)) unreachable", ""),
        ("trap", "unreachable", ""),
        (
            "refused",
            clause_at!("4096", "20"),
            r#"(data (i32.const 4096) "AND 1=1) OR (1=1 -- ")"#,
        ),
        (
            "untied",
            clause_at!("4096", "94"),
            r#"(data (i32.const 4096) "AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo OR t.id > 0 AND t.id < 9999999)")"#,
        ),
    ] {
        let hostile = Hostile {
            claim_clause,
            module,
            ..HARMLESS
        };
        let rule = Rule::Given {
            component: hostile.component(),
            settings: settings(),
            allowance: Allowance::default(),
        };
        let mut queue = Queue::open(gate.place(), rule, Options::default()).unwrap();
        assert_eq!(
            queue.claimable(Timestamp::UNIX_EPOCH).unwrap(),
            [1, 2],
            "{name}"
        );
        let clause = queue.clause(Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(clause.source, Source::FreezeOnly, "{name}");
        assert!(
            clause.notes[0].starts_with("the policy gives no usable clause"),
            "{name}: {:?}",
            clause.notes
        );
    }
}
