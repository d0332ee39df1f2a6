//! Components that take a compiler minutes or gigabytes: each is refused by name, or ended.
//!
//! They are written byte by byte, because no tool would. Those that name no cap are small enough for every cap and too much
//! for the limits of the process that compiles them.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serial_gate::policy::{Allowance, CompileLimits, Compiler, Runtime, Stop};
use serial_gate::queue::with_causes;

use crate::harness::Gate;

/// A number as WebAssembly has it.
fn number(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], &number(content.len())[..], content].concat()
}

fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    [b"\0asm\x01\0\0\0".to_vec(), sections.concat()].concat()
}

/// Functions without parameters, of these bodies.
fn functions(bodies: &[Vec<u8>]) -> Vec<u8> {
    let count = number(bodies.len());
    let code = bodies
        .iter()
        .map(|body| [number(body.len()), body.clone()].concat());
    let code: Vec<Vec<u8>> = code.collect();
    module(&[
        section(1, b"\x01\x60\0\0"),
        section(3, &[count.clone(), vec![0; bodies.len()]].concat()),
        section(10, &[count, code.concat()].concat()),
    ])
}

/// A component of these sections, with an export of the contract's name.
fn component(sections: &[Vec<u8>]) -> Vec<u8> {
    let name = serial_gate::model::INTERFACE.as_bytes();
    let export = [b"\x01\0", &number(name.len())[..], name, b"\x05\0\0"].concat();
    let empty_instance = section(5, b"\x01\x01\0");
    [
        b"\0asm\x0d\0\x01\0".to_vec(),
        sections.concat(),
        empty_instance,
        section(11, &export),
    ]
    .concat()
}

fn of_module(module: &[u8]) -> Vec<u8> {
    component(&[section(1, module)])
}

/// A function whose locals live through loops within one another.
fn locals_through_loops(locals: usize, loops: usize) -> Vec<u8> {
    let mut body = [b"\x01".to_vec(), number(locals), b"\x7e".to_vec()].concat();
    body.extend(b"\x03\x40".repeat(loops));
    for local in 0..locals {
        let local = number(local);
        body.extend([b"\x20", &local[..], b"\x42\x01\x7c\x21", &local[..]].concat());
    }
    for end in 0..loops {
        body.extend([b"\x20", &number(end % locals)[..], b"\xa7\x0d\0\x0b"].concat());
    }
    body.push(0x0b);
    body
}

/// Within every cap, and minutes of compilation.
pub fn slow() -> Vec<u8> {
    of_module(&functions(&vec![locals_through_loops(100, 200); 400]))
}

/// Components of five kinds, each within every cap by little.
pub fn admitted() -> Vec<(&'static str, Vec<u8>)> {
    let one_function = |body: Vec<u8>| of_module(&functions(&[body]));
    let adds = [b"\0".to_vec(), b"\x41\0\x1a".repeat(690_000), vec![0x0b]].concat();
    let blocks = [b"\0".to_vec(), b"\x02\x40".repeat(3_900), vec![0x0b; 3_901]].concat();
    let table = [
        b"\0\x02\x40\x41\0\x0e".to_vec(),
        number(90_000),
        vec![0; 90_001],
        b"\x0b\x0b".to_vec(),
    ]
    .concat();
    vec![
        ("locals through loops, 400 functions", slow()),
        (
            "100,000 functions",
            of_module(&functions(&vec![vec![0, 0x0b]; 100_000])),
        ),
        (
            "bodies of 2 MB, 8 functions",
            of_module(&functions(&vec![adds; 8])),
        ),
        ("blocks within one another", one_function(blocks)),
        ("a `br_table` of 90,000 targets", one_function(table)),
    ]
}

/// Components that a cap refuses, each with the cap's name.
pub fn refused() -> Vec<(&'static str, Vec<u8>)> {
    let one_function = |body: Vec<u8>| of_module(&functions(&[body]));
    let within = |component: Vec<u8>| {
        (0..100).fold(component, |inner, _| {
            [b"\0asm\x0d\0\x01\0".to_vec(), section(4, &inner)].concat()
        })
    };
    let many = |id: u8, count: usize, one: &[u8]| {
        of_module(&module(&[section(
            id,
            &[number(count), one.repeat(count)].concat(),
        )]))
    };
    let elements = [b"\x01\x01\0".to_vec(), number(900_000), vec![0; 900_000]].concat();
    vec![
        (
            "locals in one function",
            one_function(locals_through_loops(5_000, 2_000)),
        ),
        (
            "locals in one function times its loops within one another",
            one_function(locals_through_loops(1_000, 100)),
        ),
        (
            "bytes in one function",
            one_function([b"\0".to_vec(), b"\x41\0\x1a".repeat(800_000), vec![0x0b]].concat()),
        ),
        (
            "targets of `br_table` in one function",
            one_function(
                [
                    b"\0\x02\x40\x41\0\x0e".to_vec(),
                    number(200_000),
                    vec![0; 200_001],
                    b"\x0b\x0b".to_vec(),
                ]
                .concat(),
            ),
        ),
        (
            "blocks within one another in one function",
            one_function(
                [
                    b"\0".to_vec(),
                    b"\x02\x40".repeat(50_000),
                    vec![0x0b; 50_001],
                ]
                .concat(),
            ),
        ),
        (
            "loops within one another in one function",
            one_function([b"\0".to_vec(), b"\x03\x40".repeat(300), vec![0x0b; 301]].concat()),
        ),
        (
            "functions",
            of_module(&functions(&vec![vec![0, 0x0b]; 400_000])),
        ),
        ("types", many(1, 500_000, b"\x60\0\0")),
        ("globals", many(6, 100_000, b"\x7f\0\x41\0\x0b")),
        ("entries in its tables", many(4, 50, b"\x70\0\xa0\x9c\x01")),
        (
            "entries in its element segments",
            of_module(&module(&[
                section(1, b"\x01\x60\0\0"),
                section(3, b"\x01\0"),
                section(9, &elements),
            ])),
        ),
        (
            "data segments",
            of_module(&module(&[
                section(5, b"\x01\0\x01"),
                section(11, &[number(90_000), b"\x01\0".repeat(90_000)].concat()),
            ])),
        ),
        (
            "modules and components",
            component(&vec![section(1, &module(&[])); 900]),
        ),
        (
            "instances",
            component(&[
                section(1, &module(&[])),
                section(2, &[number(1_100), b"\0\0\0".repeat(1_100)].concat()),
            ]),
        ),
        (
            "levels of components within components",
            within(component(&[])),
        ),
        (
            "bytes",
            component(&[section(0, &[b"\x01x".to_vec(), vec![0; 40 << 20]].concat())]),
        ),
    ]
}

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
            "the process that compiled the policy ended with exit status: 3, and said `"
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

/// The processes that a process has started to compile policies.
#[cfg(target_os = "linux")]
pub fn compilers_of(parent: u32) -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let is_one = |path: &PathBuf| {
        let line = std::fs::read_to_string(path.join("cmdline")).unwrap_or_default();
        line.contains("compile-policy") && line.contains(&format!("--parent={parent}\0"))
    };
    processes
        .filter_map(|process| Some(process.ok()?.path()))
        .filter(is_one)
        .collect()
}

/// Waits for something that comes sooner or later.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(50), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
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
