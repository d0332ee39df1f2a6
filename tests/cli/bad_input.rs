//! Bad input is refused with a message that says what to do, and nothing changes.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;

use crate::support::look::count;
use crate::support::{Gate, fixtures};

#[track_caller]
fn refused(gate: &Gate, arguments: &[&str], message: &str) {
    let content = || gate.is_there().then(|| gate.content());
    let before = content();
    let ran = gate.run(arguments).exits(1);
    assert_eq!(ran.stderr, format!("error: {message}\n"));
    assert_eq!(ran.stdout, "");
    assert!(content() == before, "the database was changed");
}

#[test]
fn an_unknown_job_or_task() {
    let gate = Gate::new();
    let no_job = "there is no job 7: `serial-gate job list` lists them";
    refused(&gate, &["explain", "7"], no_job);
    refused(&gate, &["job", "finish", "7", "--token", "1"], no_job);
    refused(&gate, &["job", "fail", "7", "--token", "1"], no_job);
    refused(&gate, &["job", "heartbeat", "7", "--token", "1"], no_job);
    refused(&gate, &["job", "requeue", "7"], no_job);
    let no_task = "there is no task 7: `serial-gate task list` lists them";
    refused(&gate, &["task", "done", "7"], no_task);
    refused(&gate, &["task", "stage", "7", "review"], no_task);
    refused(&gate, &["job", "add", "7", "developer"], no_task);
}

#[test]
fn a_remedy_is_on_the_same_database() {
    let gate = Gate::new();
    gate.run(&["--db", "my queue.db", "init"]).succeeds();
    for (arguments, command) in [
        (&["explain", "7"][..], "job list"),
        (&["policy", "show", "7"], "policy history"),
        (&["token", "revoke", "none"], "token list"),
        (&["alerts", "retry", "7"], "alerts"),
    ] {
        let ran = gate
            .run(&[&["--db", "my queue.db"], arguments].concat())
            .exits(1);
        let remedy = format!("`serial-gate --db 'my queue.db' {command}` lists");
        assert!(ran.stderr.contains(&remedy), "{}", ran.stderr);
    }
}

#[test]
fn tasks_are_done_all_or_none() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    refused(
        &gate,
        &["task", "done", "1", "7"],
        "there is no task 7: `serial-gate task list` lists them",
    );
    assert_eq!(
        gate.run(&["repo", "alpha", "--json"]).succeeds().json()["active_task"]["stage"],
        "analysis"
    );
}

#[test]
fn an_empty_name() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    refused(
        &gate,
        &["task", "add", ""],
        "the repo is empty: give it a name",
    );
    refused(
        &gate,
        &["freeze", "", "--reason", "r"],
        "the repo is empty: give it a name",
    );
    refused(
        &gate,
        &["unfreeze", ""],
        "the repo is empty: give it a name",
    );
    refused(
        &gate,
        &["task", "stage", "1", ""],
        "the stage is empty: give it a name",
    );
    refused(
        &gate,
        &["job", "add", "1", ""],
        "the agent is empty: give it a name",
    );
}

#[test]
fn a_job_in_the_wrong_state() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    refused(
        &gate,
        &["job", "requeue", "1"],
        "job 1 is `queued`, and only a running, failed or cancelled job can be requeued",
    );
}

#[test]
fn no_database() {
    let gate = Gate::empty();
    let database = gate.path("serial-gate.db");
    let folder = database.parent().unwrap().display();
    let missing = format!(
        "there is no database `serial-gate.db`: create it in this folder (`{folder}`) with \
         `serial-gate init`, or name another with `--db PATH`"
    );
    refused(&gate, &["queue"], &missing);
    refused(
        &gate,
        &["--db", "other.db", "queue"],
        "there is no database `other.db`: create it with `serial-gate --db other.db init`, or name another with `--db PATH`",
    );
}

#[test]
fn a_database_that_is_not_prepared() {
    let gate = Gate::empty();
    gate.program()
        .run("CREATE TABLE tasks (id INTEGER PRIMARY KEY, repo, stage)");
    refused(
        &gate,
        &["claim"],
        "`serial-gate.db` is not prepared for the serial gate: `serial-gate --db serial-gate.db init` adds what is missing, or says why it cannot",
    );
}

