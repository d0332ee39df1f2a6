//! The gate in front of an orchestrator's own database.

mod forbidden;
mod orchestrators;
mod words;

use serde_json::Value;

use crate::support::engine::{Does, Engine, Program, literal};
use crate::support::redacted::without_times;
use crate::support::{Gate, fixtures};

/// Tables as an orchestrator has them, without a column of ours.
const TABLES: &str = "
    CREATE TABLE tasks (id INTEGER PRIMARY KEY AUTOINCREMENT, work_item_id TEXT, repo TEXT, stage \
    TEXT,
        created_at TEXT DEFAULT CURRENT_TIMESTAMP);
    CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, task_id INTEGER, repo TEXT, agent TEXT,
        status TEXT DEFAULT 'queued', created_at TEXT DEFAULT CURRENT_TIMESTAMP);
    CREATE TABLE repo_freeze (id INTEGER PRIMARY KEY AUTOINCREMENT, repo TEXT NOT NULL,
        frozen_at TEXT DEFAULT CURRENT_TIMESTAMP, cleared_at TEXT, reason TEXT, work_item_id \
        TEXT);";

fn orchestrator(tables: &str) -> Gate {
    let gate = Gate::empty();
    gate.program().run(tables);
    gate
}

#[test]
fn init_adds_nullable_columns_and_indexes_and_a_second_run_changes_nothing() {
    let gate = orchestrator(TABLES);
    let added = gate.run(&["init", "--json"]).succeeds().json();
    let changes: Vec<String> = added["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect();
    assert!(
        changes.contains(&r#"{"column":"jobs.gate_token"}"#.to_owned()),
        "{changes:?}"
    );
    assert!(
        !changes
            .iter()
            .any(|change| change.contains(r#""table":"jobs""#)),
        "{changes:?}"
    );
    let before = gate.content();
    let again = gate.run(&["init"]).succeeds();
    assert_eq!(
        again.stdout,
        "`serial-gate.db` is up to date: nothing was changed
"
    );
    assert_eq!(gate.content(), before);
    // None of the columns needs a value.
    gate.program()
        .run("INSERT INTO jobs (status) VALUES (NULL)");
}

/// SQLite drops `IS NULL` from a statement where the column is NOT NULL, so that a partial index may
/// no longer fit.
#[test]
fn columns_that_are_not_null_change_no_answer() {
    let columns = |not_null: &str| {
        format!(
            "CREATE TABLE tasks (id INTEGER PRIMARY KEY {not_null}, repo TEXT {not_null},
                 stage TEXT {not_null}, created_at TEXT {not_null} DEFAULT CURRENT_TIMESTAMP);
             CREATE TABLE jobs (id INTEGER PRIMARY KEY {not_null}, task_id INTEGER {not_null},
                 repo TEXT {not_null}, agent TEXT {not_null}, status TEXT {not_null},
                 created_at TEXT {not_null} DEFAULT CURRENT_TIMESTAMP);
             INSERT INTO tasks (id, repo, stage)
                 VALUES (1, 'alpha', 'done'), (2, 'alpha', 'review'), (3, 'alpha', 'analysis');
             INSERT INTO jobs (id, task_id, repo, agent, status)
                 VALUES (1, 1, 'alpha', 'analyst', 'done'), (2, 2, 'alpha', 'analyst', 'failed'),
                     (3, 2, 'alpha', 'developer', 'paused'), (4, 2, 'alpha', 'reviewer', 'running'),
                     (5, 3, 'alpha', 'analyst', 'queued');"
        )
    };
    let answers = |not_null: &str| {
        let gate = orchestrator(&columns(not_null));
        gate.run(&["init"]).succeeds();
        let queue = gate.run(&["queue"]).succeeds().stdout;
        let explained = gate.run(&["explain", "5"]).exits(3).stdout;
        let doctor = gate.run(&["doctor"]).succeeds().stdout;
        let freeze = gate.run(&["freeze", "alpha", "--reason", "r"]).succeeds();
        assert!(freeze.stdout.contains("no task of it starts"));
        gate.run(&["claim"]).exits(3);
        without_times(&format!("{queue}{explained}{doctor}"))
    };
    assert_eq!(answers("NOT NULL"), answers(""));
}

#[test]
fn a_database_that_lacks_a_required_column_is_refused_by_its_name_and_left_untouched() {
    for (column, table) in [
        ("repo", "tasks"),
        ("stage", "tasks"),
        ("task_id", "jobs"),
        ("repo", "jobs"),
        ("agent", "jobs"),
        ("status", "jobs"),
    ] {
        let gate = orchestrator(TABLES);
        gate.program()
            .run(format!("ALTER TABLE {table} DROP COLUMN {column}"));
        let before = gate.content();
        let ran = gate.run(&["init"]).exits(1);
        let place = match Engine::under_test() {
            Engine::Sqlite => "database",
            Engine::Postgres => "schema",
        };
        assert_eq!(
            ran.stderr,
            format!(
                "error: `serial-gate.db` was left as it is: its table `{table}` lacks the column `{column}`: \
                 add it and fill it, or give the gate its own {place}\n"
            )
        );
        assert_eq!(gate.content(), before);
    }
}

#[test]
fn a_table_without_an_integer_primary_key_has_no_order_and_is_refused() {
    let gate = orchestrator("CREATE TABLE tasks (id TEXT PRIMARY KEY, repo TEXT, stage TEXT)");
    let ran = gate.run(&["init"]).exits(1);
    assert!(
        ran.stderr
            .contains("`tasks.id` is not the integer primary key"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_view_is_no_table_and_is_refused() {
    let gate = orchestrator(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, repo TEXT, stage TEXT); CREATE VIEW tasks AS SELECT * FROM \
         t",
    );
    let ran = gate.run(&["init"]).exits(1);
    assert!(
        ran.stderr
            .contains("`tasks` is a view, and the gate needs a table of this name"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_column_that_does_not_compare_as_the_rule_does_is_refused_and_nothing_changes() {
    for (declared, instead, problem) in [
        (
            "stage TEXT",
            "stage TEXT COLLATE NOCASE",
            "its column `tasks.stage` compares by `NOCASE`",
        ),
        (
            "task_id INTEGER",
            "task_id TEXT",
            "its column `jobs.task_id` is declared `TEXT`",
        ),
        (
            "agent TEXT",
            "agent",
            "its column `jobs.agent` is declared ``",
        ),
        (
            "agent TEXT",
            "agent TEXT AS ('analyst')",
            "its column `jobs.agent` is generated",
        ),
        (
            "jobs (id INTEGER PRIMARY KEY AUTOINCREMENT",
            "jobs (id INTEGER PRIMARY KEY DESC",
            "its column `jobs.id` is not the",
        ),
        (
            "jobs (id",
            "serial_gate_token (foo); CREATE VIEW serial_gate_clause AS SELECT 1; CREATE TABLE \
             jobs (id",
            "is a view, and",
        ),
    ] {
        let gate = orchestrator(&TABLES.replace(declared, instead));
        let before = gate.content();
        let ran = gate.run(&["init"]).exits(1);
        assert!(ran.stderr.contains(problem), "{}", ran.stderr);
        assert_eq!(gate.content(), before);
    }
}

#[test]
fn names_in_another_case_are_the_same_names() {
    let gate = orchestrator(
        &TABLES
            .replace("TABLE jobs", "TABLE JOBS")
            .replace("agent TEXT", "Agent VARCHAR(20)"),
    );
    gate.run(&["init"]).succeeds();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["queue"]).succeeds();
    gate.run(&["claim"]).succeeds();
}

#[test]
fn the_orchestrator_s_own_statements_and_triggers_go_on_working() {
    let gate = orchestrator(TABLES);
    gate.program()
        .run("CREATE TABLE log (job INTEGER, at TEXT)");
    gate.program().trigger(
        "claimed",
        "AFTER UPDATE OF status ON jobs",
        None,
        &Does::Run("INSERT INTO log VALUES (new.id, CURRENT_TIMESTAMP)"),
    );
    gate.run(&["init"]).succeeds();
    gate.program().run(
        "INSERT INTO tasks (repo, stage) VALUES ('alpha', 'analysis');
             INSERT INTO jobs (task_id, repo, agent) VALUES (1, 'alpha', 'analyst');",
    );
    gate.run(&["claim"]).succeeds();
    let logged: i64 = gate.program().one("SELECT job FROM log");
    assert_eq!(logged, 1);
}

/// What an orchestrator does that splices the fragment into its own claim.
#[test]
fn triggers_of_the_orchestrator_may_have_what_no_clause_may() {
    let gate = orchestrator(TABLES);
    let writes_down = |event: &str| {
        format!(
            r#"CREATE TRIGGER "{event}" AFTER {event} BEGIN
                INSERT INTO log SELECT printf("%s %s", lower("{event}"), date("2026-11-25"))
                    WHERE "some long text" LIKE "%long%"
                    UNION SELECT 'b' UNION SELECT 'c' UNION SELECT 'd';
               END;"#
        )
    };
    let events = [
        "INSERT ON tasks",
        "UPDATE OF stage ON tasks",
        "INSERT ON jobs",
        "UPDATE OF status ON jobs",
        "INSERT ON repo_freeze",
        "UPDATE OF cleared_at ON repo_freeze",
    ];
    let triggers: String = events.map(writes_down).concat();
    gate.program()
        .run(format!("CREATE TABLE log (line TEXT); {triggers}"));
    gate.run(&["init"]).succeeds();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.do_a_job();
    gate.run(&["task", "done", "1"]).succeeds();
    gate.run(&["freeze", "alpha", "--new", "--reason", "r"])
        .succeeds();
    gate.run(&["unfreeze", "alpha"]).succeeds();
    let lines: i64 = gate.program().one("SELECT count(*) FROM log");
    // The job's status changes twice.
    assert_eq!(lines, 4 * 7);
}

fn claim_beside(program: &Program, clause: &str) -> Option<i64> {
    program.maybe(format!(
        "UPDATE jobs SET status = 'running' WHERE id = \
         (SELECT id FROM jobs WHERE status = 'queued' {clause}ORDER BY id LIMIT 1) RETURNING id"
    ))
}

/// Inserts rows of a case, with these columns.
fn fill(program: &Program, table: &str, columns: &[&str], rows: &Value) {
    for row in rows.as_array().unwrap() {
        let values = columns.iter().map(|column| match &row[column] {
            Value::Null => "NULL".into(),
            Value::String(text) => literal(text),
            other => other.to_string(),
        });
        let (values, columns) = (values.collect::<Vec<_>>().join(", "), columns.join(", "));
        program.run(format!("INSERT INTO {table} ({columns}) VALUES ({values})"));
    }
}

#[test]
fn an_orchestrator_and_the_gate_claim_alternately_from_one_file_in_one_order() {
    let lines = std::fs::read_to_string(fixtures("random.jsonl")).unwrap();
    // Neither a command line nor a server's text can hold a NUL.
    let lines = lines.lines().filter(|line| !line.contains("\\u0000"));
    let cases = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let many = cases.filter(|line| {
        (6..=12).contains(&line["expected"]["claim_order"].as_array().unwrap().len())
    });
    let mut alternations = 0;
    for line in many.take(12) {
        let (case, expected) = (&line["case"], &line["expected"]);
        let gate = orchestrator(TABLES);
        for (table, rows, columns) in [
            ("tasks", &case["tasks"], &["id", "repo", "stage"][..]),
            (
                "jobs",
                &case["jobs"],
                &["id", "task_id", "repo", "agent", "status"],
            ),
            (
                "repo_freeze",
                &case["freezes"],
                &["id", "repo", "cleared_at"],
            ),
        ] {
            fill(&gate.program(), table, columns, rows);
        }
        gate.run(&["init"]).succeeds();
        let settings = &case["settings"];
        let flag = |key: &str| settings[key].to_string();
        let repos = settings["repos"].as_str().unwrap_or_default();
        let claim = [
            "claim",
            "--json",
            "--enabled",
            &flag("enabled"),
            "--freeze-enabled",
            &flag("freeze_enabled"),
            "--repos",
            repos,
        ];
        let beside = gate.program();
        let mut order = Vec::new();
        loop {
            let ours = gate.run(&claim);
            let ours = (ours.code == Some(0)).then(|| ours.json()["id"].as_i64().unwrap());
            let theirs = claim_beside(&beside, expected["clause"].as_str().unwrap());
            order.extend(ours.into_iter().chain(theirs));
            if theirs.is_none() {
                assert_eq!(
                    gate.run(&claim).code,
                    Some(3),
                    "{}: both find none",
                    case["name"]
                );
                break;
            }
            alternations += 1;
        }
        assert_eq!(
            serde_json::json!(order),
            expected["claim_order"],
            "{}",
            case["name"]
        );
    }
    assert!(alternations > 30, "{alternations}");
}

#[test]
fn a_label_that_compares_otherwise_than_byte_by_byte_is_refused() {
    let gate = Gate::empty();
    gate.program().run(
        "CREATE TABLE tasks (id INTEGER PRIMARY KEY, repo TEXT, stage TEXT, gate_label TEXT \
             COLLATE NOCASE)",
    );
    let ran = gate.run(&["init"]).exits(1);
    insta::assert_snapshot!(ran.stderr, @"error: `serial-gate.db` was left as it is: its column \
        `tasks.gate_label` compares by `NOCASE`, and the rule byte by byte: drop the collation");
}

#[test]
fn init_brings_back_what_was_dropped() {
    let gate = Gate::new();
    let name = "serial_gate_jobs_added";
    let create = |program: &Program| {
        let mut own = program.own("trigger").into_iter();
        own.find(|(found, _)| found == name).unwrap().1
    };
    type Drop<'a> = &'a dyn Fn(&Program);
    let drops: [(Drop<'_>, &str); 4] = [
        (
            &|program| {
                program.run("DROP INDEX serial_gate_generation_active");
            },
            "serial_gate_generation_active",
        ),
        (
            &|program| {
                program.drop_trigger("serial_gate_tasks_changed");
                program.run("ALTER TABLE tasks DROP COLUMN gate_label");
            },
            "tasks.gate_label",
        ),
        (&|program| program.drop_trigger(name), name),
        (
            &|program| program.idle_trigger(name, &create(program)),
            name,
        ),
    ];
    for (drop, names) in drops {
        drop(&gate.program());
        let ran = gate.run(&["queue"]).exits(1);
        let remedy = " init` adds what is missing";
        assert!(ran.stderr.contains(remedy), "{}", ran.stderr);
        let ran = gate.run(&["init", "-v"]).succeeds();
        assert!(ran.stdout.contains(names), "{}", ran.stdout);
        gate.run(&["queue"]).succeeds();
    }
}
