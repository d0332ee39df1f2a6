//! What a database forbids is named before anything is changed in it.

use crate::support::{Gate, Ran};

const TASKS: &str = "CREATE TABLE tasks (id INTEGER PRIMARY KEY AUTOINCREMENT, work_item_id TEXT, \
    repo TEXT, stage TEXT);
    INSERT INTO tasks (repo, stage) VALUES ('alpha', 'analysis'), ('alpha', 'done');";

const JOBS: &str =
    "CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, task_id INTEGER, repo \
    TEXT, agent TEXT,
        status TEXT DEFAULT 'queued');
    INSERT INTO jobs (task_id, repo, agent) VALUES (1, 'alpha', 'analyst');";

fn orchestrator(sql: &str) -> Gate {
    let gate = Gate::empty();
    gate.program().run(sql);
    gate
}

fn usual(sql: &str) -> Gate {
    orchestrator(&format!("{TASKS} {JOBS} {sql}"))
}

/// Jobs whose status is declared like this.
fn jobs(status: &str) -> Gate {
    orchestrator(&format!("{TASKS} {}", JOBS.replace("status TEXT", status)))
}

/// What `init` says, which leaves the file as it was.
#[track_caller]
fn refused(gate: &Gate) -> String {
    let before = std::fs::read(gate.database()).unwrap();
    let ran = gate.run(&["init"]).exits(1);
    assert_eq!(ran.stdout, "");
    assert_eq!(std::fs::read(gate.database()).unwrap(), before);
    let dry = gate.run(&["init", "--dry-run"]).exits(1);
    assert_eq!(dry.stderr, ran.stderr);
    assert_eq!(std::fs::read(gate.database()).unwrap(), before);
    let start = "error: `serial-gate.db` was left as it is: ";
    assert!(ran.stderr.starts_with(start), "{}", ran.stderr);
    ran.stderr
        .strip_prefix(start)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// The lines after the first one, of an `init` that adopts.
#[track_caller]
fn notes(gate: &Gate) -> Vec<String> {
    let Ran { stdout, .. } = gate.run(&["init"]).succeeds();
    // How long others waited depends on the machine.
    let is_of_the_machine = |line: &&str| line.starts_with("note: other writers had to wait ");
    let notes = stdout.lines().skip(1);
    notes
        .filter(|line| !is_of_the_machine(line))
        .map(|note| note.trim_start_matches("note: ").to_owned())
        .collect()
}

const BY_CHECK: &str =
    "; the gate writes `status` and its own columns only, so let the constraint allow that";

const BY_INDEX: &str = "; drop that unique index, or leave `status` out of it";

const ALLOW: &str = "; allow `queued`, `running`, `done`, `failed`, `cancelled`";

#[test]
fn a_status_that_the_column_cannot_take_is_named_with_the_constraint() {
    for (allowed, cannot) in [
        (
            "'queued', 'in_progress'",
            "`running`, `done`, `failed`, `cancelled`",
        ),
        ("'queued', 'running', 'failed', 'cancelled'", "`done`"),
        ("'queued', 'running', 'done', 'cancelled'", "`failed`"),
        ("'queued', 'running', 'done', 'failed'", "`cancelled`"),
        ("'queued', 'running'", "`done`, `failed`, `cancelled`"),
    ] {
        let gate = jobs(&format!("status TEXT CHECK (status IN ({allowed}))"));
        assert_eq!(
            refused(&gate),
            format!(
                "`jobs.status` cannot take {cannot}: CHECK constraint failed: status IN \
                 ({allowed}){ALLOW}"
            )
        );
    }
}

#[test]
fn an_empty_table_is_tried_with_a_task_or_with_a_job_that_is_made_up() {
    for (columns, cannot) in [
        (
            "status TEXT CHECK (status IN ('pending', 'active'))",
            "`queued`",
        ),
        (
            "payload TEXT NOT NULL, status TEXT CHECK (status IN ('queued', 'active'))",
            "`running`, `done`, `failed`, `cancelled`",
        ),
        (
            "status TEXT CHECK (status IN ('queued', 'active'))",
            "`running`, `done`, `failed`, `cancelled`",
        ),
    ] {
        let gate = orchestrator(&format!(
            "{TASKS} CREATE TABLE jobs (id INTEGER PRIMARY KEY, task_id INTEGER, repo TEXT, agent \
             TEXT, {columns})"
        ));
        let said = refused(&gate);
        assert!(
            said.starts_with(&format!("`jobs.status` cannot take {cannot}: ")),
            "{said}"
        );
    }
}

#[test]
fn a_constraint_over_several_columns_is_named() {
    let gate = jobs(
        "started_at TEXT, status TEXT CHECK ((status = 'running') = (started_at IS NOT NULL))",
    );
    assert_eq!(
        refused(&gate),
        format!(
            "no job can be claimed: CHECK constraint failed: (status = 'running') = (started_at IS \
             NOT NULL){BY_CHECK}"
        )
    );
}

#[test]
fn a_trigger_that_forbids_a_step_is_named_with_its_words() {
    let undone = "a trigger ignored it, or undid it";
    for (trigger, what, why) in [
        (
            "BEFORE UPDATE OF status ON jobs WHEN NEW.status = 'running' BEGIN SELECT RAISE(ABORT, \
             'use the API'); END",
            "no job can be claimed",
            "use the API",
        ),
        (
            "BEFORE UPDATE OF status ON jobs WHEN NEW.status = 'running' BEGIN SELECT RAISE(FAIL, \
             'use the API'); END",
            "no job can be claimed",
            "use the API",
        ),
        (
            "BEFORE UPDATE OF status ON jobs WHEN NEW.status = 'done' BEGIN SELECT RAISE(ROLLBACK, \
             'never'); END",
            "no job can be finished",
            "never",
        ),
        (
            "BEFORE UPDATE OF status ON jobs WHEN NEW.status = 'done' BEGIN SELECT RAISE(IGNORE); \
             END",
            "no job can be finished",
            undone,
        ),
        (
            "AFTER UPDATE OF status ON jobs WHEN NEW.status = 'failed' BEGIN UPDATE jobs SET \
             status = 'queued' WHERE id = NEW.id; END",
            "no job can be failed",
            undone,
        ),
        (
            "AFTER UPDATE OF status ON jobs WHEN NEW.status = 'running' BEGIN DELETE FROM jobs \
             WHERE id = NEW.id; END",
            "no job can be claimed",
            undone,
        ),
        (
            "BEFORE UPDATE OF status ON jobs WHEN OLD.status = 'failed' BEGIN SELECT RAISE(ABORT, \
             'it failed'); END",
            "no job can be requeued",
            "it failed",
        ),
        (
            "BEFORE UPDATE OF gate_lease ON jobs WHEN OLD.status = 'running' BEGIN SELECT \
             RAISE(ABORT, 'fixed'); END",
            "no claim can be prolonged",
            "fixed",
        ),
        (
            "AFTER UPDATE OF status ON jobs WHEN NEW.status = 'running' BEGIN SELECT \
             notify(NEW.id); END",
            "no job can be claimed",
            "no such function: notify",
        ),
        (
            "AFTER UPDATE OF status ON jobs WHEN NEW.status = 'running' BEGIN INSERT INTO events \
             VALUES (1); END",
            "no job can be claimed",
            "no such table: main.events",
        ),
    ] {
        let gate = usual(&format!("CREATE TRIGGER theirs {trigger}"));
        let said = refused(&gate);
        assert!(said.starts_with(what), "{trigger}: {said}");
        assert!(said.contains(why), "{trigger}: {said}");
        assert!(
            said.contains("(triggers on `jobs`: `theirs`)"),
            "{trigger}: {said}"
        );
    }
}

#[test]
fn a_reference_to_a_status_that_is_not_there_is_found_before_the_commit() {
    for (how, said) in [
        ("", "`jobs.status` → `statuses`"),
        (
            "DEFERRABLE INITIALLY DEFERRED",
            "`jobs.status` refers to `statuses.name`, which has no such row",
        ),
    ] {
        let gate = orchestrator(&format!(
            "CREATE TABLE statuses (name TEXT PRIMARY KEY);
             INSERT INTO statuses VALUES ('queued'), ('done'), ('failed'), ('cancelled');
             {TASKS} {}",
            JOBS.replace(
                "status TEXT",
                &format!("status TEXT REFERENCES statuses {how}")
            )
            .replace(
                &format!("{how} DEFAULT 'queued'"),
                &format!("DEFAULT 'queued' {how}")
            )
        ));
        let refused = refused(&gate);
        assert_eq!(
            refused,
            format!(
                "`jobs.status` cannot take `running`: FOREIGN KEY constraint failed: {said}{ALLOW}"
            )
        );
    }
}

#[test]
fn a_unique_column_that_only_a_second_job_meets_is_found() {
    let gate = usual("CREATE UNIQUE INDEX one_each ON jobs (task_id, status)");
    assert_eq!(
        refused(&gate),
        format!(
            "two jobs of a task cannot both be finished: UNIQUE constraint failed: jobs.task_id, \
             jobs.status{BY_INDEX}"
        )
    );
    let gate = usual("CREATE UNIQUE INDEX one_runs ON jobs (repo) WHERE status = 'running'");
    assert_eq!(
        notes(&gate),
        [
            "some jobs cannot run at once, and claims skip the second while the first runs: UNIQUE \
             constraint failed: jobs.repo"
        ]
    );
}

#[test]
fn what_depends_on_other_rows_is_told_and_the_database_is_adopted() {
    let two = "INSERT INTO tasks (repo, stage) VALUES ('alpha', 'analysis');
        INSERT INTO jobs (task_id, repo, agent, status) VALUES";
    let one_runs = "CREATE UNIQUE INDEX one_runs ON jobs (repo) WHERE status = 'running'";
    let at_once = "some jobs cannot run at once, and claims skip the second while the first runs";
    for (sql, said) in [
        (
            format!("{one_runs}; {two} (3, 'alpha', 'developer', 'running');"),
            format!("{at_once}: UNIQUE constraint failed: jobs.repo"),
        ),
        (
            format!(
                "{one_runs}; {two} (3, 'alpha', 'developer', 'running'), (3, 'beta', \
                'developer', 'queued');"
            ),
            format!("{at_once}: UNIQUE constraint failed: jobs.repo"),
        ),
        // No task can be added, and no second job of the task is there.
        (
            format!(
                "{one_runs}; {two} (3, 'alpha', 'analyst', 'queued');
                 CREATE TRIGGER theirs BEFORE INSERT ON tasks BEGIN SELECT RAISE(ABORT, 'use the \
                 API'); END;"
            ),
            format!("{at_once}: UNIQUE constraint failed: jobs.repo"),
        ),
        (
            format!(
                "{two} (1, 'alpha', 'analyst', 'done'); CREATE UNIQUE INDEX once ON jobs \
                (task_id, agent, status)"
            ),
            format!(
                "some jobs cannot be finished: UNIQUE constraint failed: jobs.task_id, \
                jobs.agent, jobs.status{BY_INDEX}"
            ),
        ),
        (
            format!(
                "{two} (3, 'alpha', 'developer', 'running');
                 CREATE TRIGGER theirs BEFORE UPDATE ON jobs WHEN NEW.status = 'running'
                    AND OLD.status != 'running' AND EXISTS (SELECT 1 FROM jobs WHERE status = \
                    'running')
                    BEGIN SELECT RAISE(ABORT, 'one at a time'); END"
            ),
            format!("{at_once}: one at a time (triggers on `jobs`: `theirs`)"),
        ),
        (
            "CREATE TRIGGER theirs BEFORE UPDATE ON jobs WHEN NEW.status = 'running'
                AND NOT EXISTS (SELECT 1 FROM tasks WHERE id = NEW.task_id AND stage = 'ready')
                BEGIN SELECT RAISE(IGNORE); END;
             INSERT INTO tasks (repo, stage) VALUES ('alpha', 'ready');
             INSERT INTO jobs (task_id, repo, agent) VALUES (3, 'alpha', 'analyst');"
                .into(),
            "some jobs cannot be claimed: a trigger ignored it, or undid it (triggers on `jobs`: \
             `theirs`); let the triggers of this database allow it"
                .into(),
        ),
    ] {
        let gate = usual(&sql);
        let found = notes(&gate);
        assert!(found.contains(&said), "{sql}: {found:#?}");
        gate.run(&["doctor"]).succeeds();
    }
}

#[test]
fn a_status_is_not_blamed_where_another_column_is_why() {
    for (columns, what) in [
        (
            "worker TEXT, status TEXT CHECK (status <> 'running' OR worker IS NOT NULL)",
            "claimed",
        ),
        (
            "finished_at TEXT, status TEXT CONSTRAINT ended CHECK (status NOT IN ('done', \
             'failed') OR finished_at IS NOT NULL)",
            "finished",
        ),
        (
            "\"what for\" TEXT, status TEXT CHECK (status <> 'running' OR \"what for\" IS NOT \
             NULL)",
            "claimed",
        ),
    ] {
        let said = refused(&jobs(columns));
        assert!(
            said.starts_with(&format!("no job can be {what}: CHECK constraint failed: ")),
            "{said}"
        );
        assert!(said.contains(BY_CHECK), "{said}");
        assert!(!said.contains("cannot take"), "{said}");
    }
    // A text that is called like a column is none.
    let said = refused(&jobs(
        "status TEXT CONSTRAINT known CHECK (status IN ('queued', 'agent'))",
    ));
    assert!(
        said.starts_with("`jobs.status` cannot take `running`, "),
        "{said}"
    );
}

#[test]
fn a_reference_that_a_trigger_breaks_is_told_as_such() {
    for event in [
        "UPDATE OF status ON jobs WHEN NEW.status = 'done'",
        "INSERT ON tasks",
    ] {
        let gate = usual(&format!(
            "CREATE TABLE log (job INTEGER REFERENCES jobs (id));
             CREATE TRIGGER theirs AFTER {event} BEGIN INSERT INTO log VALUES (99); END"
        ));
        let ran = gate.run(&["init"]);
        let told = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            told.contains(
                "FOREIGN KEY constraint failed: a trigger writes a row that refers to no \
                row (triggers on `"
            ),
            "{told}"
        );
    }
}

