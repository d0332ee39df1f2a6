//! Ten databases, made as other people's orchestrators make theirs: what `init` says of each, and
//! what then happens.

use std::fmt::Write;

use crate::support::engine::Engine;
use crate::support::{Gate, Ran, token};

/// The first line of the output, on either stream, without the number of a freeze.
fn said(ran: &Ran) -> String {
    let all = format!("{}{}", ran.stdout, ran.stderr);
    let line = all.lines().next().unwrap_or_default();
    let before = line.split_once(" (freeze ").map(|(before, _)| before);
    before.unwrap_or(line).to_owned()
}

/// Adopts a database and goes through a day with it: a claim that is finished, one that fails and
/// is tried again, a freeze, a new task.
fn day(sql: &str, init: &[&str]) -> String {
    let gate = Gate::empty();
    gate.program().run(sql);
    let before = gate.content();
    let mut day = String::new();
    let arguments: Vec<&str> = ["init"].iter().chain(init).copied().collect();
    let adopted = gate.run(&arguments);
    // How long others waited depends on the machine.
    let is_of_the_machine = |line: &&str| line.starts_with("note: other writers had to wait ");
    let lines = adopted
        .stdout
        .lines()
        .filter(|line| !is_of_the_machine(line));
    let told: String = lines.map(|line| format!("{line}\n")).collect();
    writeln!(day, "{told}{}", adopted.stderr.trim_end()).unwrap();
    if adopted.code != Some(0) {
        assert_eq!(gate.content(), before);
        return day.trim_end().to_owned() + "\n→ nothing was changed";
    }
    if Engine::under_test() == Engine::Postgres {
        // The trial has drawn numbers from sequences that were in use.
        for table in ["tasks", "jobs"] {
            gate.program().run(format!(
                "SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
            ));
        }
    }
    let mut claim = |then: &dyn Fn(&str, &str) -> Vec<Ran>| {
        let ran = gate.run(&["claim", "--json"]);
        if ran.code != Some(0) {
            writeln!(day, "→ claim: {:?} nothing", ran.code.unwrap()).unwrap();
            return;
        }
        let claimed = ran.json();
        let id = claimed["id"].to_string();
        let (repo, agent) = (&claimed["repo"], &claimed["agent"]);
        writeln!(day, "→ claim: job {id} of {repo} for {agent}").unwrap();
        for ran in then(&id, &token(&claimed)) {
            writeln!(day, "  {:?} {}", ran.code.unwrap(), said(&ran)).unwrap();
        }
    };
    claim(&|id, token| vec![gate.run(&["job", "finish", id, "--token", token])]);
    claim(&|id, token| {
        vec![
            gate.run(&["job", "fail", id, "--token", token, "--error", "it broke"]),
            gate.run(&["job", "requeue", id]),
        ]
    });
    for verb in [
        &["freeze", "alpha", "--reason", "incident"][..],
        &["claim", "--agent", "analyst"],
        &["unfreeze", "alpha"],
        &["task", "add", "alpha", "--work-item", "NEW-1"],
        &["doctor"],
    ] {
        let ran = gate.run(verb);
        let said = if ran.code == Some(0) && verb == ["claim", "--agent", "analyst"] {
            "a job was claimed".into()
        } else {
            said(&ran)
        };
        let verb = verb.split_first().map_or("", |(verb, _)| verb);
        writeln!(day, "→ {verb}: {:?} {said}", ran.code.unwrap()).unwrap();
    }
    day.trim_end().to_owned()
}

/// Three tasks of two repos, with their jobs.
const ROWS: &str = "
    INSERT INTO tasks (id, repo, stage) VALUES (1, 'alpha', 'done'), (2, 'alpha', 'analysis'), (3, \
    'alpha', 'analysis'),
        (4, 'beta', 'analysis');
    INSERT INTO jobs (id, task_id, repo, agent, status) VALUES (1, 1, 'alpha', 'analyst', 'done'),
        (2, 2, 'alpha', 'analyst', 'queued'), (3, 3, 'alpha', 'analyst', 'queued'), (4, 4, 'beta', \
        'analyst', 'queued');";

