//! The standard output and the standard error when they cannot be written: the first fails a verb,
//! the second never does.

use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use rustix::io::ioctl_fionread;
use serde_json::{Value, json};

use crate::support::engine::{Backup, Does};
use crate::support::service::ask;
use crate::support::{Gate, Ran};

/// Each verb that prints a result, on the queue of [`Prepared`]. `TOKEN` is the claim's of job 1.
const VERBS: [&[&str]; 45] = [
    &["demo"],
    &["init"],
    &["task", "add", "gamma"],
    &["task", "stage", "1", "review"],
    &["task", "done", "1", "--token", "TOKEN"],
    &["job", "add", "1", "developer"],
    &["job", "finish", "1", "--token", "TOKEN"],
    &["job", "fail", "1", "--token", "TOKEN", "--error", "e"],
    &["job", "heartbeat", "1", "--token", "TOKEN"],
    &["job", "requeue", "1"],
    &["claim"],
    &["claim", "--json"],
    &["claim", "--agent", "nobody"],
    &["work", "--agent", "analyst", "--max", "1", "--", "true"],
    &["freeze", "alpha", "--new", "--reason", "r"],
    &["unfreeze", "alpha"],
    &[
        "deploy-verdict",
        "alpha",
        "--deploy",
        "1",
        "--verdict",
        "healthy",
    ],
    &["repo", "alpha"],
    &["queue"],
    &["queue", "--json"],
    &["explain", "2"],
    &["explain", "1"],
    &["clause"],
    &["audit"],
    &["alerts"],
    &["doctor"],
    &["conform", "cases.jsonl"],
    &["policy", "new", "rule"],
    &["policy", "check", "built-in"],
    &["policy", "diff", "built-in"],
    &["policy", "swap", "built-in", "--reason", "r"],
    &["policy", "history"],
    &["policy", "show"],
    &[
        "policy", "settings", "--repos", "alpha", "--new", "--reason", "r",
    ],
    &["policy", "shadow", "built-in", "--reason", "r"],
    &["policy", "export", "1", "exported.wasm"],
    &["policy", "keygen", "made.key"],
    &["policy", "fixtures", "list"],
    &["policy", "rollback", "--reason", "r"],
    &["policy", "fixtures", "add", "cases.jsonl"],
    &["token", "list"],
    &["token", "revoke", "ops"],
    &["--help"],
    &["claim", "--help"],
    &["--version"],
];

/// How each of them may fail.
const MISTAKES: [&[&str]; 4] = [
    &["job", "finish", "99", "--token", "1"],
    &["--db", "none.db", "queue"],
    &["claim", "--max", "none"],
    &[],
];

/// A case that the built-in policy passes.
const CASE: &str = r#"{"case": {"name": "empty", "settings": {"enabled": true, "repos": "", "freeze_enabled": true}}, "expected": {"claimable": []}}"#;

/// A prepared queue, copied for each run.
struct Prepared {
    queue: Backup,
    token: String,
}

impl Prepared {
    /// Job 1 is claimed, job 2 waits for its task, and job 3 may be claimed; there are two
    /// generations and a token.
    fn new() -> Prepared {
        let gate = Gate::new();
        for repo in ["alpha", "alpha", "beta"] {
            gate.run(&["task", "add", repo]).succeeds();
        }
        let claimed = gate.run(&["claim", "--json"]).succeeds().json();
        let token = match &claimed["token"] {
            Value::String(token) => token.clone(),
            token => token.to_string(),
        };
        let narrower = ["policy", "settings", "--repos", "alpha,beta,gamma"];
        gate.run(&[&narrower[..], &["--new", "--reason", "r"]].concat())
            .succeeds();
        gate.run(&["token", "add", "ops", "--role", "operator"])
            .succeeds();
        Prepared {
            queue: gate.backup(),
            token,
        }
    }

    fn gate(&self) -> Gate {
        let gate = Gate::empty();
        gate.restore(&self.queue);
        gate.write("cases.jsonl", CASE);
        gate
    }

