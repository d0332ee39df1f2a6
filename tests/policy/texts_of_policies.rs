//! What a policy says to people: refused at the check where it would do more than be read, and
//! harmless in use.

use crate::support::Gate;
use crate::support::hostile::DECIDE_ALL;
use crate::support::hostile::queue_of;
use crate::support::hostile::{HARMLESS, Hostile};
use crate::support::service::Service;

/// A policy that lets every job through, with notes of these places and lengths behind address
/// 4096.
fn noting(notes: &[(usize, usize)], data: &str) -> Vec<u8> {
    let list: String = (0..)
        .zip(notes)
        .map(|(at, (place, length))| {
            let row = 3200 + 8 * at;
            format!(
                "(i32.store (i32.const {row}) (i32.const {place})) (i32.store (i32.const {}) (i32.const {length}))",
                row + 4
            )
        })
        .collect();
    let answer = format!(
        "{list} (i32.store (i32.const 3088) (i32.const 3200)) (i32.store (i32.const 3092) (i32.const {})) i32.const 3072",
        notes.len()
    );
    let module = format!(r#"(global $verdict i32 (i32.const 0)) (data (i32.const 4096) "{data}")"#);
    Hostile {
        decide: DECIDE_ALL,
        claim_clause: answer.leak(),
        module: module.leak(),
        ..HARMLESS
    }
    .component()
}

/// A policy with these texts as its name, version and summary.
fn described(name: &str, version: &str, summary: &str) -> Vec<u8> {
    let mut at = 4096;
    let mut place = |row: usize, text: &str| {
        let stored = format!(
            "(i32.store (i32.const {row}) (i32.const {at})) (i32.store (i32.const {}) (i32.const {}))",
            row + 4,
            text.len()
        );
        at += text.len();
        stored
    };
    let describe = [
        place(1024, name),
        place(1032, version),
        place(1040, summary),
        "i32.const 1024".into(),
    ]
    .concat();
    let bytes: String = [name, version, summary]
        .concat()
        .bytes()
        .map(|byte| format!("\\{byte:02x}"))
        .collect();
    let module =
        format!(r#"(global $verdict i32 (i32.const 0)) (data (i32.const 4096) "{bytes}")"#);
    Hostile {
        describe: describe.leak(),
        decide: DECIDE_ALL,
        module: module.leak(),
        ..HARMLESS
    }
    .component()
}

/// Holds each job, with a reason of this text.
fn holding(reason: &str) -> Vec<u8> {
    let bytes: String = reason.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let decide = DECIDE_ALL.replace(
        "(i32.store8 offset=8 (local.get $out) (global.get $verdict))",
        &format!(
            "(i32.store8 offset=8 (local.get $out) (i32.const 1))
             (i32.store8 offset=48 (local.get $out) (i32.const 1))
             (i32.store offset=52 (local.get $out) (i32.const 4200))
             (i32.store offset=56 (local.get $out) (i32.const {}))",
            reason.len()
        ),
    );
    let module =
        format!(r#"(data (i32.const 4096) "AND FALSE") (data (i32.const 4200) "{bytes}")"#);
    Hostile {
        decide: decide.leak(),
        claim_clause: clause_at_4096(9),
        module: module.leak(),
        ..HARMLESS
    }
    .component()
}

fn clause_at_4096(length: usize) -> &'static str {
    format!(
        "(i32.store (i32.const 3080) (i32.const 4096)) (i32.store (i32.const 3084) (i32.const {length})) i32.const 3072"
    )
    .leak()
}

/// The stage that refuses a policy, and why, without the state.
fn refusal(component: &[u8]) -> String {
    let gate = Gate::folder();
    gate.write("policy.wasm", component);
    let ran = gate.run(&["policy", "check", "policy.wasm"]).exits(1);
    let last = ran.stdout.lines().last().unwrap().to_owned();
    last.split(", in the state").next().unwrap().to_owned()
}

#[test]
fn notes_that_do_not_print_are_too_long_or_too_many_are_refused() {
    let good = noting(&[(4096, 4)], "fine");
    let gate = Gate::folder();
    gate.write("policy.wasm", good);
    gate.run(&["policy", "check", "policy.wasm"]).succeeds();
    insta::assert_snapshot!(refusal(&noting(&[(4096, 1), (4096, 3)], "a\\0ab")), @r#"clause       refused  note 2 holds `\u{a}`, which does not print: write one line of visible letters"#);
    insta::assert_snapshot!(refusal(&noting(&[(4096, 4)], "a\\e2\\80\\ae")), @r#"clause       refused  note 1 holds `\u{202e}`, which does not print: write one line of visible letters"#);
    insta::assert_snapshot!(refusal(&noting(&[(4096, 301)], &"x".repeat(301))), @"clause       refused  note 1 has 301 letters, and may have 300: shorten it");
    insta::assert_snapshot!(refusal(&noting(&[(4096, 1); 17], "x")), @"clause       refused  the clause has 17 notes, and 16 at most are shown: put what they say into fewer");
}

#[test]
fn a_description_that_does_not_print_or_is_too_long_is_refused() {
    insta::assert_snapshot!(refusal(&described("a\u{1b}[2J", "1", "s")), @r#"contract     refused  the `name` holds `\u{1b}`, which does not print: write one line of visible letters"#);
    insta::assert_snapshot!(refusal(&described("a", "1\n2", "s")), @r#"contract     refused  the `version` holds `\u{a}`, which does not print: write one line of visible letters"#);
    insta::assert_snapshot!(refusal(&described("a", "1", "one\u{2028}two")), @r#"contract     refused  the `summary` holds `\u{2028}`, which does not print: write one line of visible letters"#);
    insta::assert_snapshot!(refusal(&described(&"n".repeat(65), "1", "s")), @"contract     refused  the `name` has 65 letters, and may have 64: shorten it");
}

#[test]
fn a_reason_of_a_hold_that_does_not_print_or_is_too_long_is_refused() {
    insta::assert_snapshot!(refusal(&holding("no\nway")), @r#"decisions    refused  the reason of the hold of job 2 holds `\u{a}`, which does not print: write one line of visible letters"#);
    insta::assert_snapshot!(refusal(&holding(&"x".repeat(301))), @"decisions    refused  the reason of the hold of job 2 has 301 letters, and may have 300: shorten it");
}

#[test]
fn a_note_that_comes_later_is_one_line_of_the_log() {
    let forged = "x\\0a2026-01-01T00:00:00Z ERROR forged\\0d\\e2\\80\\aey";
    let length = forged
        .replace("\\0a", "1")
        .replace("\\0d", "1")
        .replace("\\e2\\80\\ae", "123")
        .len();
    let gate = queue_of(&noting(&[(4096, length)], forged));
    gate.run(&["task", "add", "alpha"]).succeeds();
    let said = gate.run(&["claim"]).succeeds().stderr;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 1, "{said:?}");
    assert!(
        lines[0].contains(r"x\u{a}2026-01-01T00:00:00Z ERROR forged\u{d}\u{202e}y"),
        "{said:?}"
    );
}

#[test]
fn many_and_long_notes_are_cut_in_use() {
    let gate = queue_of(&noting(&[(4096, 2000); 40], &"y".repeat(2000)));
    let state = gate.run(&["queue", "--json"]).succeeds().json();
    let notes = state["notes"].as_array().unwrap();
    assert_eq!(notes.len(), 17);
    assert_eq!(notes[0].as_str().unwrap().chars().count(), 301);
    assert_eq!(notes[16], "the policy has 24 more notes");
}

#[test]
fn a_reason_that_comes_later_is_escaped_wherever_it_is_shown() {
    let gate = queue_of(&holding("no\u{1b}[2J\n\u{202e}<script>way"));
    gate.run(&["task", "add", "alpha"]).succeeds();
    let shown = r"no\u{1b}[2J\u{a}\u{202e}<script>way";
    for verb in [&["queue"][..], &["explain", "1"]] {
        let ran = gate.run(verb);
        assert!(ran.stdout.contains(shown), "{}", ran.stdout);
    }
    let state = gate.run(&["queue", "--json"]).json();
    let hold = &state["per_repo"]["alpha"]["waiting"][0]["verdict"]["hold"];
    assert_eq!(hold["rule"], shown);
    let service = Service::on(gate);
    let page = service.get("/repo?name=alpha").is(200).text;
    assert!(
        !page.contains("<script>way") && !page.contains('\u{202e}'),
        "{page}"
    );
    assert!(page.contains("way"), "{page}");
}