#[test]
fn one_with_iso_times_and_columns_of_its_own() {
    let sql = "
        CREATE TABLE tasks (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT, repo TEXT, stage \
        TEXT, priority INTEGER DEFAULT 0,
            created_at TEXT DEFAULT '2026-01-01T00:00:00.000Z');
        CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, task_id INTEGER, repo TEXT, agent \
        TEXT, status TEXT,
            payload JSON, created_at TEXT DEFAULT '2026-01-01T00:00:00.000Z');";
    insta::assert_snapshot!(day(&format!("{sql}{ROWS}"), &[]), @r#"
    `serial-gate.db` adopted: 4 tasks and 4 jobs are there, 2 may be claimed

    → claim: job 2 of "alpha" for "analyst"
      0 job 2 is done
    → claim: job 4 of "beta" for "analyst"
      0 job 4 failed
      0 job 4 is queued again, at its old place
    → freeze: 0 `alpha` is frozen: no task of it starts
    → claim: 0 a job was claimed
    → unfreeze: 0 `alpha` is open again: 1 freeze cleared
    → task: 0 task 5 (NEW-1) added to `alpha` with job 5 for `analyst`
    → doctor: 0 5 tasks: `analysis` 4, `done` 1; 5 jobs: `done` 2, `queued` 2, `running` 1; queued for: `analyst` 2
    "#);
}

#[test]
fn one_with_other_statuses() {
    let sql = "
        CREATE TABLE tasks (id INTEGER PRIMARY KEY, repo TEXT, stage TEXT);
        CREATE TABLE jobs (id INTEGER PRIMARY KEY, task_id INTEGER, repo TEXT, agent TEXT, status \
        TEXT DEFAULT 'pending');";
    let rows = ROWS
        .replace("'queued'", "'pending'")
        .replace("'analyst', 'done'", "'analyst', 'completed'");
    insta::assert_snapshot!(day(&format!("{sql}{rows}"), &[]), @r#"
    `serial-gate.db` adopted: 4 tasks and 4 jobs are there, 0 may be claimed
    note: no job is `queued`: jobs are `pending`, `completed` here. The gate sees only `queued`, and no rule gives it another name, so your program has to write that

    → claim: 3 nothing
    → claim: 3 nothing
    → freeze: 0 `alpha` is frozen: no task of it starts
    → claim: 3 nothing to claim: `serial-gate queue` shows what waits, and why
    → unfreeze: 0 `alpha` is open again: 1 freeze cleared
    → task: 0 task 5 (NEW-1) added to `alpha` with job 5 for `analyst`
    → doctor: 0 5 tasks: `analysis` 4, `done` 1; 5 jobs: `pending` 3, `completed` 1, `queued` 1; queued for: `analyst` 1
    "#);
}

const PLANNERS: &str = "
    CREATE TABLE tasks (id INTEGER PRIMARY KEY AUTOINCREMENT, work_item_id TEXT, repo \
    VARCHAR(100), stage VARCHAR(20));
    CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, task_id BIGINT, repo VARCHAR(100), \
    agent VARCHAR(40),
        status VARCHAR(20) DEFAULT 'queued');
    INSERT INTO tasks (id, repo, stage) VALUES (1, 'alpha', 'completed'), (2, 'alpha', \
    'planning'), (3, 'alpha', 'planning'),
        (4, 'beta', 'building');
    INSERT INTO jobs (task_id, repo, agent, status) VALUES (1, 'alpha', 'planner', 'done'), (1, \
    'alpha', 'coder', 'done'),
        (2, 'alpha', 'planner', 'queued'), (3, 'alpha', 'planner', 'queued'), (4, 'beta', 'coder', \
        'queued');";

