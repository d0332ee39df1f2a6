//! The output of the verbs for people, and their exit codes.

use std::io::{BufRead, BufReader};

use serde_json::json;

use crate::support::look::value;
use crate::support::redacted::without_times;
use crate::support::{Gate, token};

fn batch() -> Gate {
    let gate = Gate::new();
    for (repo, work_item) in [
        ("alpha", "A-1"),
        ("alpha", "A-2"),
        ("alpha", "A-3"),
        ("beta", "B-1"),
    ] {
        gate.run(&["task", "add", repo, "--work-item", work_item])
            .succeeds();
    }
    gate
}

#[test]
fn the_queue_shows_each_repo_with_the_reason_of_each_hold() {
    let gate = batch();
    gate.run(&[
        "freeze",
        "beta",
        "--new",
        "--reason",
        "the deploy is degraded",
    ])
    .succeeds();
    let ran = gate.run(&["queue"]).succeeds();
    insta::assert_snapshot!(without_times(&ran.stdout), @r"
    alpha  active: task 1 (A-1) in analysis
    JOB  TASK  WORK ITEM  STAGE     VERDICT
    1    1     A-1        analysis  may be claimed
    2    2     A-2        analysis  held: task 1 (A-1) comes first
    3    3     A-3        analysis  held: task 1 (A-1) comes first

    beta  active: task 4 (B-1) in analysis
    frozen since (time) UTC: the deploy is degraded (freeze (number))
    JOB  TASK  WORK ITEM  STAGE     VERDICT
    4    4     B-1        analysis  held: the repo is frozen
    ");
}

#[test]
fn the_queue_as_json_has_the_reference_s_keys_and_verdicts() {
    let gate = batch();
    let state = gate.run(&["queue", "--json"]).succeeds().json();
    assert_eq!(state["enabled"], true);
    assert_eq!(state["freeze_enabled"], true);
    assert_eq!(state["repos"], "");
    let alpha = &state["per_repo"]["alpha"];
    assert_eq!(
        alpha["active_task"],
        json!({
            "task_id": 1, "work_item_id": "A-1", "stage": "analysis",
            "work": {
                "state": "queued", "job_id": 1, "agent": "analyst", "status": "queued", "worker": null,
                "attempt": 0, "since": null, "lease_until": null, "error": null,
            },
        })
    );
    assert_eq!(
        alpha["waiting"][1],
        json!({
            "job_id": 2, "task_id": 2, "work_item_id": "A-2", "stage": "analysis",
            "verdict": { "hold": { "earlier_task": 1, "freeze_row": null, "rule": null } },
        })
    );
    assert_eq!(
        [&alpha["frozen"], &alpha["frozen_reason"]],
        [&json!(false), &json!(null)]
    );
}

#[test]
fn a_watched_queue_is_shown_again_when_it_changes() {
    let gate = batch();
    let mut watching = gate.spawn(&["queue", "--watch", "--json"]);
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next =
        || serde_json::from_str::<serde_json::Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["per_repo"]["beta"]["frozen"], false);
    gate.run(&["freeze", "beta", "--new", "--reason", "r"])
        .succeeds();
    assert_eq!(next()["per_repo"]["beta"]["frozen"], true);
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn explain_names_what_is_ahead_and_the_command_that_releases_the_job() {
    let gate = batch();
    gate.run(&[
        "freeze",
        "alpha",
        "--new",
        "--reason",
        "the deploy is degraded",
    ])
    .succeeds();
    let ran = gate.run(&["explain", "3"]).exits(3);
    insta::assert_snapshot!(without_times(&ran.stdout), @r"
    job 3 of task 3 (A-3) for `analyst` in `alpha` is held
      2 unfinished tasks ahead of it in the repo:
        task 1 (A-1) is in `analysis` since (time) UTC: job 1 for `analyst` is queued, and no worker has it
        task 2 (A-2) is in `analysis` since (time) UTC: job 2 for `analyst` is queued, and no worker has it
      `alpha` is frozen since (time) UTC: the deploy is degraded (freeze (number))
      when the repo may go on: serial-gate unfreeze alpha
      only if the work of task 1 (A-1), task 2 (A-2) is to be skipped, release it with: serial-gate task done 1 2 && serial-gate unfreeze alpha
    ");
    let release = ran
        .stdout
        .split("release it with: ")
        .nth(1)
        .unwrap()
        .to_owned();
    gate.run_in_shell(&release).succeeds();
    gate.run(&["explain", "3"]).succeeds();
}

#[test]
fn the_proposed_command_survives_a_shell_whatever_the_names() {
    let gate = Gate::empty();
    let database = "a queue; $(touch broken).db";
    let repo = "it's `x` $HOME";
    gate.run(&["--db", database, "init"]).succeeds();
    gate.run(&["--db", database, "task", "add", repo])
        .succeeds();
    gate.run(&["--db", database, "freeze", repo, "--new", "--reason", "r"])
        .succeeds();
    let held = gate
        .run(&["--db", database, "explain", "1", "--json"])
        .exits(3)
        .json();
    gate.run_in_shell(held["release"][0].as_str().unwrap())
        .succeeds();
    gate.run(&["--db", database, "explain", "1"]).succeeds();
    assert!(!gate.path("broken").exists());
}

#[test]
fn explain_tells_a_claimable_job_s_place_and_a_running_job_s_worker() {
    let gate = batch();
    let ran = gate.run(&["explain", "4"]).succeeds();
    assert_eq!(
        ran.stdout,
        "job 4 of task 4 (B-1) for `analyst` in `beta` may be claimed: 1 claimable job before it in the line\n"
    );
    gate.run(&["claim", "--worker", "w-1"]).succeeds();
    let ran = gate.run(&["explain", "1"]).succeeds();
    assert_eq!(
        without_times(&ran.stdout),
        "job 1 of task 1 (A-1) for `analyst` in `alpha` is not queued: it is `running`, claimed by `w-1` at (time) UTC\n  attempt 1, lease until (time) UTC\n"
    );
}

#[test]
fn explain_never_proposes_a_command_that_would_not_release_the_job() {
    let gate = batch();
    gate.run(&["task", "done", "1"]).succeeds();
    let rules = ["--rules", r#"{"finished_stages":["merged"]}"#];
    let held = gate
        .run(&[&rules[..], &["explain", "2", "--json"]].concat())
        .exits(3)
        .json();
    assert_eq!(
        [&held["tasks"][0]["id"], &held["release"]],
        [&json!(1), &json!([])]
    );
    gate.program().run(
        "INSERT INTO repo_freeze (repo) VALUES ('');
             INSERT INTO jobs (id, repo, agent) VALUES (9, '', 'analyst');",
    );
    let held = gate.run(&["explain", "9"]).exits(3);
    assert!(
        held.stdout.contains("no single command releases it"),
        "{}",
        held.stdout
    );
    gate.program().run(
        "INSERT INTO tasks (id, repo, stage) VALUES (70, '', 'review');
             UPDATE jobs SET task_id = 71 WHERE id = 9;",
    );
    let held = gate.run(&["explain", "9", "--json"]).exits(3).json();
    assert_eq!(
        held["release"],
        json!([]),
        "ending the task leaves the freeze"
    );
}

#[test]
fn a_repo_whose_name_looks_like_a_flag_can_be_released_too() {
    let gate = Gate::new();
    let frozen = gate
        .run(&["freeze", "--new", "--reason", "r", "--", "-rf"])
        .succeeds();
    let release = frozen
        .stdout
        .split("release it with: ")
        .nth(1)
        .unwrap()
        .to_owned();
    gate.run_in_shell(&release).succeeds();
    assert_eq!(
        gate.run(&["repo", "--json", "--", "-rf"]).succeeds().json()["frozen"],
        false
    );
}

#[test]
fn other_agents_jobs_are_not_forgotten_by_the_queue() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["claim"]).succeeds();
    gate.run(&["job", "add", "1", "developer"]).succeeds();
    let ran = gate.run(&["queue"]).succeeds();
    let last = ran.stdout.lines().last();
    assert_eq!(
        last,
        Some("1 other job may be claimed: the gate does not hold such jobs")
    );
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.program()
        .run("INSERT INTO jobs (task_id, repo) VALUES (2, 'alpha')");
    let state = gate.run(&["queue", "--json"]).succeeds().json();
    assert_eq!(state["others"]["claimable"], 1);
    assert_eq!(
        state["others"]["held"][0]["job_id"], 4,
        "a job without an agent is gated"
    );
}

#[test]
fn repo_shows_whether_the_gate_acts_there() {
    let gate = batch();
    gate.run(&[
        "freeze",
        "beta",
        "--new",
        "--reason",
        "the deploy is degraded",
    ])
    .succeeds();
    let ran = gate.run(&["--repos", "beta", "repo", "beta"]).succeeds();
    insta::assert_snapshot!(without_times(&ran.stdout), @r"
    beta
      gate         acts here
      active task  task 4 (B-1) in analysis
      frozen       since (time) UTC: the deploy is degraded (freeze (number))
    ");
    let other = gate
        .run(&["--repos", "beta", "repo", "alpha", "--json"])
        .succeeds()
        .json();
    assert_eq!(
        [&other["applies"], &other["frozen"], &other["freeze"]],
        [&json!(false), &json!(false), &json!(null)]
    );
}

#[test]
fn unfreeze_says_what_it_cleared_and_can_be_repeated() {
    let gate = Gate::new();
    gate.run(&["freeze", "alpha", "--new", "--reason", "one"])
        .succeeds();
    gate.run(&["freeze", "alpha", "--new", "--reason", "two"])
        .succeeds();
    assert_eq!(
        gate.run(&["unfreeze", "alpha"]).succeeds().stdout,
        "`alpha` is open again: 2 freezes cleared\n"
    );
    assert_eq!(
        gate.run(&["unfreeze", "alpha"]).succeeds().stdout,
        "`alpha` was not frozen: nothing was changed\n"
    );
}

#[test]
fn the_clause_is_printed_as_the_policy_returned_it() {
    let clause = Gate::empty()
        .run(&["clause", "--repos", "b,a,no/repo"])
        .succeeds();
    assert_eq!(
        clause.stdout,
        "AND NOT ( jobs.agent = 'analyst' AND jobs.repo IN ('a', 'b') AND ( \
         EXISTS (SELECT 1 FROM tasks t2 WHERE t2.repo = jobs.repo AND t2.id < jobs.task_id AND t2.stage != 'done') \
         OR EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo AND f.cleared_at IS NULL) ) ) \n"
    );
    assert!(
        clause
            .stderr
            .contains("`no/repo` is not a repo name and was dropped from the scope")
    );
    assert_eq!(
        Gate::empty()
            .run(&["clause", "--enabled", "false"])
            .succeeds()
            .stdout,
        "\n"
    );
}

#[test]
fn clause_check_prints_what_would_run_or_says_what_to_write_instead() {
    let gate = Gate::empty();
    gate.write("good.sql", "AND jobs.agent <> 'it''s'");
    gate.write("bad.sql", "AND jobs.agent = 'x' --");
    insta::assert_snapshot!(gate.run(&["clause", "--check", "good.sql"]).succeeds().stdout, @r#"
    accepted
    claims    flat: the same cost however many jobs are held
    gated     NULL, `it's`
    sqlite    AND ("jobs"."agent" <> 'it''s')
    postgres  AND ("jobs"."agent" <> 'it''s')
    "#);
    let bad = gate.run(&["clause", "--check", "bad.sql"]).exits(1);
    assert_eq!(
        bad.stderr,
        "error: refused: [comment] `--` starts a comment at line 1, column 22: remove it\n"
    );
    let bad = gate
        .run(&["clause", "--check", "bad.sql", "--json"])
        .exits(1)
        .json();
    assert_eq!(
        [&bad["accepted"], &bad["construct"], &bad["column"]],
        [&json!(false), &json!("comment"), &json!(22)]
    );
}

#[test]
fn settings_come_from_flags_then_the_environment_then_the_file() {
    let gate = Gate::new();
    gate.write(
        "serial-gate.toml",
        "repos = \"from-file\"\nfreeze_enabled = false\nlease = \"2h\"\n",
    );
    let repos = |command: &mut std::process::Command| {
        let output = command.args(["queue", "--json"]).output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["repos"].clone()
    };
    assert_eq!(repos(&mut gate.command(&[])), "from-file");
    assert_eq!(
        repos(gate.command(&[]).env("SERIAL_GATE_REPOS", "from-env")),
        "from-env"
    );
    assert_eq!(
        repos(
            gate.command(&["--repos", "from-flag"])
                .env("SERIAL_GATE_REPOS", "from-env")
        ),
        "from-flag"
    );
    let refused = gate
        .run(&["freeze", "alpha", "--new", "--reason", "r"])
        .exits(1);
    assert!(
        refused.stderr.contains("freezes are switched off"),
        "{}",
        refused.stderr
    );
}

#[test]
fn text_from_the_database_cannot_move_the_cursor() {
    let gate = Gate::new();
    gate.run(&[
        "task",
        "add",
        "red\u{1b}[31m\nrepo",
        "--work-item",
        "\u{7}bell",
    ])
    .succeeds();
    let ran = gate.run(&["queue"]).succeeds();
    assert!(
        ran.stdout.contains(r"red\u{1b}[31m\u{a}repo") && ran.stdout.contains(r"\u{7}bell"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains('\u{1b}') && !ran.stdout.contains('\u{7}'));
}

#[test]
fn a_proposed_command_never_holds_what_a_terminal_would_not_show() {
    let gate = Gate::new();
    let frozen = gate
        .run(&["freeze", "a\u{1b}[31mR\u{202e}", "--new", "--reason", "r"])
        .succeeds();
    let said = "`a\\u{1b}[31mR\\u{202e}` is frozen: no task of it starts (freeze ";
    assert!(frozen.stdout.starts_with(said), "{}", frozen.stdout);
    assert_eq!(frozen.stdout.lines().count(), 1, "{}", frozen.stdout);
}

#[test]
fn json_keeps_every_character_and_no_terminal_obeys_it() {
    let gate = Gate::new();
    let repo = "a\u{7f}b\u{9b}31m\u{1b}[0m";
    gate.run(&["task", "add", repo]).succeeds();
    let ran = gate.run(&["queue", "--json"]).succeeds();
    assert!(ran.json()["per_repo"].get(repo).is_some(), "{}", ran.stdout);
    assert!(!ran.stdout.trim_end().chars().any(char::is_control));
}

#[test]
fn there_is_no_colour_where_nobody_looks_at_a_terminal() {
    assert!(
        !Gate::empty()
            .run(&["demo"])
            .succeeds()
            .stdout
            .contains('\u{1b}')
    );
}

#[test]
fn the_demo_tells_its_story_and_leaves_nothing_behind() {
    let gate = Gate::empty();
    let output = gate
        .command(&["demo"])
        .env("TMPDIR", gate.path(""))
        .output()
        .unwrap();
    let story = String::from_utf8(output.stdout).unwrap();
    for part in [
        "claim → job 1, A-1 of `alpha`",
        "held: task 1 (A-1) comes first",
        "held: the repo is frozen",
    ] {
        assert!(story.contains(part), "{story}");
    }
    assert_eq!(std::fs::read_dir(gate.path("")).unwrap().count(), 0);
}

#[test]
fn every_verb_has_help_with_an_example() {
    let verbs: [&[&str]; 27] = [
        &["task"],
        &["job"],
        &["demo"],
        &["init"],
        &["task", "add"],
        &["task", "stage"],
        &["task", "done"],
        &["job", "add"],
        &["job", "finish"],
        &["job", "fail"],
        &["job", "requeue"],
        &["job", "heartbeat"],
        &["claim"],
        &["freeze"],
        &["unfreeze"],
        &["repo"],
        &["queue"],
        &["explain"],
        &["clause"],
        &["alerts"],
        &["alerts", "deliver"],
        &["alerts", "retry"],
        &["alerts", "test"],
        &["conform"],
        &["policy"],
        &["policy", "check"],
        &["policy", "new"],
    ];
    for verb in verbs {
        let help = Gate::empty()
            .run(&[verb, &["--help"]].concat())
            .succeeds()
            .stdout;
        assert!(
            help.contains("Example") && help.contains("serial-gate "),
            "{verb:?}: {help}"
        );
    }
}

#[test]
fn a_task_is_marked_and_the_mark_taken_away() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha", "--label", "hotfix"])
        .succeeds();
    let label = || value(&gate, "SELECT gate_label FROM tasks");
    assert_eq!(label().as_deref(), Some("hotfix"));
    let marked = gate.run(&["task", "label", "1", "urgent"]).succeeds();
    assert_eq!(marked.stdout, "task 1 is labelled `urgent`\n");
    assert_eq!(label().as_deref(), Some("urgent"));
    gate.run(&["task", "label", "1"]).succeeds();
    assert_eq!(label(), None);
    let ran = gate.run(&["task", "label", "9", "urgent"]).exits(1);
    insta::assert_snapshot!(ran.stderr, @"error: there is no task 9: `serial-gate task list` lists them");
}

#[test]
fn a_queue_is_not_made_with_rules_that_its_policy_refuses() {
    let gate = Gate::empty();
    let ran = gate
        .run(&["init", "--rules", r#"{"gated_agent":["analyst"]}"#])
        .exits(1);
    insta::assert_snapshot!(ran.stderr, @r#"
    error: the policy failed
      because `claim-clause` refuses the rules: unknown field `gated_agent`, expected one of `gated_agents`, `finished_stages`, `repos` at line 1 column 14
    "#);
    assert!(!gate.is_there());
}

#[test]
fn rules_that_name_what_no_row_has_are_noted() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let rules = r#"{"gated_agents":["anaylst","analyst"],"finished_stages":["anlysis"]}"#;
    let set = ["policy", "settings", "--rules", rules, "--reason", "r"];
    let said = gate.run(&set).succeeds().stdout;
    let notes: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("note:"))
        .collect();
    assert_eq!(
        notes,
        [
            "note: no job has ever been for `anaylst`, which `gated_agents` of the rules names: did you mean `analyst`?",
            "note: no task is in `anlysis`, which `finished_stages` of the rules names: did you mean `analysis`?"
        ],
        "{said}"
    );
    let back = ["policy", "rollback", "--reason", "r", "--json"];
    let document = gate.run(&back).succeeds().json();
    assert_eq!(document, serde_json::json!({"generation": 1}));
}

#[test]
fn the_queue_cuts_a_long_error_at_the_end_of_a_word() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    for (error, shown) in [
        (
            "sentence ".repeat(40),
            format!("{} …", ["sentence"; 22].join(" ")),
        ),
        ("x".repeat(300), format!("{} …", "x".repeat(200))),
        ("x".repeat(200), "x".repeat(200)),
    ] {
        let token = token(&gate.run(&["claim", "--json"]).succeeds().json());
        gate.run(&["job", "fail", "1", "--token", &token, "--error", &error])
            .succeeds();
        let queue = gate.run(&["queue"]).succeeds().stdout;
        assert!(queue.contains(&format!(": {shown}\n")), "{queue}");
        gate.run(&["job", "requeue", "1"]).succeeds();
    }
}