#[test]
fn freezes_that_cannot_be_written_or_cleared_are_refused_unless_they_are_switched_off() {
    let columns = "id INTEGER PRIMARY KEY, repo TEXT NOT NULL, cleared_at TEXT";
    for (freezes, said) in [
        (
            format!("CREATE TABLE repo_freeze ({columns}, kind TEXT NOT NULL)"),
            "no repo can be frozen: NOT NULL constraint failed: repo_freeze.kind (give that column \
             a default)",
        ),
        (
            "CREATE TABLE repo_freeze (id INTEGER PRIMARY KEY, repo TEXT, cleared_at TEXT NOT NULL \
             DEFAULT '')"
                .to_owned(),
            "no repo can be frozen: NOT NULL constraint failed: repo_freeze.cleared_at (the gate \
             writes NULL there, so drop the NOT NULL)",
        ),
        (
            format!("CREATE TABLE repo_freeze ({columns}, UNIQUE (repo))"),
            "a repo cannot be frozen a second time: UNIQUE constraint failed: repo_freeze.repo; a \
             freeze that was cleared keeps its row, so let the unique index have only rows `WHERE \
             cleared_at IS NULL`",
        ),
        (
            format!(
                "CREATE TABLE repo_freeze ({columns});
                 CREATE TRIGGER kept BEFORE UPDATE OF cleared_at ON repo_freeze BEGIN SELECT \
                 RAISE(IGNORE); END"
            ),
            "no freeze can be cleared: a trigger ignored it, or undid it (triggers on \
             `repo_freeze`: `kept`); let the triggers of this database allow it",
        ),
    ] {
        let gate = usual(&freezes);
        assert_eq!(refused(&gate), said);
        gate.run(&["init", "--freeze-enabled", "false"]).succeeds();
    }
}

