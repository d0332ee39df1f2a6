//! Policies that mean harm, as real components: each is stopped, named, and leaves the queue going.
//!
//! They are written by hand in WebAssembly's text, one function of the contract at a time, around a
//! frame that fulfils the contract with an empty answer.

use std::sync::Barrier;

use jiff::Timestamp;
use serial_gate::model::{Dialect, Freezes, Jobs, Settings, Snapshot, Symbols, Tasks};
use serial_gate::policy::{Allowance, Error, Policy, Runtime};
use serial_gate::queue::{Options, Queue, Rule, Source, with_causes};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::harness::Gate;

/// A component whose functions are these bodies, in WebAssembly's text.
pub struct Hostile {
    pub describe: &'static str,
    pub decide: &'static str,
    pub claim_clause: &'static str,
    /// More of the module. Imports come first in a module, so this stands at its top.
    pub module: &'static str,
    /// What is imported, in WIT: the packages that define it, and the lines of the world.
    pub packages: &'static str,
    pub imports: &'static str,
}

/// Every function answers: a description, no decision, an empty clause.
pub const HARMLESS: Hostile = Hostile {
    describe: "i32.const 1024",
    decide: "i32.const 2048",
    claim_clause: "i32.const 3072",
    module: "",
    packages: "",
    imports: "",
};

impl Hostile {
    pub fn component(&self) -> Vec<u8> {
        let Hostile {
            describe,
            decide,
            claim_clause,
            module,
            packages,
            imports,
        } = self;
        let interface = serial_gate::model::INTERFACE;
        let text = format!(
            r#"(module
                {module}
                (memory (export "memory") 2)
                (global $free (mut i32) (i32.const 65536))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $block i32)
                    (local.set $block (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                    (global.set $free (i32.add (local.get $block) (local.get 3)))
                    (block $fits (loop $grow
                        (br_if $fits (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
                        (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
                        (br $grow)))
                    (local.get $block))
                (func (export "{interface}#describe") (result i32) {describe})
                (func (export "{interface}#decide")
                    (param i32) (result i32) {decide})
                (func (export "{interface}#claim-clause")
                    (param i32 i32 i32 i32 i32 i32 i32 i64 i32) (result i32) {claim_clause})
                (data (i32.const 512) "hostile"))"#
        );
        let world = format!(
            "package tests:frame; {packages} world frame {{ {imports} export {interface}; }}"
        );
        encode(
            &text,
            concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/serial-gate.wit"),
            &world,
        )
    }

    pub fn load(&self) -> Result<Policy, Error> {
        Runtime::new()
            .unwrap()
            .load(&self.component(), Allowance::default())
    }

    pub fn policy(&self) -> Policy {
        self.load().unwrap()
    }
}

/// A module in WebAssembly's text as a component of a world, with the contract from a file.
pub fn encode(module: &str, contract: &str, world: &str) -> Vec<u8> {
    let mut wasm = wat::parse_str(module).unwrap();
    let mut resolve = Resolve::default();
    resolve.push_path(contract).unwrap();
    let package = resolve.push_str("frame.wit", world).unwrap();
    let world = resolve.select_world(&[package], Some("frame")).unwrap();
    embed_component_metadata(&mut wasm, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default()
        .module(&wasm)
        .unwrap()
        .encode()
        .unwrap()
}

pub const NOW: Timestamp = Timestamp::UNIX_EPOCH;

pub fn settings() -> Settings {
    Settings {
        enabled: true,
        repos: String::new(),
        freeze_enabled: true,
        rules: None,
    }
}

pub fn nothing() -> Snapshot {
    Snapshot {
        symbols: Symbols::new(),
        tasks: Tasks {
            id: Vec::new(),
            work_item: Vec::new(),
            repo: Vec::new(),
            stage: Vec::new(),
            label: Vec::new(),
        },
        jobs: Jobs {
            id: Vec::new(),
            task_id: Vec::new(),
            task_id_kind: Vec::new(),
            repo: Vec::new(),
            agent: Vec::new(),
            status: Vec::new(),
        },
        freezes: Freezes {
            id: Vec::new(),
            repo: Vec::new(),
            frozen_at: Vec::new(),
            cleared_at: Vec::new(),
            reason: Vec::new(),
            work_item: Vec::new(),
        },
    }
}

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

/// What each call of a policy comes to, the good ones as `ok`.
pub fn calls(hostile: &Hostile) -> [String; 3] {
    let policy = hostile.policy();
    let said = |error: Option<Error>| {
        error.map_or("ok".to_owned(), |error| {
            // A backtrace would tell where in the component it was.
            with_causes(&error)
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned()
        })
    };
    [
        said(policy.describe().err()),
        said(policy.decide(&settings(), NOW, &nothing()).err()),
        said(policy.claim_clause(&settings(), NOW, Dialect::Sqlite).err()),
    ]
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

/// An answer of `claim-clause`: fine, with a text of this place and length.
macro_rules! clause_at {
    ($place:literal, $length:literal) => {
        concat!(
            "(i32.store (i32.const 3080) (i32.const ",
            $place,
            "))
             (i32.store (i32.const 3084) (i32.const ",
            $length,
            ")) i32.const 3072"
        )
    };
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
        let mut queue = Queue::open(&gate.database(), rule, Options::default()).unwrap();
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

pub(crate) use clause_at;
