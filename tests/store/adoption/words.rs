//! What `init` reports about the file: new, adopted, or not the intended one.

use crate::support::Gate;
use crate::support::engine::Engine;

fn with(sql: &str) -> Gate {
    let gate = Gate::empty();
    gate.program().run(sql);
    gate
}

const TABLES: &str = "
    CREATE TABLE tasks (id INTEGER PRIMARY KEY, repo TEXT, stage TEXT);
    CREATE TABLE jobs (id INTEGER PRIMARY KEY, task_id INTEGER, repo TEXT, agent TEXT, status \
    TEXT);";

const ROWS: &str = "
    INSERT INTO tasks VALUES (1, 'alpha', 'done'), (2, 'alpha', 'analysis'), (3, 'alpha', \
    'analysis'), (4, 'beta', 'analysis');
    INSERT INTO jobs VALUES (1, 1, 'alpha', 'analyst', 'done'), (2, 2, 'alpha', 'analyst', \
    'queued'),
        (3, 3, 'alpha', 'analyst', 'queued'), (4, 4, 'beta', 'analyst', 'queued');";

#[test]
fn a_new_file_is_said_to_be_new_and_the_one_that_was_meant_is_named() {
    let gate = Gate::empty();
    let no_pipeline = |db| {
        format!(
            "no pipeline: a finished job moves no task on, until `serial-gate --db {db} pipeline \
             set` says how\n"
        )
    };
    let ran = gate.run(&["--db", "orchestrator.db", "init"]).succeeds();
    let created = "created `orchestrator.db`: a new, empty queue\n".to_owned();
    assert_eq!(ran.stdout, created + &no_pipeline("orchestrator.db"));
    for mistyped in ["orchestartor.db", "orchestrator.sqlite", "Orchestrator2.db"] {
        let ran = gate.run(&["--db", mistyped, "init"]).succeeds();
        assert_eq!(
            ran.stdout,
            format!(
                "created `{mistyped}`: a new, empty queue\n{}note: did you mean \
                 `orchestrator.db`, which is next to it?\n",
                no_pipeline(mistyped)
            )
        );
        std::fs::remove_file(gate.path(mistyped)).unwrap();
    }
    gate.write("ordinary.db", "no database, although it is called like one");
    for other in ["queue.db", "ordinary2.db"] {
        let ran = gate.run(&["--db", other, "init"]).succeeds();
        assert_eq!(
            ran.stdout,
            format!(
                "created `{other}`: a new, empty queue\n{}",
                no_pipeline(other)
            )
        );
    }
}

#[test]
fn an_adopted_database_is_told_in_one_line_and_its_additions_on_request() {
    let gate = with(&format!("{TABLES}{ROWS}"));
    let ran = gate.run(&["init"]).succeeds();
    assert_eq!(
        ran.stdout,
        "`serial-gate.db` adopted: 4 tasks and 4 jobs are there, 2 may be claimed\n"
    );
    let gate = with(&format!("{TABLES}{ROWS}"));
    let ran = gate.run(&["init", "--verbose"]).succeeds();
    for line in [
        "  column  jobs.gate_token\n",
        "  table   repo_freeze\n",
        "4 tasks: `analysis` 3, `done` 1; 4 jobs: `queued` 3, `done` 1; queued for: `analyst` 3\n",
    ] {
        assert!(ran.stdout.contains(line), "{}", ran.stdout);
    }
}

#[test]
fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let gate = with(&format!("{TABLES}{ROWS}"));
    let before = gate.content();
    let ran = gate.run(&["init", "--dry-run", "-v"]).succeeds();
    let first = ran.stdout.lines().next().unwrap();
    assert!(
        first.starts_with("`serial-gate.db` would be adopted: 4 tasks and 4 jobs are there, "),
        "{first}"
    );
    assert!(first.contains("; other writers would wait "), "{first}");
    let told = gate.run(&["init", "--dry-run", "--json"]).succeeds().json();
    assert_eq!(gate.content(), before);
    let is_a_file = Engine::under_test() == Engine::Sqlite;
    let files = std::fs::read_dir(gate.path("")).unwrap().count();
    assert_eq!(files, usize::from(is_a_file));
    let done = gate.run(&["init", "--json"]).succeeds().json();
    let mut changes = told["changes"].as_array().unwrap().clone();
    if is_a_file {
        // A dry run does not set the file's mode.
        changes.push(serde_json::json!({"journal_mode": "wal"}));
    }
    assert_eq!(done["changes"], serde_json::Value::Array(changes));
    assert_eq!(told["dry_run"], true);
    assert_eq!(done["adoption"]["census"]["jobs"], 4);
    let again = gate.run(&["init", "--dry-run"]).succeeds();
    assert_eq!(
        again.stdout,
        "`serial-gate.db` is up to date: nothing would be changed\n"
    );
}