#[test]
fn a_default_does_not_clear_a_freeze_that_was_just_written() {
    let gate = usual(
        "CREATE TABLE repo_freeze (id INTEGER PRIMARY KEY, repo TEXT, cleared_at TEXT DEFAULT '')",
    );
    assert_eq!(notes(&gate), [""; 0]);
    gate.run(&["freeze", "alpha", "--reason", "incident"])
        .succeeds();
    gate.run(&["claim"]).exits(3);
}

#[test]
fn what_only_some_need_is_told_and_the_database_is_adopted() {
    let no_add = "the gate cannot add a task here: use the API";
    for (sql, said) in [
        (
            "CREATE TRIGGER theirs BEFORE INSERT ON tasks BEGIN SELECT RAISE(ABORT, 'use the \
             API'); END",
            format!("{no_add} (triggers on `tasks`: `theirs`); your own program has to add them"),
        ),
        // It rolls back the additions, too, so they are made once more without it.
        (
            "CREATE TRIGGER theirs BEFORE INSERT ON jobs BEGIN SELECT RAISE(ROLLBACK, 'use the \
             API'); END",
            format!("{no_add}; your own program has to add them"),
        ),
        (
            "CREATE TRIGGER theirs BEFORE INSERT ON tasks WHEN NEW.work_item_id IS NULL BEGIN \
             SELECT RAISE(ABORT, 'name it'); END",
            "a new task needs a work item here: name it (triggers on `tasks`: `theirs`)".into(),
        ),
        (
            "CREATE TRIGGER theirs BEFORE UPDATE OF stage ON tasks WHEN NEW.stage = 'done' AND \
             OLD.stage != 'done'
                BEGIN SELECT RAISE(ABORT, 'not by you'); END",
            "no task can be ended: not by you (triggers on `tasks`: `theirs`); if the stage has \
             another name here, give it in the rules as `finished_stages`"
                .into(),
        ),
    ] {
        let gate = usual(sql);
        let found: Vec<String> = notes(&gate)
            .into_iter()
            .filter(|note| !note.starts_with("no task can be moved"))
            .collect();
        assert_eq!(found, [said], "{sql}");
    }
}

