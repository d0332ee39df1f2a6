//! What the commands of jobs print: each line with its job, and the last lines kept.

use serde_json::{Value, json};

use crate::support::look::{lines, status, until, value};
use crate::support::service::Service;
use crate::support::{Gate, Ran};

fn work(gate: &Gate, options: &[&str], shell: &str) -> Ran {
    let begin = ["work", "--agent", "analyst", "--max", "1"];
    gate.run(&[&begin[..], options, &["--", "sh", "-c", shell]].concat())
}

fn gate() -> Gate {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha", "--work-item", "A-1"])
        .succeeds();
    gate
}

/// The lines of the command among those of the log.
fn of_job(stderr: &str) -> Vec<&str> {
    stderr
        .lines()
        .filter(|line| line.starts_with('['))
        .collect()
}

fn output(gate: &Gate) -> Value {
    gate.run(&["explain", "1", "--json"]).json()["output"].clone()
}

#[test]
fn each_line_comes_out_where_it_was_printed_with_its_job_before_it() {
    let gate = gate();
    let ran = work(&gate, &[], "echo out; echo err >&2; printf 'no end'").succeeds();
    assert!(
        ran.stdout
            .starts_with("[1 A-1] out\n[1 A-1] no end\n1 job done")
    );
    assert_eq!(of_job(&ran.stderr), ["[1 A-1] err"]);
}

#[test]
fn the_lines_of_jobs_that_run_at_the_same_time_are_not_mixed() {
    let gate = Gate::new();
    for repo in ["a", "b", "c", "d"] {
        gate.run(&["task", "add", repo]).succeeds();
    }
    // Each writes its lines in two parts, and waits for all others before.
    let shell = "touch began$SERIAL_GATE_JOB
        while [ $(ls began* | wc -l) -lt 4 ]; do sleep 0.02; done
        for i in $(seq 300); do printf $SERIAL_GATE_JOB-; printf '%s\\n' $i; done";
    let arguments = [
        "work",
        "--agent",
        "analyst",
        "--max",
        "4",
        "--parallel",
        "4",
    ];
    let ran = gate.run(&[&arguments[..], &["--", "sh", "-c", shell]].concat());
    let printed = ran.succeeds().stdout;
    for job in 1..=4 {
        let begin = format!("[{job}] ");
        let of_job = printed.lines().filter_map(|line| line.strip_prefix(&begin));
        let expected = (1..=300).map(|line| format!("{job}-{line}"));
        assert!(of_job.eq(expected), "job {job}");
    }
    assert_eq!(printed.lines().count(), 4 * 300 + 1);
}

#[test]
fn for_a_machine_each_line_is_a_document() {
    let gate = gate();
    let ran = work(&gate, &["--json"], "echo out; printf '\\033[1merr\\n' >&2").succeeds();
    let printed = ran.json_lines();
    let line = |stream: &str, line: &str| json!({"job": 1, "work_item_id": "A-1", "agent": "analyst", "stream": stream, "line": line});
    assert_eq!(printed[0], line("stdout", "out"));
    assert_eq!(printed[1]["done"], 1);
    let log: Vec<Value> = ran
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(log.contains(&line("stderr", "err")), "{log:?}");
}

#[test]
fn what_would_move_a_cursor_or_is_no_text_is_printed_harmlessly() {
    let gate = gate();
    let shell = r"printf '\033[31mred\033[0m \033]0;x\007 \377\001\tend\n'";
    let printed = work(&gate, &[], shell).succeeds().stdout;
    let line = printed.lines().next().unwrap();
    let escaped = "[1 A-1] red \\u{1b}]0;x\\u{7} \u{fffd}\\u{1}\tend";
    assert_eq!(line, escaped);
}

#[test]
fn a_process_that_the_command_leaves_behind_does_not_hold_up_the_worker() {
    let gate = gate();
    // It has the other end of both pipes.
    let shell = "sleep 600 & echo $! > left; echo done";
    let printed = work(&gate, &[], shell).succeeds().stdout;
    let left = lines(&gate.path("left")).concat();
    let kill = std::process::Command::new("kill").arg(left).status();
    assert!(kill.unwrap().success(), "it was still there");
    assert!(printed.starts_with("[1 A-1] done\n"));
}

