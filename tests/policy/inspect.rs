//! What is said of a component that was not run.

use serial_gate::policy::{DEFAULT_POLICY, GUARD, digest, inspect};

use crate::support::Gate;
use crate::support::components::built;

#[test]
fn every_policy_of_this_repository_has_its_version_and_licence_inside() {
    let others = built().iter().map(|built| built.component.as_slice());
    for component in others.chain([DEFAULT_POLICY, GUARD]) {
        let found = inspect(component).unwrap();
        for (key, text) in [
            ("version", env!("CARGO_PKG_VERSION")),
            ("licenses", "Apache-2.0"),
        ] {
            let has = found
                .metadata
                .iter()
                .any(|(name, value)| (name.as_str(), value.as_str()) == (key, text));
            assert!(has, "{key}: {:?}", found.metadata);
        }
        assert_eq!(found.imports, Vec::<String>::new());
        assert_eq!(
            (found.bytes, found.digest),
            (component.len(), digest(component))
        );
    }
    assert!(inspect(DEFAULT_POLICY).unwrap().problem.is_none());
    let problem = inspect(GUARD).unwrap().problem.unwrap().to_string();
    assert!(problem.starts_with("lacks the export"), "{problem}");
}

#[test]
fn what_a_hostile_component_says_of_itself_is_cut_and_shown_on_one_line() {
    // A component with nothing but a long custom section, which has a new line and an escape.
    let text = "1.0\n\u{1b}[31m".to_owned() + &"x".repeat(100_000);
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    let content = [&[7], b"version".as_slice(), text.as_bytes()].concat();
    component.push(0);
    let mut rest = content.len();
    while rest >= 0x80 {
        component.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    component.push(u8::try_from(rest).unwrap());
    component.extend(content);
    let gate = Gate::folder();
    gate.write("odd.wasm", component);
    let said = gate
        .run(&["policy", "inspect", "odd.wasm"])
        .succeeds()
        .stdout;
    assert!(said.contains("no policy    lacks the export"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
    let version = said
        .lines()
        .find(|line| line.trim_start().starts_with("version"));
    assert!(version.is_some_and(|line| line.len() < 400), "{said}");
}

#[test]
fn a_file_that_is_no_component_is_refused() {
    let gate = Gate::folder();
    gate.write("queue.wasm", "SQLite format 3");
    let said = gate
        .run(&["policy", "inspect", "queue.wasm"])
        .exits(1)
        .stderr;
    assert_eq!(
        said,
        "error: `queue.wasm` cannot be a policy\n  because not WebAssembly: give the `.wasm` file of a component\n"
    );
}
