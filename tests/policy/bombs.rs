//! Components that take a compiler minutes or gigabytes: each is refused by name, or ended.

use std::os::unix::fs::PermissionsExt;
use std::sync::Barrier;
use std::time::Duration;

use serial_gate::error::with_causes;
use serial_gate::policy::{Allowance, CompileLimits, Compiler, Runtime, Stop};

use crate::support::Gate;
use crate::support::bombs::{compilers_of, functions, of_module, refused, slow};
use crate::support::look::until;

/// The binary as a compiler.
fn compiler(limits: CompileLimits) -> Runtime {
    let program = env!("CARGO_BIN_EXE_serial-gate");
    Runtime::with_compiler(Some(Compiler::new(program, limits)))
}

fn error(runtime: &Runtime, component: &[u8]) -> String {
    let loaded = runtime.load(component, Allowance::default());
    with_causes(&loaded.err().unwrap())
}

/// A program that is started instead of the compiler.
fn script(gate: &Gate, lines: &str) -> Runtime {
    let path = gate.path("compiler");
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
    Runtime::with_compiler(Some(Compiler::new(path, CompileLimits::default())))
}

#[test]
fn what_no_compiler_should_be_given_is_refused_by_name() {
    for (what, bomb) in refused() {
        let error = error(&Runtime::new().unwrap(), &bomb);
        let (found, most) = error.split_once(&format!(" {what}, and ")).expect(&error);
        assert!(
            found.starts_with("the policy has ") && most.contains(" are the most: "),
            "{error}"
        );
    }
}

#[test]
fn the_check_of_the_command_line_says_the_same_and_what_to_do() {
    let gate = Gate::empty();
    let (_, bomb) = refused().swap_remove(0);
    gate.write("bomb.wasm", bomb);
    let ran = gate.run(&["policy", "check", "bomb.wasm"]).exits(1);
    insta::assert_snapshot!(ran.stdout, @"contract     refused  the policy has 5,000 locals in one function, and 4,000 are the most: build it with optimisation, or split that function");
}

#[test]
fn a_swap_to_it_changes_nothing() {
    let gate = Gate::new();
    let (_, bomb) = refused().swap_remove(0);
    gate.write("bomb.wasm", bomb);
    let ran = gate.run(&["policy", "swap", "bomb.wasm", "--reason", "why"]);
    assert!(ran.exits(1).stderr.contains("5,000 locals"));
    let history = gate.run(&["policy", "history", "--json"]).succeeds();
    assert_eq!(history.json_lines().len(), 1);
}

#[test]
fn what_takes_longer_than_the_deadline_is_ended() {
    let runtime = compiler(CompileLimits {
        time: Duration::from_secs(1),
        ..CompileLimits::default()
    });
    insta::assert_snapshot!(error(&runtime, &slow()), @"compiling the policy took more than 1 s and was stopped: build it smaller or with optimisation");
}

#[test]
fn what_takes_more_memory_than_it_may_is_ended() {
    let runtime = compiler(CompileLimits {
        memory: 40 << 20,
        ..CompileLimits::default()
    });
    let many = of_module(&functions(&vec![vec![0, 0x0b]; 100_000]));
    insta::assert_snapshot!(error(&runtime, &many), @"compiling the policy took more than 40 MiB of memory and was stopped: build it smaller or with optimisation");
}

#[test]
fn a_component_that_does_not_compile_is_refused_in_the_compiler_s_words() {
    let runtime = compiler(CompileLimits::default());
    // It takes a value from an empty stack.
    let broken = of_module(&functions(&[vec![0, 0x1a, 0x0b]]));
    let error = error(&runtime, &broken);
    assert!(
        error.starts_with("the component does not compile: "),
        "{error}"
    );
    assert!(
        error.contains("expected a type but nothing on stack"),
        "{error}"
    );
}

#[test]
fn a_compilation_that_nobody_wants_any_more_ends() {
    let runtime = compiler(CompileLimits::default());
    let stop = Stop::default();
    let wanted = runtime.until(stop.clone());
    let (bomb, begun) = (slow(), Barrier::new(2));
    let error = std::thread::scope(|scope| {
        let loading = scope.spawn(|| {
            begun.wait();
            error(&wanted, &bomb)
        });
        begun.wait();
        stop.tell();
        loading.join().unwrap()
    });
    insta::assert_snapshot!(error, @"stopped before it was done, because its process ends or its caller is gone: try again");
}

#[test]
fn the_compiler_gets_no_secret_of_its_caller() {
    let gate = Gate::empty();
    let runtime = script(&gate, "env >&2; ls -l /proc/self/fd/ >&2; exit 3");
    let error = error(&runtime, &slow());
    assert!(
        error.starts_with(
            "the process that compiled the policy ended with exit status: 3, and printed `"
        ),
        "{error}"
    );
    assert!(error.contains("RAYON_NUM_THREADS="), "{error}");
    assert!(
        !error.contains("HOME=") && !error.contains("CARGO"),
        "{error}"
    );
}

#[test]
fn what_the_compiler_says_at_its_end_is_bounded() {
    let gate = Gate::empty();
    let runtime = script(&gate, "yes noise | head -c 3000000 >&2; exit 1");
    let error = error(&runtime, &slow());
    assert!(error.len() < 5_000, "{}", error.len());
}

#[test]
fn without_a_compiler_nothing_is_compiled_in_this_process_instead() {
    let compiler = Compiler::new("/nowhere/compiler", CompileLimits::default());
    let error = error(&Runtime::with_compiler(Some(compiler)), &slow());
    insta::assert_snapshot!(error, @"no process can be started to compile the policy: No such file or directory (os error 2)");
}

#[test]
fn a_failure_is_remembered_for_claims_and_tried_again_for_an_operator() {
    let gate = Gate::empty();
    let log = gate.path("starts").display().to_string();
    let runtime = script(&gate, &format!("echo started >> {log}; exit 3"));
    let starts = || std::fs::read_to_string(&log).unwrap().lines().count();
    let first = error(&runtime, &slow());
    assert_eq!((error(&runtime, &slow()), starts()), (first, 1));
    error(&runtime.until(Stop::default()), &slow());
    assert_eq!(starts(), 2);
}

#[test]
#[cfg(target_os = "linux")]
fn a_command_that_is_killed_takes_its_compiler_along() {
    let gate = Gate::empty();
    gate.write("slow.wasm", slow());
    let mut command = gate.spawn(&["policy", "check", "slow.wasm"]);
    let parent = command.id();
    until("it compiles", || !compilers_of(parent).is_empty());
    command.kill().unwrap();
    command.wait().unwrap();
    until("the compiler is gone", || compilers_of(parent).is_empty());
}