#[test]
fn a_process_that_goes_on_to_write_does_not_hold_up_the_worker_either() {
    let gate = gate();
    let shell = "yes & echo $! > left";
    let printed = work(&gate, &[], shell).succeeds().stdout;
    assert!(printed.len() < 100 << 20);
    assert_eq!(status(&gate, 1), "done");
}

#[test]
fn a_flood_is_printed_whole_and_its_end_is_kept() {
    let gate = gate();
    let shell = "yes 0123456789012345678901234567890123456789012345678 | head -n 2000000; echo last; exit 1";
    let printed = work(&gate, &[], shell).succeeds().stdout;
    assert_eq!(printed.lines().count(), 2_000_002);
    let kept = output(&gate);
    let kept = kept["text"].as_str().unwrap();
    assert_eq!(kept.lines().count(), 50);
    assert!(kept.len() <= 8 << 10 && kept.ends_with("\nlast"));
}

#[test]
fn a_worker_whose_output_nobody_reads_any_more_does_its_jobs() {
    let gate = gate();
    let line =
        "serial-gate work --agent analyst --max 1 -- sh -c 'seq 100000; touch ended' | head -n 1";
    let ran = gate.run_in_shell(line);
    assert_eq!(ran.stdout, "[1 A-1] 1\n");
    until("the end of the command", || gate.path("ended").exists());
    until("the end of the job", || status(&gate, 1) == "done");
}

#[test]
fn explain_shows_the_last_lines_of_a_job_that_failed() {
    let gate = gate();
    let shell = "seq 60; printf 'at\\tthe end\\n'; echo 'assertion failed' >&2; exit 7";
    work(&gate, &[], shell).succeeds();
    let said = gate.run(&["explain", "1"]).succeeds().stdout;
    assert!(!said.contains("| 10\n"), "{said}");
    assert!(
        said.contains("  the end of its output, attempt 1:\n    | 13\n"),
        "{said}"
    );
    assert!(said.contains("    | at\tthe end\n"), "{said}");
    assert_eq!(
        value(&gate, "SELECT gate_error FROM jobs").unwrap(),
        "the command exited with 7: assertion failed"
    );
}

#[test]
fn a_job_that_is_tried_again_later_keeps_its_output_until_then() {
    let gate = gate();
    let shell = "echo attempt $SERIAL_GATE_ATTEMPT; exit 1";
    work(&gate, &["--attempts", "2", "--retry-after", "1h"], shell).succeeds();
    let shown = gate.run(&["job", "show", "1", "--json"]).json();
    assert_eq!(shown["state"], "put_off");
    assert_eq!(shown["output"]["text"], "attempt 1");
    for verb in [&["job", "show", "1"][..], &["explain", "1"]] {
        let said = gate.run(verb).succeeds().stdout;
        let end = "  the end of its output, attempt 1:\n    | attempt 1\n";
        assert!(said.contains(end), "{said}");
    }
}

#[test]
fn a_later_attempt_takes_the_place_of_an_earlier_one() {
    let gate = gate();
    let shell = "echo attempt $SERIAL_GATE_ATTEMPT; exit 1";
    for attempt in [1, 2] {
        work(&gate, &[], shell).succeeds();
        let kept = output(&gate);
        assert_eq!(kept["attempt"], attempt);
        assert_eq!(kept["text"], format!("attempt {attempt}"));
        gate.run(&["job", "requeue", "1"]).succeeds();
    }
    // The next attempt prints nothing.
    work(&gate, &[], "exit 1").succeeds();
    assert_eq!(output(&gate), Value::Null);
    assert_eq!(
        value(&gate, "SELECT count(*) FROM serial_gate_output").unwrap(),
        "1"
    );
}

