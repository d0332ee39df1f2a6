//! Components that take a compiler minutes or gigabytes, written byte by byte, because no tool
//! writes them.
//!
//! Some exceed a cap and are named after it. The others are below every cap, but exceed the limits
//! of the process that compiles them.

use std::path::PathBuf;

/// A number as WebAssembly has it.
pub fn number(mut number: usize) -> Vec<u8> {
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

pub fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], &number(content.len())[..], content].concat()
}

pub fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    [b"\0asm\x01\0\0\0".to_vec(), sections.concat()].concat()
}

/// Functions without parameters, of these bodies.
pub fn functions(bodies: &[Vec<u8>]) -> Vec<u8> {
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

pub fn of_module(module: &[u8]) -> Vec<u8> {
    component(&[section(1, module)])
}

/// A function whose locals live through nested loops.
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

/// Below every cap, but takes minutes to compile.
pub fn slow() -> Vec<u8> {
    of_module(&functions(&vec![locals_through_loops(100, 200); 400]))
}

/// Components of five kinds, each just below every cap.
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
