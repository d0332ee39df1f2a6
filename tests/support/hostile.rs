//! Hostile policies, as real components.
//!
//! Each replaces some functions of a frame that fulfils the contract with empty answers. They are
//! written in WebAssembly's text format.

use jiff::Timestamp;
use serial_gate::error::with_causes;
use serial_gate::model::{Dialect, Freezes, Jobs, Settings, Snapshot, Symbols, Tasks};
use serial_gate::policy::{Allowance, Error, Policy, Runtime};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::Gate;

/// The bodies of a component's functions, in WebAssembly's text format.
pub struct Hostile {
    pub describe: &'static str,
    pub decide: &'static str,
    pub claim_clause: &'static str,
    /// More of the module. It is put at the top, because imports come first.
    pub module: &'static str,
    /// The imports, in WIT: the packages that define them, and the lines of the world.
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
                    (local.set $block
                        (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                    (global.set $free (i32.add (local.get $block) (local.get 3)))
                    (block $fits (loop $grow
                        (br_if $fits
                            (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
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

/// Makes a component of a module in text format, for a world of the contract in a file.
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

/// The error of each call of a policy, or `ok`.
pub fn calls(hostile: &Hostile) -> [String; 3] {
    let policy = hostile.policy();
    let result = |error: Option<Error>| {
        error.map_or("ok".to_owned(), |error| {
            // A backtrace would name the place in the component.
            with_causes(&error)
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned()
        })
    };
    [
        result(policy.describe().err()),
        result(policy.decide(&settings(), NOW, &nothing()).err()),
        result(policy.claim_clause(&settings(), NOW, Dialect::Sqlite).err()),
    ]
}

/// An answer of `claim-clause`: a clause with a text of this address and length.
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

/// One decision for each queued job: the verdict's case is the global `$verdict`. Of the arguments
/// it reads the symbols' text (at 40) and ends (at 48), and of the jobs the ids (at 96) and states
/// (at 136).
pub const DECIDE_ALL: &str = r#"
    (local $row i32) (local $out i32) (local $count i32)
    (local $symbol i32) (local $end i32) (local $start i32)
    (local.set $out (i32.const 8192))
    (block $done (loop $next
        (br_if $done (i32.ge_u (local.get $row) (i32.load offset=100 (local.get 0))))
        (local.set $symbol (i32.load (i32.add (i32.load offset=136 (local.get 0))
            (i32.shl (local.get $row) (i32.const 2)))))
        (if (local.get $symbol) (then
            (local.set $end (i32.add (i32.load offset=48 (local.get 0))
                (i32.shl (local.get $symbol) (i32.const 2))))
            (local.set $start (i32.load (i32.sub (local.get $end) (i32.const 4))))
            (if (i32.and (i32.eq (i32.sub (i32.load (local.get $end)) (local.get $start)) (i32.const 6))
                    (i32.eq (i32.load (i32.add (i32.load offset=40 (local.get 0)) (local.get $start)))
                        (i32.const 0x75657571)))
                (then
                    (i64.store (local.get $out) (i64.load (i32.add (i32.load offset=96 (local.get 0))
                        (i32.shl (local.get $row) (i32.const 3)))))
                    (i32.store8 offset=8 (local.get $out) (global.get $verdict))
                    (local.set $out (i32.add (local.get $out) (i32.const 64)))
                    (local.set $count (i32.add (local.get $count) (i32.const 1)))))))
        (local.set $row (i32.add (local.get $row) (i32.const 1)))
        (br $next)))
    (i32.store (i32.const 2052) (i32.const 8192))
    (i32.store (i32.const 2056) (local.get $count))
    (i32.const 2048)"#;

pub const CLAIM: &str = "(global $verdict i32 (i32.const 0))";

/// A queue whose active generation was not checked, like a policy that changes its answers after
/// the check.
pub fn queue_of(component: &[u8]) -> Gate {
    let gate = Gate::new();
    install(&gate, component);
    gate
}

pub fn install(gate: &Gate, component: &[u8]) {
    let program = gate.program();
    let digest = serial_gate::policy::digest(component);
    program.run(format!(
        "INSERT INTO serial_gate_policy (digest, component) VALUES ('{digest}', {});
         UPDATE serial_gate_generation SET digest = '{digest}' WHERE state = 'active'",
        program.bytes(component)
    ));
}

pub(crate) use clause_at;