#[test]
fn the_token_of_the_claim_is_neither_printed_nor_kept() {
    let gate = gate();
    let printed = work(&gate, &[], "env; env >&2; exit 1").succeeds();
    let token = "SERIAL_GATE_TOKEN=[token]";
    for said in [
        &printed.stdout,
        &printed.stderr,
        output(&gate)["text"].as_str().unwrap(),
    ] {
        assert!(!said.contains("sgc_"), "{said}");
    }
    assert!(printed.stdout.contains(token) && printed.stderr.contains(token));
}

#[test]
fn an_output_that_is_to_be_discarded_is_printed_and_not_kept() {
    let gate = gate();
    let ran = work(&gate, &["--discard-output"], "echo secret; exit 1").succeeds();
    assert!(ran.stdout.contains("secret"));
    assert_eq!(output(&gate), Value::Null);
}

#[test]
fn a_command_that_ends_its_job_itself_has_its_output_kept() {
    let gate = gate();
    let gate_binary = env!("CARGO_BIN_EXE_serial-gate");
    let shell = format!("echo said; {gate_binary} job finish 1 --token $SERIAL_GATE_TOKEN");
    work(&gate, &[], &shell).succeeds();
    assert!(
        output(&gate)["text"]
            .as_str()
            .unwrap()
            .starts_with("said\n")
    );
}

#[test]
fn a_command_that_takes_too_long_has_its_lines_printed_and_kept() {
    let gate = gate();
    let ran = work(&gate, &["--timeout", "1"], "echo begun; sleep 600").succeeds();
    assert!(ran.stdout.starts_with("[1 A-1] begun\n"), "{}", ran.stdout);
    assert_eq!(output(&gate)["text"], "begun");
}

#[test]
fn over_http_a_worker_may_send_the_output_of_its_job() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let claimed = service
        .post("/v1/claim", &json!({"worker": "w"}))
        .is(200)
        .json();
    let token = claimed["token"].as_str().unwrap();
    let long = format!("{}\n<b>{token}</b>\u{1b}[2J", "ä".repeat(10_000));
    let other = json!({"token": "sgc_other", "output": "x"});
    service.post("/v1/jobs/1/fail", &other).is(409);
    let fail = json!({"token": token, "error": "red", "output": long});
    for _ in 0..2 {
        service.post("/v1/jobs/1/fail", &fail).is(200);
    }
    let kept = service.get("/v1/jobs/1/explain").is(200).json()["output"].clone();
    let text = kept["text"].as_str().unwrap();
    assert_eq!(kept["attempt"], 1);
    assert!(text.len() <= 8 << 10 && text.starts_with("ää"));
    assert!(text.ends_with("\n<b>[token]</b>\u{1b}[2J"));
    let shown = service.get("/v1/jobs/1").is(200).json();
    assert_eq!(
        (&shown["state"], &shown["output"]),
        (&json!("failed"), &kept)
    );
    let ended_at = kept["at"].as_str().unwrap();
    assert!(ended_at.parse::<jiff::Timestamp>().is_ok(), "{ended_at}");
    let page = service.get("/repo?name=alpha").is(200).text;
    assert!(
        page.contains("<summary>The end of its output</summary>") && !page.contains("<b>[token]"),
        "{page}"
    );
    assert!(page.contains(r"[token]&#60;/b&#62;\u{1b}[2J"), "{page}");
}

#[test]
fn over_http_a_job_that_is_done_or_tried_again_later_keeps_its_output_too() {
    let service = Service::start();
    let ends = [
        (
            "fail",
            json!({"attempts": 2, "output": "red"}),
            "put_off",
            "red",
        ),
        ("finish", json!({"output": "green"}), "finished", "green"),
    ];
    for (id, (end, mut body, state, output)) in (1..).zip(ends) {
        let task = json!({"repo": format!("repo-{end}")});
        service.post("/v1/tasks", &task).is(201);
        let claimed = service.post("/v1/claim", &json!({"worker": "w"})).is(200);
        body["token"] = claimed.json()["token"].clone();
        service.post(&format!("/v1/jobs/{id}/{end}"), &body).is(200);
        let shown = service.get(&format!("/v1/jobs/{id}")).is(200).json();
        assert_eq!(shown["state"], state);
        assert_eq!(shown["output"]["text"], output);
    }
}