#[test]
fn a_dry_run_makes_no_file() {
    let gate = Gate::empty();
    let ran = gate.run(&["init", "--dry-run"]).succeeds();
    assert_eq!(
        ran.stdout,
        "`serial-gate.db` would be created: a new, empty queue\n"
    );
    assert_eq!(std::fs::read_dir(gate.path("")).unwrap().count(), 0);
    gate.write("serial-gate.db", "");
    gate.run(&["init", "--dry-run"]).succeeds();
    assert_eq!(gate.content(), b"");
    let ran = gate
        .run(&["--db", "no/such/folder.db", "init", "--dry-run"])
        .exits(1);
    assert!(
        ran.stderr.contains("does its folder exist"),
        "{}",
        ran.stderr
    );
}

#[test]
fn tables_of_almost_the_names_are_refused_unless_new_ones_are_wanted() {
    for (tables, found, missing) in [
        (
            &["job", "task"][..],
            "tables `job`, `task`",
            "`tasks`, `jobs`",
        ),
        (
            &["Task", "AgentJobs"],
            "tables `AgentJobs`, `Task`",
            "`tasks`, `jobs`",
        ),
        (&["task_queue"], "table `task_queue`", "`tasks`, `jobs`"),
        (&["work_jobs"], "table `work_jobs`", "`jobs`"),
        (&["queue"], "table `queue`", "`jobs`"),
    ] {
        let create: String = tables
            .iter()
            .map(|name| format!("CREATE TABLE \"{name}\" (id INTEGER PRIMARY KEY);"))
            .collect();
        let gate = with(&create);
        let before = gate.content();
        let ran = gate.run(&["init"]).exits(1);
        assert_eq!(
            ran.stderr,
            format!(
                "error: `serial-gate.db` was left as it is: it has the {found}, but no \
                 {missing}, and the gate reads only `tasks`, `jobs` and `repo_freeze`: rename \
                 yours (a view is not enough), or make new, empty ones next to them with \
                 `serial-gate init --new-tables`\n"
            )
        );
        assert_eq!(gate.content(), before);
        let ran = gate.run(&["init", "--new-tables"]).succeeds();
        assert!(
            ran.stdout
                .starts_with("`serial-gate.db` has a new, empty queue next to its other tables\n"),
            "{}",
            ran.stdout
        );
        // A second run needs no flag.
        gate.run(&["init"]).succeeds();
    }
}

#[test]
fn other_tables_are_no_reason_to_refuse() {
    let gate = with(
        "CREATE TABLE notes (text TEXT); CREATE TABLE jobless (id TEXT); CREATE TABLE multitasking (id \
         TEXT)",
    );
    let ran = gate.run(&["init"]).succeeds();
    assert_eq!(
        ran.stdout,
        "`serial-gate.db` has a new, empty queue next to its other tables\nno pipeline: a finished \
         job moves no task on, until `serial-gate pipeline set` says how\n"
    );
    // The case of a name does not matter.
    let gate = with(&TABLES.replace("tasks", "Tasks").replace("jobs", "JOBS"));
    let ran = gate.run(&["init"]).succeeds();
    assert_eq!(
        ran.stdout,
        "`serial-gate.db` adopted: its `tasks` and `jobs` are empty\n"
    );
    let gate = with(&format!("{TABLES} CREATE TABLE freezes (repo TEXT)"));
    let ran = gate.run(&["init"]).succeeds();
    assert_eq!(
        ran.stdout.lines().nth(1),
        Some(
            "note: the table `freezes` is not read: the gate reads only `tasks`, `jobs` and \
             `repo_freeze`"
        )
    );
}

#[test]
fn names_of_a_hostile_database_move_no_cursor() {
    let gate = with(&format!(
        "{TABLES}
         INSERT INTO tasks VALUES (1, 'alpha', 'done' || char(27) || '[2J'), (2, 'alpha', 'Done');
         INSERT INTO jobs VALUES (1, 1, 'alpha', 'x' || char(10) || 'note: all is well', 'pend' || \
         char(8));
         CREATE TRIGGER \"\u{1b}[31m\" BEFORE INSERT ON tasks BEGIN SELECT RAISE(ABORT, \
         'no\u{1b}[2J'); END"
    ));
    for verb in [&["init", "--dry-run"][..], &["init", "-v"], &["doctor"]] {
        let ran = gate.run(verb).succeeds();
        assert!(!ran.stdout.contains('\u{1b}'), "{}", ran.stdout);
        assert!(!ran.stdout.contains('\u{8}'), "{}", ran.stdout);
        assert!(
            !ran.stdout.contains("\nnote: all is well"),
            "{}",
            ran.stdout
        );
    }
}