#[test]
fn a_column_that_needs_a_value_is_no_reason_to_refuse_where_there_are_jobs() {
    let jobs = "CREATE TABLE jobs (id INTEGER PRIMARY KEY, task_id INTEGER, repo TEXT, agent TEXT, \
        status TEXT, kind TEXT";
    let row = "INSERT INTO jobs VALUES (1, 1, 'alpha', 'analyst', 'queued', 'a')";
    for (kind, why) in [
        (
            "NOT NULL",
            "NOT NULL constraint failed: jobs.kind (give that column a default)",
        ),
        (
            "DEFAULT '' CHECK (kind != '')",
            "CHECK constraint failed: kind != ''",
        ),
        (
            "NOT NULL DEFAULT 'a' UNIQUE",
            "UNIQUE constraint failed: jobs.kind",
        ),
        (
            "DEFAULT 'none' REFERENCES kinds (name) DEFERRABLE INITIALLY DEFERRED",
            "FOREIGN KEY constraint failed: `jobs.kind` refers to `kinds.name`, which has no such \
             row",
        ),
    ] {
        let kinds = "CREATE TABLE kinds (name TEXT PRIMARY KEY); INSERT INTO kinds VALUES ('a')";
        let gate = orchestrator(&format!("{TASKS} {kinds}; {jobs} {kind}); {row}"));
        assert_eq!(
            notes(&gate),
            [format!(
                "the gate cannot add a task here: {why}; your own program has to add them"
            )]
        );
        gate.run(&["task", "add", "alpha"]).exits(1);
        assert_eq!(gate.do_a_job(), 1);
    }
}