#[test]
fn a_file_that_is_not_sqlite() {
    let gate = Gate::empty();
    gate.write(
        "serial-gate.db",
        "this is a text of more than a few bytes, and no database at all. ".repeat(20),
    );
    let message = "`serial-gate.db` is not a SQLite database: name another file with `--db PATH`";
    refused(&gate, &["init"], message);
    refused(&gate, &["claim"], message);
}

#[test]
fn a_folder_that_does_not_exist() {
    let ran = Gate::empty()
        .run(&["--db", "no/such/folder.db", "init"])
        .exits(1);
    assert!(
        ran.stderr.starts_with(
            "error: cannot open `no/such/folder.db`: does its folder exist, and may you write there?\n"
        ),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_folder_in_the_place_of_a_database() {
    let gate = Gate::empty();
    for verb in ["init", "queue"] {
        let ran = gate.run(&["--db", ".", verb]).exits(1);
        assert_eq!(
            ran.stderr,
            "error: `.` is a folder: name the database file in it, such as `./serial-gate.db`\n"
        );
    }
}

#[test]
fn a_file_that_cannot_be_read() {
    let gate = Gate::new();
    let ran = gate.run(&["clause", "--check", "none.sql"]).exits(1);
    insta::assert_snapshot!(ran.stderr, @r"
    error: cannot read `none.sql`: check the path
      because no such file or directory
    ");
    let files: [&[&str]; 8] = [
        &["conform", "none"],
        &["policy", "replay", "built-in", "--from", "none"],
        &["policy", "check", "none"],
        &["policy", "swap", "none", "--reason", "r"],
        &["policy", "sign", "none", "--key", "none"],
        &["policy", "fixtures", "add", "none"],
        &["conform", "--policy", "none", "none"],
        &["--trust", "none.pub", "queue"],
    ];
    for arguments in files {
        let ran = gate.run(arguments).exits(1);
        let is_told =
            ran.stderr.contains("cannot read `none") && ran.stderr.contains(": check the path\n");
        assert!(is_told, "{arguments:?}: {}", ran.stderr);
    }
    gate.write("latin-1", b"caf\xe9");
    let ran = gate.run(&["conform", "latin-1"]).exits(1);
    assert!(
        ran.stderr
            .contains("cannot read `latin-1`: save it as UTF-8\n"),
        "{}",
        ran.stderr
    );
    let ran = gate.run(&["policy", "check", "."]).exits(1);
    insta::assert_snapshot!(ran.stderr, @r"
    error: cannot read `.`: name a file in this folder
      because is a directory
    ");
}

#[test]
fn a_flag_that_a_verb_does_not_have_gets_a_tip_that_helps() {
    let gate = Gate::new();
    for (arguments, tip) in [
        (
            &["queue", "--repo", "alpha"][..],
            "tip: `serial-gate repo REPO` shows one repo",
        ),
        (
            &["job", "add", "1", "--agent", "x"],
            "tip: here the agent is an argument",
        ),
    ] {
        let said = gate.run(arguments).exits(2).stderr;
        assert!(said.contains(tip), "{said}");
        assert!(
            !said.contains("--repos'") && !said.contains("as a value"),
            "{said}"
        );
    }
}

#[test]
fn a_read_only_database() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    set_permissions(gate.database(), Permissions::from_mode(0o444)).unwrap();
    set_permissions(gate.path(""), Permissions::from_mode(0o555)).unwrap();
    let binary = env!("CARGO_BIN_EXE_serial-gate");
    // Root may write anywhere, unless it gives that up.
    let as_owner = if is_root() {
        "setpriv --bounding-set -dac_override,-dac_read_search"
    } else {
        ""
    };
    let ran = gate.run_in_shell(&format!("{as_owner} {binary} task add beta"));
    set_permissions(gate.path(""), Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        ran.stderr,
        "error: `serial-gate.db` is read-only: make the file and its folder writable for this user\n"
    );
    assert_eq!(ran.code, Some(1));
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// On a small disk, adds tasks with long names until one is refused, and looks at the remaining ones.
const FILL_AND_LOOK: &str = "
    mkdir disk && mount -t tmpfs -o size=2m tmpfs disk && cd disk || exit 7
    $BINARY init >/dev/null || exit 8
    name=$(head -c 20000 /dev/zero | tr '\\0' x); added=0
    while $BINARY task add alpha --work-item $name >>../out 2>&1; do added=$((added + 1)); done
    tail -n 1 ../out
    $BINARY queue --json >../state || exit 9
    kept=$(grep -o verdict ../state | wc -l)
    [ $added -gt 0 ] && [ $added -eq $kept ] && echo all $added are there";

#[test]
fn a_full_disk() {
    let gate = Gate::empty();
    let binary = env!("CARGO_BIN_EXE_serial-gate");
    // A disk of 2 MiB, which only this process sees and which is gone with it.
    gate.write("fill.sh", FILL_AND_LOOK);
    let ran = gate.run_in_shell(&format!("BINARY={binary} unshare --mount sh ./fill.sh"));
    if ran.code == Some(7) || ran.stderr.contains("unshare") {
        eprintln!(
            "not tested: this user may not mount a small disk: {}",
            ran.stderr
        );
        return;
    }
    assert!(
        ran.stdout
            .contains("the disk of `serial-gate.db` is full: free some space"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    assert!(
        ran.stdout.contains("are there"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
}

#[test]
fn a_limit_on_the_size_of_files() {
    let gate = Gate::new();
    let size = std::fs::metadata(gate.database()).unwrap().len();
    let blocks = size.div_ceil(512) + 8;
    let name = "x".repeat(100_000);
    let binary = env!("CARGO_BIN_EXE_serial-gate");
    let ran = gate.run_in_shell(&format!(
        "trap '' XFSZ; ulimit -f {blocks}; {binary} task add {name}"
    ));
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stderr
            .contains("size limits of this process; nothing was changed"),
        "{}",
        ran.stderr
    );
    assert_eq!(count(&gate, "tasks"), 0);
}

#[test]
fn a_fixture_line_that_is_no_case_is_named_before_any_case_runs() {
    let gate = Gate::empty();
    let good = std::fs::read_to_string(fixtures("edge.jsonl")).unwrap();
    let good = good.lines().next().unwrap();
    gate.write("cases.jsonl", format!("{good}\n\n{{\"case\": oops\n"));
    refused(
        &gate,
        &["conform", "cases.jsonl"],
        "line 3 of `cases.jsonl` is not a conformance case: expected value at line 1 column 10",
    );
    gate.write(
        "cases.jsonl",
        "{\"case\": {\"faults\": {}}, \"expected\": {}}",
    );
    let ran = gate.run(&["conform", "cases.jsonl"]).exits(1);
    assert!(
        ran.stderr.contains("line 1 of `cases.jsonl`")
            && ran.stderr.contains("unknown field `faults`")
    );
}

fn policy_refused(wasm: &[u8]) -> String {
    let gate = Gate::empty();
    gate.write("policy.wasm", wasm);
    let edge = fixtures("edge.jsonl");
    let ran = gate
        .run(&["conform", edge.to_str().unwrap(), "--policy", "policy.wasm"])
        .exits(1);
    assert_eq!(ran.stdout, "", "no case may run");
    ran.stderr
}

#[test]
fn a_policy_file_that_is_not_a_component() {
    insta::assert_snapshot!(policy_refused(b"#!/bin/sh"), @r"
    error: `policy.wasm` is no policy
      because not WebAssembly: give the `.wasm` file of a component
    ");
}

#[test]
fn a_policy_file_that_is_a_core_module() {
    insta::assert_snapshot!(policy_refused(&wat::parse_str("(module)").unwrap()), @r"
    error: `policy.wasm` is no policy
      because a core module, not a component: build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`
    ");
}

#[test]
fn a_component_that_lacks_the_interface() {
    insta::assert_snapshot!(policy_refused(&wat::parse_str("(component)").unwrap()), @r"
    error: `policy.wasm` is no policy
      because lacks the export `serial-gate:policy/serial-gate@0.4.0`: implement `wit/serial-gate.wit`
    ");
}

#[test]
fn a_component_for_another_version_of_the_contract() {
    let other = r#"(component (instance $empty) (export "serial-gate:policy/serial-gate@0.9.0" (instance $empty)))"#;
    insta::assert_snapshot!(policy_refused(&wat::parse_str(other).unwrap()), @r"
    error: `policy.wasm` is no policy
      because is built for version 0.9.0 of the contract, and this host runs 0.4.0: build it again with the `wit/serial-gate.wit` of this host
    ");
}

#[test]
fn a_component_that_lacks_a_function() {
    let empty = r#"(component (instance $empty) (export "serial-gate:policy/serial-gate@0.4.0" (instance $empty)))"#;
    insta::assert_snapshot!(policy_refused(&wat::parse_str(empty).unwrap()), @r"
    error: `policy.wasm` is no policy
      because lacks the function `describe` in its export `serial-gate:policy/serial-gate@0.4.0`: implement `wit/serial-gate.wit`
    ");
}

#[test]
fn a_component_with_a_function_of_another_type() {
    let other = r#"(component
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (instance $exports (export "describe" (func $f)) (export "decide" (func $f)) (export "claim-clause" (func $f)))
        (export "serial-gate:policy/serial-gate@0.4.0" (instance $exports)))"#;
    insta::assert_snapshot!(policy_refused(&wat::parse_str(other).unwrap()), @r"
    error: `policy.wasm` is no policy
      because `describe` differs from `serial-gate:policy/serial-gate@0.4.0`: build the policy against that version of `wit/serial-gate.wit`
      because type mismatch with results
      because expected 1-tuple, found 0-tuple
    ");
}

#[test]
fn a_component_that_imports_what_is_not_wasi() {
    let importing = r#"(component (import "acme:queue/store@1.0.0" (instance))
        (import "wasi:clocks/wall-clock@0.2.0" (instance)))"#;
    insta::assert_snapshot!(policy_refused(&wat::parse_str(importing).unwrap()), @r"
    error: `policy.wasm` is no policy
      because imports `acme:queue/store@1.0.0`, and a policy gets no imports but WASI's: let it work from its arguments alone
    ");
}

#[test]
fn a_configuration_with_an_unknown_key() {
    let gate = Gate::new();
    gate.write("serial-gate.toml", "enabeld = true\n");
    let ran = gate.run(&["queue"]).exits(1);
    assert!(
        ran.stderr
            .contains("`serial-gate.toml`, line 1, is not a configuration")
            && ran.stderr.contains("unknown field `enabeld`")
    );
}

#[test]
fn usage_errors_have_their_own_exit_code() {
    let gate = Gate::new();
    for arguments in [
        &["claim", "--max", "0"][..],
        &["freeze", "alpha"],
        &["explain", ""],
        &["--lease", "soon", "claim"],
    ] {
        gate.run(arguments).exits(2);
    }
}

#[test]
fn a_mandatory_reason_is_not_blank() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    for arguments in [
        &["freeze", "alpha", "--reason", " "][..],
        &["freeze", "--all", "--reason", ""],
        &["policy", "settings", "--reason", "\t"],
    ] {
        let ran = gate.run(arguments).exits(2);
        assert!(ran.stderr.contains("blank: say why"), "{}", ran.stderr);
    }
    refused(
        &gate,
        &["task", "done", "1", "--unmerged", "--reason", " "],
        "`--unmerged` needs a reason, and `--reason` is blank: say why",
    );
}

#[test]
fn nothing_is_cleared_that_never_was() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    refused(
        &gate,
        &["unfreeze", "--group", "7"],
        "there is no group of freezes 7",
    );
    let frozen = gate
        .run(&["freeze", "--all", "--reason", "r", "--json"])
        .succeeds();
    let group = frozen.json()["group"].to_string();
    for _ in 0..2 {
        gate.run(&["unfreeze", "--group", &group]).succeeds();
    }
    let before = gate.run(&["audit", "--json"]).succeeds().stdout;
    let cleared = gate.run(&["pipeline", "clear"]).succeeds();
    assert!(
        cleared
            .stdout
            .contains("there was no pipeline: nothing was changed")
    );
    assert_eq!(gate.run(&["audit", "--json"]).succeeds().stdout, before);
}

#[test]
fn a_value_that_cannot_be_used_is_refused_with_what_to_write() {
    let gate = Gate::new();
    for (arguments, said) in [
        (
            &["claim", "--max", "0"][..],
            "write a whole number, 1 or more",
        ),
        (
            &["work", "--max", "x", "--", "true"],
            "write a whole number, 1 or more",
        ),
        (
            &["task", "list", "--limit", "99999999999"],
            "this number is too high",
        ),
        (
            &["task", "list", "--limit=-1"],
            "write a whole number, 1 or more",
        ),
        (&["job", "list", "--before", "x"], "write its number"),
        (
            &["unfreeze", "--group", "99999999999999999999"],
            "no number here is that high",
        ),
        (
            &["pipeline", "set", "a=b", "--attempts", "101"],
            "write a whole number from 1 to 100",
        ),
        (
            &[
                "freeze",
                "a",
                "--reason",
                "r",
                "--until",
                "2020-01-01T00:00:00Z",
            ],
            "`2020-01-01T00:00:00Z` is in the past: give a later time",
        ),
    ] {
        let ran = gate.run(arguments).exits(2);
        assert!(ran.stderr.contains(said), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn a_name_that_is_suggested_is_the_task_that_is_meant() {
    let gate = Gate::new();
    for item in ["12", "item:7", "A-7", "-1"] {
        gate.run(&["task", "add", "alpha", &format!("--work-item={item}")])
            .succeeds();
    }
    for (name, said) in [
        (
            "12",
            "there is no task 12: for the work item, write `item:12`",
        ),
        ("12a", "did you mean `item:12`?"),
        ("item:A-8", "did you mean `item:A-7`?"),
        ("A-8", "did you mean `A-7`?"),
        ("item:item:8", "did you mean `item:item:7`?"),
    ] {
        let ran = gate.run(&["task", "show", name]).exits(1);
        assert!(ran.stderr.contains(said), "{name}: {}", ran.stderr);
    }
    for (name, task) in [("-1", 4), ("item:item:7", 2), ("item:12", 1)] {
        let shown = gate.run(&["task", "show", name, "--json"]).succeeds();
        assert_eq!(shown.json()["id"], task, "{name}");
    }
}

#[test]
fn a_slip_gets_a_tip_that_names_what_the_verb_has() {
    let gate = Gate::new();
    for (arguments, tip) in [
        (&["task", "add", "alpha", "A-7"][..], "`--work-item A-7`"),
        (
            &["unfreeze", "--all"],
            "`serial-gate unfreeze --group NUMBER`",
        ),
        (&["unfreeze"], "`serial-gate unfreeze --group NUMBER`"),
        (&["freeze"], "`--all` instead of a repo"),
        (
            &["show", "A-1"],
            "`serial-gate task show TASK` and `serial-gate job show JOB`",
        ),
    ] {
        let ran = gate.run(arguments).exits(2);
        assert!(ran.stderr.contains(tip), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn a_filter_that_nothing_has_is_doubted_below_the_empty_list() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["task", "done", "1"]).succeeds();
    for (arguments, note) in [
        (
            &["task", "list", "--stage", "don"][..],
            "no task is in the stage `don`: did you mean `done`?",
        ),
        (
            &["task", "list", "--repo", "alhpa"],
            "no task of `alhpa` is known: did you mean `alpha`?",
        ),
        (
            &["job", "list", "--agent", "analyts"],
            "no job has ever been for `analyts`; known agents: `analyst`",
        ),
        (
            &["job", "list", "--status", "fnished"],
            "no job has the status `fnished`: did you mean `finished`?",
        ),
    ] {
        let said = gate.run(arguments).succeeds().stdout;
        assert!(said.contains(note), "{arguments:?}: {said}");
    }
    let said = gate.run(&["job", "list", "--status", "failed"]).succeeds();
    assert!(!said.stdout.contains("note:"), "{}", said.stdout);
}
