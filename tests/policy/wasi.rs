//! Policies that import parts of WASI, as a standard library does: the parts are there and hold
//! nothing, and whoever wants something of the machine is stopped by name.

use crate::support::hostile::{HARMLESS, Hostile, calls};

/// The least of WASI that shows everything: functions, resources, and a type of another package.
const WASI: &str = "
    package wasi:random@0.2.3 {
        interface insecure-seed { insecure-seed: func() -> tuple<u64, u64>; }
        interface random { get-random-bytes: func(len: u64) -> list<u8>; }
    }
    package wasi:clocks@0.2.9 {
        interface monotonic-clock { now: func() -> u64; }
        interface wall-clock {
            record datetime { seconds: u64, nanoseconds: u32 }
            now: func() -> datetime;
        }
    }
    package wasi:io@0.2.3 {
        interface error { resource error; }
        interface streams {
            use error.{error};
            variant stream-error { last-operation-failed(error), closed }
            resource output-stream {
                blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
            }
        }
    }
    package wasi:cli@0.2.3 {
        interface environment { get-environment: func() -> list<tuple<string, string>>; }
        interface stderr {
            use wasi:io/streams@0.2.3.{output-stream};
            get-stderr: func() -> output-stream;
        }
        interface stdout {
            use wasi:io/streams@0.2.3.{output-stream};
            get-stdout: func() -> output-stream;
        }
    }
    package wasi:filesystem@0.2.3 {
        interface types { resource descriptor; }
        interface preopens {
            use types.{descriptor};
            get-directories: func() -> list<tuple<descriptor, string>>;
        }
    }";

const FILES: Hostile = Hostile {
    packages: WASI,
    imports: "import wasi:filesystem/preopens@0.2.3;",
    module: r#"(import "wasi:filesystem/preopens@0.2.3" "get-directories" (func $directories (param i32)))"#,
    ..HARMLESS
};

const STANDARD_ERROR: Hostile = Hostile {
    packages: WASI,
    imports: "import wasi:cli/stderr@0.2.3; import wasi:io/streams@0.2.3;",
    module: r#"
        (import "wasi:cli/stderr@0.2.3" "get-stderr" (func $stderr (result i32)))
        (import "wasi:io/streams@0.2.3" "[method]output-stream.blocking-write-and-flush"
            (func $write (param i32 i32 i32 i32)))
        (data (i32.const 4096) "panicked at policy.rs:1:\nno such\1b[2J task\n")"#,
    ..HARMLESS
};

#[test]
fn a_policy_may_import_files_as_long_as_it_calls_for_none() {
    assert_eq!(calls(&FILES), ["ok", "ok", "ok"]);
    assert!(FILES.policy().imports() > 0);
}

#[test]
fn a_call_for_files_is_named_and_ends_that_call_only() {
    let reading = Hostile {
        decide: "(call $directories (i32.const 8192)) i32.const 2048",
        ..FILES
    };
    insta::assert_snapshot!(calls(&reading).join("\n"), @r"
    ok
    `decide` called `wasi:filesystem/preopens#get-directories`, and a policy gets no files, sockets, output or timers: let it work from its arguments alone
    ok
    ");
}

#[test]
fn a_call_for_the_standard_output_is_named_at_the_start_of_the_instance_too() {
    let printing = Hostile {
        packages: WASI,
        imports: "import wasi:cli/stdout@0.2.3;",
        module: r#"(import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
            (func $s (drop (call $stdout))) (start $s)"#,
        ..HARMLESS
    };
    for call in calls(&printing) {
        assert!(
            call.contains("called `wasi:cli/stdout#get-stdout`"),
            "{call}"
        );
    }
}

#[test]
fn clocks_stand_still_chance_is_constant_and_the_environment_is_empty() {
    let asking = Hostile {
        packages: WASI,
        imports: "import wasi:clocks/monotonic-clock@0.2.9; import wasi:clocks/wall-clock@0.2.9;
            import wasi:random/insecure-seed@0.2.3; import wasi:random/random@0.2.3;
            import wasi:cli/environment@0.2.3;",
        module: r#"
            (import "wasi:clocks/monotonic-clock@0.2.9" "now" (func $ticks (result i64)))
            (import "wasi:clocks/wall-clock@0.2.9" "now" (func $time (param i32)))
            (import "wasi:random/insecure-seed@0.2.3" "insecure-seed" (func $seed (param i32)))
            (import "wasi:random/random@0.2.3" "get-random-bytes" (func $bytes (param i64 i32)))
            (import "wasi:cli/environment@0.2.3" "get-environment" (func $environment (param i32)))
            (func $expect (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))"#,
        decide: "
            (call $expect (i64.eqz (call $ticks)))
            (i64.store (i32.const 8192) (i64.const 1))
            (call $time (i32.const 8192))
            (call $expect (i64.eqz (i64.load (i32.const 8192))))
            (call $seed (i32.const 8192))
            (call $expect (i64.eq (i64.load (i32.const 8192)) (i64.load (i32.const 8200))))
            (call $bytes (i64.const 11) (i32.const 8208))
            (call $expect (i32.eq (i32.load (i32.const 8212)) (i32.const 11)))
            (call $expect (i64.eq (i64.load (i32.load (i32.const 8208))) (i64.load (i32.const 8192))))
            (call $environment (i32.const 8208))
            (call $expect (i32.eqz (i32.load (i32.const 8212))))
            i32.const 2048",
        claim_clause: "(call $bytes (i64.const -1) (i32.const 8208)) i32.const 3072",
        ..HARMLESS
    };
    let [_, decide, clause] = calls(&asking);
    assert_eq!(decide, "ok");
    assert!(clause.starts_with("`claim-clause` called `wasi:random/random#get-random-bytes`"));
}

#[test]
fn the_message_of_a_panic_is_told_with_its_trap() {
    let panicking = Hostile {
        decide: "(call $write (call $stderr) (i32.const 4096) (i32.const 42) (i32.const 8192)) unreachable",
        ..STANDARD_ERROR
    };
    let [_, decide, _] = calls(&panicking);
    assert_eq!(
        decide,
        "`decide` trapped, and printed `panicked at policy.rs:1: no such[2J task`: wasm trap: wasm `unreachable` instruction executed"
    );
}

#[test]
fn handles_without_end_are_refused_like_any_other_wish() {
    let collecting = Hostile {
        claim_clause: "(loop $l (drop (call $stderr)) (br $l)) unreachable",
        ..STANDARD_ERROR
    };
    assert!(
        calls(&collecting)[2].starts_with("`claim-clause` called `wasi:cli/stderr#get-stderr`")
    );
}

#[test]
fn an_import_that_only_calls_itself_wasi_is_refused_when_it_is_loaded() {
    let lying = Hostile {
        packages: "package wasi:clocks@0.2.3 { interface wall-clock { now: func() -> string; } }",
        imports: "import wasi:clocks/wall-clock@0.2.3;",
        module: r#"(import "wasi:clocks/wall-clock@0.2.3" "now" (func $time (param i32)))"#,
        decide: "(call $time (i32.const 8192)) i32.const 2048",
        ..HARMLESS
    };
    let error = lying.load().err().unwrap();
    assert_eq!(
        error.to_string(),
        "imports a part of WASI that this host does not know: build it for `wasm32-wasip2`"
    );
}