    /// Runs a verb on its own queue.
    fn run(
        &self,
        verb: &[&str],
        stdout: impl Into<Stdio>,
        stderr: impl Into<Stdio>,
    ) -> (Gate, Ran) {
        let gate = self.gate();
        let with_token = |word: &&str| word.replace("TOKEN", &self.token);
        let words: Vec<String> = verb.iter().map(with_token).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = gate.command(&words);
        // A line of the log at each look at the settings, and all that the library has to say.
        command
            .env("SERIAL_GATE_LOG", "trace")
            .env("SERIAL_GATE_REPOS", "alpha,beta,gamma,no/repo");
        command.stdout(stdout).stderr(stderr);
        let ran = command.output().unwrap().into();
        (gate, ran)
    }
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// A pipe without a reader.
fn closed() -> PipeWriter {
    std::io::pipe().unwrap().1
}

/// How much a pipe holds.
const PIPE: usize = 65_536;

/// A pipe whose reader has stopped, with room for this many bytes.
fn stopped(room: usize) -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&vec![b'x'; PIPE - room]).unwrap();
    (reader, writer)
}

/// The output without tokens and numbers, some of which are times.
fn without_numbers(text: &str) -> String {
    // Tokens are new each time, too: `sgc_` and 22 characters.
    let mut parts = text.split("sgc_");
    let mut known = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        known.extend("sgc_".chars().chain(part.chars().skip(22)));
    }
    let shown = known
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c });
    let mut shown: Vec<char> = shown.collect();
    shown.dedup_by(|a, b| *a == '0' && *b == '0');
    shown.into_iter().collect()
}

#[test]
fn whatever_becomes_of_the_log_every_verb_does_and_prints_the_same() {
    let prepared = Prepared::new();
    let mut logged = 0;
    for verb in VERBS.iter().chain(&MISTAKES) {
        let (_, usual) = prepared.run(verb, Stdio::piped(), Stdio::piped());
        logged += usize::from(!usual.stderr.is_empty());
        assert_eq!(
            matches!(usual.code, Some(0 | 3)),
            VERBS.contains(verb),
            "{verb:?}: {}",
            usual.stderr
        );
        let (_reader, unread) = stopped(0);
        let logs: [(&str, Stdio); 3] = [
            ("full", full().into()),
            ("closed", closed().into()),
            ("not read", unread.into()),
        ];
        for (log, stderr) in logs {
            let (_, ran) = prepared.run(verb, Stdio::piped(), stderr);
            assert_eq!(ran.code, usual.code, "{verb:?} with a log that is {log}");
            // A pair of keys is new each time.
            if !verb.contains(&"keygen") {
                assert_eq!(
                    without_numbers(&ran.stdout),
                    without_numbers(&usual.stdout),
                    "{verb:?} with a log that is {log}"
                );
            }
        }
    }
    assert!(logged > 15, "only {logged} verbs had something to log");
}

#[test]
fn a_verb_without_a_standard_error_does_the_same() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let claim = "serial-gate --repos alpha,no/repo claim --json 2>&-";
    assert_eq!(gate.run_in_shell(claim).succeeds().json()["id"], 1);
    gate.run_in_shell("serial-gate explain 99 2>&-").exits(1);
}

#[test]
fn a_short_command_s_warnings_come_before_its_error() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let ran = gate
        .command(&["--repos", "alpha,no/repo", "claim"])
        .stdout(full())
        .output()
        .unwrap();
    let told = Ran::from(ran).exits(1).stderr;
    let (warning, error) = (told.find("no/repo"), told.find("error: cannot print job 1"));
    assert!(warning.is_some() && warning < error, "{told}");
}

#[test]
fn a_result_that_cannot_be_written_fails_every_verb() {
    let prepared = Prepared::new();
    for verb in VERBS {
        for (output, stdout) in [
            ("full", Stdio::from(full())),
            ("closed", Stdio::from(closed())),
        ] {
            let (_, ran) = prepared.run(verb, stdout, Stdio::piped());
            let told = &ran.stderr;
            assert_eq!(ran.code, Some(1), "{verb:?}, {output}: {told}");
            assert!(
                told.contains("\nerror: cannot ") || told.starts_with("error: cannot "),
                "{verb:?}, {output}: {told}"
            );
        }
    }
}