#[test]
fn doctor_finds_what_came_after_the_adoption() {
    let gate = usual("");
    gate.run(&["init"]).succeeds();
    gate.run(&["doctor"]).succeeds();
    gate.program().run(
        "CREATE TRIGGER later BEFORE UPDATE OF status ON jobs BEGIN SELECT RAISE(ABORT, \
             'closed'); END",
    );
    let ran = gate.run(&["doctor"]).exits(1);
    assert!(
        ran.stdout.contains(
            "forbidden: no job can be claimed: closed (triggers on `jobs`: `later`); let the \
             triggers of this database allow it"
        ),
        "{}",
        ran.stdout
    );
    let told = gate.run(&["doctor", "--json"]).exits(1).json();
    assert_eq!(told["forbidden"][0]["what"], "claim");
}

#[test]
fn a_trial_leaves_nothing_behind() {
    let gate = usual(
        "CREATE TABLE log (line TEXT);
         CREATE TRIGGER a AFTER UPDATE ON jobs BEGIN INSERT INTO log VALUES ('job'); END;
         CREATE TRIGGER b AFTER INSERT ON jobs BEGIN INSERT INTO log VALUES ('new job'); END;
         CREATE TRIGGER c AFTER INSERT ON tasks BEGIN INSERT INTO log VALUES ('new task'); END;",
    );
    gate.run(&["init"]).succeeds();
    let sqlite = gate.program();
    // It keeps the clause of the policy, once.
    gate.run(&["doctor"]).succeeds();
    let number = |sql: &str| -> i64 { sqlite.one(sql) };
    let version = number("PRAGMA data_version");
    let before = std::fs::read(gate.database()).unwrap();
    gate.run(&["doctor"]).succeeds();
    gate.run(&["init"]).succeeds();
    gate.run(&["init", "--dry-run"]).succeeds();
    assert_eq!(number("PRAGMA data_version"), version);
    assert_eq!(std::fs::read(gate.database()).unwrap(), before);
    assert_eq!(number("SELECT count(*) FROM log"), 0);
    assert_eq!(
        number("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'"),
        1
    );
    assert_eq!(
        number("SELECT seq FROM sqlite_sequence WHERE name = 'tasks'"),
        2
    );
    assert_eq!(number("SELECT last FROM serial_gate_freeze_number"), 0);
    assert_eq!(number("SELECT count(*) FROM serial_gate_audit"), 0);
    assert_eq!(number("SELECT count(*) FROM serial_gate_alert"), 0);
}

#[test]
fn a_table_whose_ids_give_no_order_is_refused_with_what_helps() {
    for tasks in [
        "CREATE TABLE tasks (id TEXT PRIMARY KEY, repo TEXT, stage TEXT)",
        "CREATE TABLE tasks (id INTEGER PRIMARY KEY, repo TEXT, stage TEXT) WITHOUT ROWID",
    ] {
        let gate = Gate::empty();
        gate.program().run(tasks);
        let ran = gate.run(&["init"]).exits(1);
        assert_eq!(
            ran.stderr,
            "error: `serial-gate.db` was left as it is: its column `tasks.id` is not the integer \
             primary key of a table with row ids, which gives the order of the queue: make it \
             `INTEGER PRIMARY KEY`, without `WITHOUT ROWID`, or give the gate its own database\n"
        );
    }
}

#[test]
fn a_new_queue_whose_tasks_are_all_under_way_is_not_said_to_lack_a_finished_stage() {
    let gate = Gate::new();
    for _ in 0..12 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    for verb in [&["doctor"][..], &["init", "--verbose"]] {
        let said = gate.run(verb).succeeds().stdout;
        assert!(!said.contains("note:"), "{said}");
    }
}