/// The rule and the rows do not fit, and the rules that would are given to be pasted.
#[test]
fn the_rules_that_would_fit_are_proposed_and_fit() {
    let gate = with(&format!(
        "{TABLES}
         INSERT INTO tasks VALUES (1, 'alpha', 'completed'), (2, 'alpha', 'design'), (3, 'alpha', \
         'design');
         INSERT INTO jobs VALUES (1, 1, 'alpha', 'planner', 'done'), (2, 1, 'alpha', 'coder', \
         'done'),
            (3, 2, 'alpha', 'planner', 'queued'), (4, 3, 'alpha', 'planner', 'queued');"
    ));
    let ran = gate.run(&["init"]).succeeds();
    insta::assert_snapshot!(ran.stdout, @r#"
    `serial-gate.db` adopted: 3 tasks and 4 jobs are there, 2 may be claimed
    note: the gate holds nothing here: the rule holds jobs of `analyst`, and queued are only jobs of `planner`
    note: no task is finished here: the rule knows `done` as finished, and tasks are in `design`, `completed`. An unfinished task holds the later ones of its repo
      rules that would fit: serial-gate policy settings --rules '{"finished_stages":["completed"],"gated_agents":["planner"]}' --reason TEXT
    "#);
    let line = ran.stdout.lines().last().unwrap();
    let command = line
        .trim_start()
        .strip_prefix("rules that would fit: ")
        .unwrap();
    gate.run_in_shell(command).succeeds();
    let ran = gate.run(&["doctor"]).succeeds();
    assert!(!ran.stdout.contains("note:"), "{}", ran.stdout);
    gate.run(&["claim"]).succeeds();
    gate.run(&["claim"]).exits(3);
}

#[test]
fn doctor_says_nothing_of_a_queue_that_has_just_begun() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["claim"]).succeeds();
    gate.run(&["job", "add", "1", "developer"]).succeeds();
    let ran = gate.run(&["doctor"]).succeeds();
    insta::assert_snapshot!(ran.stdout, @r#"
    1 task: `analysis` 1; 2 jobs: `queued` 1, `running` 1; queued for: `developer` 1
    1 repo compared, all heads are right
    "#);
    gate.program()
        .run("UPDATE jobs SET created_at = 'last week'");
    let ran = gate.run(&["doctor"]);
    assert!(
        ran.stdout.contains(
            "note: `last week` in `jobs.created_at` is not a time that can be read, so the age of \
             such a job is not known"
        ),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_stage_that_only_looks_finished_is_named_beside_one_that_is() {
    let gate = Gate::empty();
    gate.program().run(
        "CREATE TABLE tasks (id INTEGER PRIMARY KEY, repo TEXT, stage TEXT);
             CREATE TABLE jobs (id INTEGER PRIMARY KEY, task_id INTEGER, repo TEXT, agent TEXT, \
             status TEXT);
             INSERT INTO tasks VALUES (1, 'a', 'done'), (2, 'a', 'Done'), (3, 'a', 'analysis');
             INSERT INTO jobs VALUES (3, 3, 'a', 'analyst', 'queued');",
    );
    let said = gate.run(&["init"]).succeeds().stdout;
    assert!(
        said.contains(
            "note: tasks in `Done` are unfinished, and each holds the later ones of its \
            repo: the rule knows `done` as finished, by exact text"
        ),
        "{said}"
    );
    // It is prepared by now, and `init` would not set its rules.
    let said = gate.run(&["init", "--dry-run"]).succeeds().stdout;
    assert!(
        said.contains(r#"rules that would fit: serial-gate policy settings --rules '{"finished_stages":["done","Done"]}'"#),
        "{said}"
    );
}

#[test]
fn what_is_said_of_a_large_queue_names_how_much_was_looked_at() {
    let gate = Gate::empty();
    gate.program().run(
        "CREATE TABLE tasks (id INTEGER PRIMARY KEY, repo TEXT, stage TEXT);
             CREATE TABLE jobs (id INTEGER PRIMARY KEY, task_id INTEGER, repo TEXT, agent TEXT, \
             status TEXT);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100010)
             INSERT INTO tasks SELECT i, 'r' || i, CASE WHEN i < 10 THEN 'done' ELSE 'analysis' \
             END FROM n;
             INSERT INTO jobs SELECT id, id, repo, 'agent-' || (id % 50), 'queued' FROM tasks;",
    );
    let said = gate.run(&["init", "--dry-run"]).succeeds().stdout;
    assert!(
        said.contains("no task is finished among the newest 100000: "),
        "{said}"
    );
    assert!(
        said.contains("and the first 100000 that are queued are jobs of `agent-"),
        "{said}"
    );
    // None of them has a fair part of the tasks.
    assert!(!said.contains("rules that would fit"), "{said}");
}

#[test]
fn something_else_by_the_name_of_a_table_is_named_with_a_remedy() {
    let gate = Gate::empty();
    gate.program().run("CREATE VIEW jobs AS SELECT 1 AS id");
    let said = gate.run(&["init"]).exits(1).stderr;
    assert!(
        said.contains("`jobs` is a view, and the gate needs a table of this name: rename the view"),
        "{said}"
    );
}