#[test]
fn a_verb_without_a_standard_output_prints_to_nobody() {
    // The runtime puts `/dev/null` there before the first line of the program.
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    for verb in ["queue", "claim", "--help"] {
        gate.run_in_shell(&format!("serial-gate {verb} >&-"))
            .succeeds();
    }
}

#[test]
fn a_claim_of_which_only_the_first_line_was_heard_is_put_back() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha", "--work-item", "A-1"])
        .succeeds();
    let first = "claimed job 1 of task 1 in `alpha` for `analyst`: A-1\n";
    let (reader, writer) = stopped(first.len());
    let claiming = gate
        .command(&["claim"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while ioctl_fionread(&reader).unwrap() < PIPE as u64 {
        thread::sleep(Duration::from_millis(5));
    }
    drop(reader);
    let ran = Ran::from(claiming.wait_with_output().unwrap()).exits(1);
    insta::assert_snapshot!(ran.stderr, @r"
    error: cannot print job 1, so it was put back at its place
      because broken pipe
    ");
    let again = gate.run(&["claim", "--json"]).succeeds().json();
    assert_eq!(again["id"], 1);
}

#[test]
fn a_claim_that_can_be_neither_printed_nor_put_back_says_when_it_comes_back() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let when = Some("new.gate_error IS NOT NULL");
    gate.program()
        .trigger("kept", "BEFORE UPDATE ON jobs", when, &Does::Refuse("kept"));
    let ran = gate.run_in_shell("serial-gate claim >/dev/full").exits(1);
    assert!(
        ran.stderr
            .starts_with("error: cannot print job 1, and cannot put it back: it comes back when"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_token_that_could_not_be_printed_is_revoked_and_can_be_made_again() {
    let gate = Gate::new();
    let add = ["token", "add", "ops", "--role", "operator"];
    let ran = gate
        .run_in_shell(&format!("serial-gate {} >/dev/full", add.join(" ")))
        .exits(1);
    insta::assert_snapshot!(ran.stderr, @r"
    error: cannot print the token of `ops`, so it was revoked
      because no space left on device
    ");
    gate.run(&add).succeeds();
}

/// A service, until it is dropped.
struct Served {
    process: Child,
    address: String,
}

impl Served {
    /// A service that prints where it listens.
    fn with_log(gate: &Gate, stderr: impl Into<Stdio>) -> Served {
        let mut process = gate
            .command(&["serve", "--listen", "127.0.0.1:0", "--json"])
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = process.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).expect(&line);
        let address = told["listening"].as_str().unwrap().into();
        Served { process, address }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A queue in which nothing can be frozen, so that each try has a line to log.
fn gate_without_freezes() -> Gate {
    let gate = Gate::new();
    let event = "BEFORE INSERT ON repo_freeze";
    gate.program()
        .trigger("quota", event, None, &Does::Refuse("quota"));
    gate
}

fn dropped(service: &Served) -> u64 {
    let metrics = ask(&service.address, "GET", "/metrics", &json!({})).unwrap();
    let figure = metrics
        .text
        .lines()
        .find_map(|line| line.strip_prefix("serial_gate_log_lines_dropped_total "));
    figure.expect(&metrics.text).parse().unwrap()
}

#[test]
fn a_service_answers_and_counts_the_lines_that_its_full_log_does_not_take() {
    let gate = gate_without_freezes();
    let service = Served::with_log(&gate, full());
    let freeze = json!({"repo": "alpha", "new": true, "reason": "down"});
    let answer = ask(&service.address, "POST", "/v1/freezes", &freeze).unwrap();
    assert_eq!(answer.status, 503);
    while dropped(&service) == 0 {
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_service_whose_log_nobody_reads_answers_however_many_lines_it_has() {
    let gate = gate_without_freezes();
    let (_reader, unread) = stopped(0);
    let service = Served::with_log(&gate, unread);
    let freeze = json!({"repo": "alpha", "new": true, "reason": "down"});
    // More lines than may wait.
    for _ in 0..1_100 {
        let answer = ask(&service.address, "POST", "/v1/freezes", &freeze).unwrap();
        assert_eq!(answer.status, 503);
    }
    assert!(dropped(&service) > 0);
}

#[test]
fn a_service_goes_on_where_its_address_cannot_be_printed_and_logs_it() {
    let gate = Gate::new();
    let mut process = gate
        .command(&["serve", "--listen", "127.0.0.1:0"])
        .stdout(full())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("which cannot be printed") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0);
    }
    let address = line.split("http://").nth(1).unwrap();
    let address = address.split(',').next().unwrap().to_owned();
    let service = Served { process, address };
    let health = ask(&service.address, "GET", "/healthz", &json!({})).unwrap();
    assert_eq!(health.status, 200);
}

#[test]
fn a_service_does_not_wait_for_somebody_to_read_its_address() {
    let gate = Gate::new();
    let (_reader, unread) = stopped(0);
    // A port that was free just now.
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let process = gate
        .command(&["serve", "--listen", &address])
        .stdout(unread)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut service = Served { process, address };
    while ask(&service.address, "GET", "/healthz", &json!({})).is_err() {
        assert!(service.process.try_wait().unwrap().is_none());
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_waiting_claim_whose_log_nobody_reads_gets_its_job() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["claim"]).succeeds();
    let (_reader, unread) = stopped(0);
    let mut waiting = gate
        .command(&["claim", "--wait", "60", "--json"])
        .env("SERIAL_GATE_LOG", "trace")
        .env("SERIAL_GATE_REPOS", "alpha,no/repo")
        .stdout(Stdio::piped())
        .stderr(unread)
        .spawn()
        .unwrap();
    gate.run(&["task", "done", "1", "--force", "--reason", "merged"])
        .succeeds();
    let mut stdout = String::new();
    waiting
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut stdout)
        .unwrap();
    waiting.wait().unwrap();
    let job: Value = serde_json::from_str(&stdout).expect(&stdout);
    assert_eq!(job["id"], 2);
}

#[test]
fn a_decision_that_cannot_be_logged_costs_the_claim_nothing() {
    type Spoil = fn(&Gate);
    let rotten: [(&str, Spoil); 5] = [
        ("there is no such folder", |_| {}),
        ("the log is a folder", |gate| {
            std::fs::create_dir_all(gate.path("logs/log.jsonl")).unwrap();
        }),
        ("the log is a full device", |gate| {
            std::fs::create_dir(gate.path("logs")).unwrap();
            std::os::unix::fs::symlink("/dev/full", gate.path("logs/log.jsonl")).unwrap();
        }),
        ("its lock is a pipe", |gate| {
            std::fs::create_dir(gate.path("logs")).unwrap();
            gate.run_in_shell("mkfifo logs/log.jsonl.lock").succeeds();
        }),
        ("the folder is a file", |gate| gate.write("logs", "")),
    ];
    let prepared = Prepared::new();
    for (what, spoil) in rotten {
        let gate = prepared.gate();
        spoil(&gate);
        let ran = gate.run(&["claim", "--json", "--decision-log", "logs/log.jsonl"]);
        assert_eq!(ran.code, Some(0), "{what}: {}", ran.stderr);
        assert_eq!(ran.json()["id"], 3, "{what}");
        assert!(
            ran.stderr
                .contains("this claim is not looked at (1 so far): cannot write the decision log"),
            "{what}: {}",
            ran.stderr
        );
    }
}

#[test]
fn a_filter_of_the_log_that_cannot_be_read_is_told() {
    let gate = Gate::new();
    let with = |filter: &str| {
        let queue = gate
            .command(&["queue"])
            .env("SERIAL_GATE_LOG", filter)
            .output()
            .unwrap();
        String::from_utf8(queue.stderr).unwrap()
    };
    for clear in ["", "debug", "OFF", "error,serial_gate::store=debug"] {
        assert!(!with(clear).contains("SERIAL_GATE_LOG"), "{clear}");
    }
    for unclear in ["verbose", "debug,serial_gate", "serial_gate=loud"] {
        assert!(
            with(unclear).contains("`SERIAL_GATE_LOG` is ignored"),
            "{unclear}"
        );
    }
}