#[test]
fn one_with_other_agents_and_stages() {
    insta::assert_snapshot!(day(PLANNERS, &[]), @r#"
    `serial-gate.db` adopted: 4 tasks and 5 jobs are there, 3 may be claimed
    note: the gate holds nothing here: the rule holds jobs of `analyst`, and queued are only jobs of `planner`, `coder`
    note: no task is finished here: the rule knows `done` as finished, and tasks are in `planning`, `building`, `completed`. An unfinished task holds the later ones of its repo
      rules that would fit: serial-gate policy settings --rules '{"finished_stages":["completed"],"gated_agents":["planner"]}' --reason TEXT

    → claim: job 3 of "alpha" for "planner"
      0 job 3 is done
    → claim: job 4 of "alpha" for "planner"
      0 job 4 failed
      0 job 4 is queued again, at its old place
    → freeze: 0 `alpha` is frozen, but the gate holds jobs of `analyst` only: tasks that begin with `planner` start all the same
    → claim: 3 nothing to claim: no job has ever been for `analyst`; known agents: `coder`, `planner`
    → unfreeze: 0 `alpha` is open again: 1 freeze cleared
    → task: 0 task 5 (NEW-1) added to `alpha` with job 6 for `analyst`
    → doctor: 0 5 tasks: `planning` 2, `analysis` 1, `building` 1, `completed` 1; 6 jobs: `done` 3, `queued` 3; queued for: `analyst` 1, `coder` 1, `planner` 1
    "#);
}

#[test]
fn the_same_with_the_rules_that_were_proposed() {
    let rules = r#"{"finished_stages":["completed"],"gated_agents":["planner"]}"#;
    insta::assert_snapshot!(day(PLANNERS, &["--rules", rules]), @r#"
    `serial-gate.db` adopted: 4 tasks and 5 jobs are there, 2 may be claimed

    → claim: job 3 of "alpha" for "planner"
      0 job 3 is done
    → claim: job 5 of "beta" for "coder"
      0 job 5 failed
      0 job 5 is queued again, at its old place
    → freeze: 0 `alpha` is frozen: no task of it starts
    → claim: 3 nothing to claim: no job has ever been for `analyst`; known agents: `coder`, `planner`
    → unfreeze: 0 `alpha` is open again: 1 freeze cleared
    → task: 0 task 5 (NEW-1) added to `alpha` with job 6 for `analyst`
    → doctor: 0 5 tasks: `planning` 2, `analysis` 1, `building` 1, `completed` 1; 6 jobs: `done` 3, `queued` 3; queued for: `analyst` 1, `coder` 1, `planner` 1
    "#);
}

#[test]
fn one_with_checks_that_the_gate_fits() {
    let strict = match Engine::under_test() {
        Engine::Sqlite => "STRICT",
        Engine::Postgres => "",
    };
    let sql = format!(
        "
        CREATE TABLE tasks (id INTEGER PRIMARY KEY, work_item_id TEXT, repo TEXT NOT NULL CHECK \
        (length(repo) > 0), stage TEXT NOT NULL
            CHECK (stage IN ('analysis', 'development', 'review', 'done'))){strict};
        CREATE TABLE jobs (id INTEGER PRIMARY KEY, task_id INTEGER NOT NULL, repo TEXT NOT NULL, \
        agent TEXT NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'done', 'failed', \
            'cancelled', 'paused'))){strict};"
    );
    insta::assert_snapshot!(day(&format!("{sql}{ROWS}"), &[]), @r#"
    `serial-gate.db` adopted: 4 tasks and 4 jobs are there, 2 may be claimed

    → claim: job 2 of "alpha" for "analyst"
      0 job 2 is done
    → claim: job 4 of "beta" for "analyst"
      0 job 4 failed
      0 job 4 is queued again, at its old place
    → freeze: 0 `alpha` is frozen: no task of it starts
    → claim: 0 a job was claimed
    → unfreeze: 0 `alpha` is open again: 1 freeze cleared
    → task: 0 task 5 (NEW-1) added to `alpha` with job 5 for `analyst`
    → doctor: 0 5 tasks: `analysis` 4, `done` 1; 5 jobs: `done` 2, `queued` 2, `running` 1; queued for: `analyst` 2
    "#);
}

#[test]
fn one_with_checks_that_forbid_a_claim() {
    let sql = "
        CREATE TABLE tasks (id INTEGER PRIMARY KEY, repo TEXT, stage TEXT);
        CREATE TABLE jobs (id INTEGER PRIMARY KEY, task_id INTEGER, repo TEXT, agent TEXT,
            status TEXT CONSTRAINT known_status CHECK (status IN ('queued', 'in_progress', 'done', \
            'failed')));";
    insta::assert_snapshot!(day(&format!("{sql}{ROWS}"), &[]), @r#"
    error: `serial-gate.db` was left as it is: `jobs.status` cannot take `running`, `cancelled`: CHECK constraint failed: known_status; allow `queued`, `running`, `done`, `failed`, `cancelled`
    → nothing was changed
    "#);
}

#[test]
fn one_with_unique_columns_and_columns_that_need_a_value() {
    let sql = "
        CREATE TABLE tasks (id INTEGER PRIMARY KEY AUTOINCREMENT, work_item_id TEXT NOT NULL \
        UNIQUE, repo TEXT, stage TEXT);
        CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, task_id INTEGER, repo TEXT, agent \
        TEXT, status TEXT,
            attempt INTEGER DEFAULT 1, UNIQUE (task_id, agent, attempt));
        INSERT INTO tasks (work_item_id, repo, stage) VALUES ('A-1', 'alpha', 'done'), ('A-2', \
        'alpha', 'analysis'),
            ('A-3', 'alpha', 'analysis'), ('B-1', 'beta', 'analysis');
        INSERT INTO jobs (task_id, repo, agent, status) VALUES (1, 'alpha', 'analyst', 'done'),
            (2, 'alpha', 'analyst', 'queued'), (3, 'alpha', 'analyst', 'queued'), (4, 'beta', \
            'analyst', 'queued');";
    insta::assert_snapshot!(day(sql, &[]), @r#"
    `serial-gate.db` adopted: 4 tasks and 4 jobs are there, 2 may be claimed
    note: a new task needs a work item here: NOT NULL constraint failed: tasks.work_item_id (the gate writes NULL there, so drop the NOT NULL)

    → claim: job 2 of "alpha" for "analyst"
      0 job 2 is done
    → claim: job 4 of "beta" for "analyst"
      0 job 4 failed
      0 job 4 is queued again, at its old place
    → freeze: 0 `alpha` is frozen: no task of it starts
    → claim: 0 a job was claimed
    → unfreeze: 0 `alpha` is open again: 1 freeze cleared
    → task: 0 task 5 (NEW-1) added to `alpha` with job 5 for `analyst`
    → doctor: 0 5 tasks: `analysis` 4, `done` 1; 5 jobs: `done` 2, `queued` 2, `running` 1; queued for: `analyst` 2
    "#);
}

const TABLES: &str = "
    CREATE TABLE tasks (id INTEGER PRIMARY KEY AUTOINCREMENT, work_item_id TEXT, repo TEXT, stage \
    TEXT);
    CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, task_id INTEGER, repo TEXT, agent \
    TEXT, status TEXT);";

#[test]
fn one_with_an_audit_by_triggers_that_lets_only_its_own_program_add_tasks() {
    let sql = "
        CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER, was TEXT, became \
        TEXT);
        CREATE TRIGGER audit AFTER UPDATE OF status ON jobs BEGIN
            INSERT INTO events (job, was, became) VALUES (NEW.id, OLD.status, NEW.status);
        END;
        CREATE TRIGGER ours BEFORE INSERT ON tasks BEGIN SELECT RAISE(ABORT, 'tasks are added by \
        the planner'); END;";
    insta::assert_snapshot!(day(&format!("{TABLES}{ROWS}{sql}"), &[]), @r#"
    `serial-gate.db` adopted: 4 tasks and 4 jobs are there, 2 may be claimed
    note: the gate cannot add a task here: tasks are added by the planner (triggers on `tasks`: `ours`); your own program has to add them

    → claim: job 2 of "alpha" for "analyst"
      0 job 2 is done
    → claim: job 4 of "beta" for "analyst"
      0 job 4 failed
      0 job 4 is queued again, at its old place
    → freeze: 0 `alpha` is frozen: no task of it starts
    → claim: 0 a job was claimed
    → unfreeze: 0 `alpha` is open again: 1 freeze cleared
    → task: 1 error: `serial-gate.db` refuses the row by a rule of its own: make the change with the program that owns the table
    → doctor: 0 4 tasks: `analysis` 3, `done` 1; 4 jobs: `done` 2, `queued` 1, `running` 1; queued for: `analyst` 1
    "#);
}

#[test]
fn one_whose_trigger_undoes_a_status_that_it_does_not_know() {
    let sql = "
        CREATE TRIGGER known AFTER UPDATE OF status ON jobs WHEN NEW.status NOT IN ('queued', \
        'active', 'done') BEGIN
            UPDATE jobs SET status = OLD.status WHERE id = NEW.id;
        END;";
    insta::assert_snapshot!(day(&format!("{TABLES}{ROWS}{sql}"), &[]), @r#"
    error: `serial-gate.db` was left as it is: no job can be claimed: a trigger ignored it, or undid it (triggers on `jobs`: `known`); let the triggers of this database allow it
    → nothing was changed
    "#);
}

#[test]
fn one_with_references_and_without_autoincrement() {
    let sql = "
        CREATE TABLE repos (name TEXT PRIMARY KEY);
        CREATE TABLE agents (name TEXT PRIMARY KEY);
        INSERT INTO repos VALUES ('alpha'), ('beta');
        INSERT INTO agents VALUES ('analyst'), ('developer');
        CREATE TABLE tasks (id INTEGER PRIMARY KEY, work_item_id TEXT, repo TEXT NOT NULL \
        REFERENCES repos (name), stage TEXT);
        CREATE TABLE jobs (id INTEGER PRIMARY KEY, task_id INTEGER NOT NULL REFERENCES tasks (id) \
        ON DELETE CASCADE,
            repo TEXT REFERENCES repos (name) DEFERRABLE INITIALLY DEFERRED, agent TEXT REFERENCES agents \
            (name), status TEXT);";
    insta::assert_snapshot!(day(&format!("{sql}{ROWS}"), &[]), @r#"
    `serial-gate.db` adopted: 4 tasks and 4 jobs are there, 2 may be claimed

    → claim: job 2 of "alpha" for "analyst"
      0 job 2 is done
    → claim: job 4 of "beta" for "analyst"
      0 job 4 failed
      0 job 4 is queued again, at its old place
    → freeze: 0 `alpha` is frozen: no task of it starts
    → claim: 0 a job was claimed
    → unfreeze: 0 `alpha` is open again: 1 freeze cleared
    → task: 0 task 5 (NEW-1) added to `alpha` with job 5 for `analyst`
    → doctor: 0 5 tasks: `analysis` 4, `done` 1; 5 jobs: `done` 2, `queued` 2, `running` 1; queued for: `analyst` 2
    "#);
}

#[test]
fn one_with_epoch_times_in_milliseconds() {
    let sql = "
        CREATE TABLE tasks (id INTEGER PRIMARY KEY, repo TEXT, stage TEXT, created_at BIGINT \
        DEFAULT 1764000000000);
        CREATE TABLE jobs (id INTEGER PRIMARY KEY, task_id INTEGER, repo TEXT, agent TEXT, status \
        TEXT,
            created_at BIGINT DEFAULT 1764000000000);";
    insta::assert_snapshot!(day(&format!("{sql}{ROWS}"), &[]), @r#"
    `serial-gate.db` adopted: 4 tasks and 4 jobs are there, 2 may be claimed

    → claim: job 2 of "alpha" for "analyst"
      0 job 2 is done
    → claim: job 4 of "beta" for "analyst"
      0 job 4 failed
      0 job 4 is queued again, at its old place
    → freeze: 0 `alpha` is frozen: no task of it starts
    → claim: 0 a job was claimed
    → unfreeze: 0 `alpha` is open again: 1 freeze cleared
    → task: 0 task 5 (NEW-1) added to `alpha` with job 5 for `analyst`
    → doctor: 0 5 tasks: `analysis` 4, `done` 1; 5 jobs: `done` 2, `queued` 2, `running` 1; queued for: `analyst` 2
    "#);
}

/// 100,000 rows, or as many as `ADOPTED_ROWS` says: a million takes some seconds more.
#[test]
fn one_with_many_rows() {
    let rows: u64 = std::env::var("ADOPTED_ROWS").map_or(100_000, |rows| rows.parse().unwrap());
    let sql = format!(
        "{TABLES}
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO tasks (id, repo, stage) SELECT i, 'repo-' || (i % 100), CASE WHEN i > {rows} - \
         200 THEN 'analysis' ELSE 'done' END FROM n;
         INSERT INTO jobs (task_id, repo, agent, status)
            SELECT id, repo, 'analyst', CASE WHEN stage = 'done' THEN 'done' ELSE 'queued' END FROM tasks"
    );
    let gate = Gate::empty();
    gate.program().run(&sql);
    let told = gate.run(&["init", "--json"]).succeeds().json();
    assert_eq!(told["before"], "orchestrator");
    assert_eq!(told["claimable"], 100);
    assert_eq!(told["forbidden"], serde_json::json!([]));
    let census = &told["adoption"]["census"];
    assert_eq!(census["jobs"], rows);
    assert_eq!(
        census["statuses"][1],
        serde_json::json!({"value": "queued", "rows": 200})
    );
    assert_eq!(told["adoption"]["advice"], serde_json::json!([]));
    gate.do_a_job();
    gate.run(&["doctor"]).succeeds();
}
