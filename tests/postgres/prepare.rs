//! The preparation of a database in a real server: what it adds, what it leaves alone, and what it
//! refuses by name.
//!
//! Owns a database for each test, which is dropped in the end. These are unit tests of the store
//! until the command takes the address of a server.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::clause::Agents;
use crate::queue;
use crate::store::engine::values;
use crate::store::records::tasks::NewTask;
use crate::store::records::waiting::LineHeads;
use crate::store::{
    Actor, Before, Database, Durability, Error, Location, Missing, Prepared, Problem, Risk, Store,
    TemporarySchema,
};
use insta::assert_snapshot;
use postgres::config::Host;
use postgres::{Client, Config, NoTls};

use super::tests::server;
use crate::model::Settings;

/// A database of its own.
pub(super) struct Base {
    server: Config,
    pub name: String,
    url: String,
}

impl Base {
    /// A new, empty one, if the environment names a server.
    pub fn new() -> Option<Base> {
        let server: Config = server()?.parse().unwrap();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("prepare_{}_{number}", std::process::id());
        let mut client = server.connect(NoTls).unwrap();
        client
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .unwrap();
        let url = url(&server, server.get_user().unwrap(), &name);
        Some(Base { server, name, url })
    }

    pub fn client(&self) -> Client {
        self.server
            .clone()
            .dbname(&self.name)
            .connect(NoTls)
            .unwrap()
    }

    pub fn run(&self, sql: &str) {
        self.client().batch_execute(sql).unwrap();
    }

    pub fn number(&self, sql: &str) -> i64 {
        self.client().query_one(sql, &[]).unwrap().get(0)
    }

    pub fn database(&self, parameters: &str) -> Database {
        let server = format!("{}{parameters}", self.url).parse().unwrap();
        Database::new(Location::Server(server), Durability::Full)
    }

    /// The database as another role has it.
    pub fn database_of(&self, role: &str) -> Database {
        let server = url(&self.server, role, &self.name).parse().unwrap();
        Database::new(Location::Server(server), Durability::Full)
    }

    fn prepare(&self, database: Database, preparing: queue::Preparing) -> Result<Prepared, String> {
        let actor = Actor {
            now: jiff::Timestamp::now(),
            who: "tests",
            why: "a test",
        };
        let settings = Settings {
            enabled: true,
            repos: String::new(),
            freeze_enabled: true,
            rules: None,
        };
        let prepared = queue::Queue::prepare(database, &settings, actor, preparing);
        prepared.map_err(|error| error.to_string().replace(&shown(&self.url), "URL"))
    }

    pub fn init(&self) -> Result<Prepared, String> {
        self.prepare(self.database(""), queue::Preparing::default())
    }

    /// Why a schema with these tables is refused. Nothing of the gate's is left in it.
    fn refusal(&self, tables: &str) -> String {
        self.run(&format!(
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public; {tables}"
        ));
        let before = self.everything();
        let refusal = self.init().unwrap_err();
        assert_eq!(self.everything(), before);
        refusal
    }

    /// Every table, column, index, trigger and function that is there.
    fn everything(&self) -> Vec<String> {
        let rows = self.client().query(
            "SELECT format('%s.%s', c.relname, a.attname) AS name FROM pg_class c
             JOIN pg_attribute a ON a.attrelid = c.oid
             WHERE c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped
             UNION ALL SELECT tgname FROM pg_trigger
             UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
             ORDER BY name",
            &[],
        );
        rows.unwrap().iter().map(|row| row.get(0)).collect()
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        let mut client = self.server.connect(NoTls).unwrap();
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        client.batch_execute(&drop).unwrap();
    }
}

fn url(server: &Config, user: &str, name: &str) -> String {
    let host = match &server.get_hosts()[0] {
        Host::Tcp(host) => host.clone(),
        Host::Unix(folder) => folder.to_str().unwrap().replace('/', "%2F"),
    };
    let port = server
        .get_ports()
        .first()
        .map_or_else(String::new, |port| format!(":{port}"));
    format!("postgres://{user}@{host}{port}/{name}")
}

/// The address as an error shows it.
fn shown(url: &str) -> String {
    Location::of(url.as_ref()).unwrap().to_string()
}

/// Tables of an orchestrator, with types that are not the gate's.
const ORCHESTRATOR: &str = "
    CREATE TABLE tasks (id serial PRIMARY KEY, title text NOT NULL DEFAULT '', repo varchar(80),
        stage varchar(20) NOT NULL DEFAULT 'analysis', created_at timestamptz DEFAULT now());
    CREATE TABLE jobs (id serial PRIMARY KEY, task_id integer REFERENCES tasks (id),
        repo varchar(80), agent varchar(20) NOT NULL, status varchar(20) NOT NULL DEFAULT 'queued',
        payload jsonb, created_at timestamptz DEFAULT now());
    INSERT INTO tasks (repo) VALUES ('alpha'), ('alpha'), ('beta');
    INSERT INTO jobs (task_id, repo, agent) SELECT id, repo, 'analyst' FROM tasks;";

#[test]
fn an_empty_database_becomes_a_queue_and_a_second_time_nothing_is_added() {
    let Some(base) = Base::new() else { return };
    let prepared = base.init().unwrap();
    assert_eq!(prepared.before, Before::Nothing);
    assert!(prepared.changes.len() > 60);
    let everything = base.everything();
    let again = base.init().unwrap();
    assert_eq!(again.before, Before::Queue);
    assert_eq!(again.changes, []);
    assert!(again.proof.is_fit(), "{:?}", again.proof);
    assert_eq!(base.everything(), everything);
    let mut store = Store::open(base.database("")).unwrap();
    assert_eq!(store.missing().unwrap(), []);
    assert_eq!(store.census().unwrap().jobs, 0);
    store.try_to_write().unwrap();
}

#[test]
fn an_orchestrator_keeps_its_columns_and_its_statements_work() {
    let Some(base) = Base::new() else { return };
    base.run(ORCHESTRATOR);
    let before = base.everything();
    let prepared = base.init().unwrap();
    assert_eq!(prepared.before, Before::Orchestrator);
    assert_eq!(prepared.proof.forbidden, []);
    assert_eq!(prepared.proof.unknown, None);
    let everything = base.everything();
    assert!(before.iter().all(|name| everything.contains(name)));
    base.run("INSERT INTO tasks (repo, stage) VALUES ('alpha', 'analysis')");
    base.run("INSERT INTO repo_freeze (repo) VALUES ('alpha')");
    assert_eq!(
        base.number("SELECT count(*) FROM serial_gate_mark WHERE repo = 'alpha'"),
        2
    );
    assert_eq!(
        base.number("SELECT count(*) FROM jobs WHERE status = 'queued'"),
        3
    );
    let mut store = Store::open(base.database("")).unwrap();
    let census = store.census().unwrap();
    assert_eq!(
        (census.tasks, census.jobs, census.unreadable_time),
        (4, 3, None)
    );
    assert_eq!(base.init().unwrap().changes, []);
}

#[test]
fn a_dry_run_leaves_nothing() {
    let Some(base) = Base::new() else { return };
    base.run(ORCHESTRATOR);
    let before = base.everything();
    let dry = queue::Preparing {
        dry_run: true,
        ..queue::Preparing::default()
    };
    let prepared = base.prepare(base.database(""), dry).unwrap();
    assert!(prepared.changes.len() > 50);
    assert_eq!(base.everything(), before);
    assert!(matches!(
        Store::open(base.database("")).err().unwrap(),
        Error::Database(error) if matches!(error.problem, crate::store::Problem::NotPrepared(_))
    ));
    let found = Store::census_at(&base.database("").location).unwrap();
    assert_eq!((found.tasks, found.jobs), (3, 3));
    let looked = Store::look_into(&base.database("").location);
    assert!(!looked.has_generations);
    assert_eq!(looked.repos.len(), 4);
}

#[test]
fn what_the_rule_cannot_compare_is_refused_by_name() {
    let Some(base) = Base::new() else { return };
    let jobs = "CREATE TABLE jobs (id bigint PRIMARY KEY, task_id bigint, repo text, agent text,
        status text);";
    let tasks = |columns: &str| format!("{jobs} CREATE TABLE tasks ({columns});");
    let with = |status: &str| {
        format!(
            "CREATE TABLE tasks (id bigint PRIMARY KEY, repo text, stage text);
             CREATE TABLE jobs (id bigint PRIMARY KEY, task_id bigint, repo text, agent text,
                status {status});"
        )
    };
    let refused = [
        tasks("id uuid PRIMARY KEY, repo text, stage text"),
        tasks("id numeric PRIMARY KEY, repo text, stage text"),
        tasks("id bigint, repo text, stage text"),
        tasks("repo text, stage text"),
        tasks("id bigint PRIMARY KEY, stage text"),
        tasks("id bigint PRIMARY KEY, repo char(20), stage text"),
        tasks("id bigint PRIMARY KEY, repo integer, stage text"),
        tasks("id bigint PRIMARY KEY, repo text COLLATE \"de-x-icu\", stage text"),
        tasks(
            "id bigint PRIMARY KEY, repo text, title text,
            stage text GENERATED ALWAYS AS (lower(title)) STORED",
        ),
        format!(
            "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2',
                deterministic = false);
             {}",
            tasks("id bigint PRIMARY KEY, repo text COLLATE nocase, stage text")
        ),
        format!(
            "CREATE TYPE job_status AS ENUM ('open', 'closed'); {}",
            with("job_status")
        ),
        format!("{jobs} CREATE VIEW tasks AS SELECT id, repo, agent AS stage FROM jobs;"),
        format!(
            "{jobs} CREATE TABLE tasks (id bigint PRIMARY KEY, repo text, stage text)
                PARTITION BY HASH (id);"
        ),
        tasks("id bigint PRIMARY KEY, repo text, stage text")
            + "CREATE TABLE old_work () INHERITS (tasks);",
        tasks("id bigint PRIMARY KEY, repo text, stage text, gate_branch integer"),
        tasks("id bigint PRIMARY KEY, repo text, stage text")
            + "CREATE TABLE serial_gate_jobs_queued ();",
        jobs.replace("jobs", "job"),
    ];
    let refusals: Vec<String> = refused.iter().map(|tables| base.refusal(tables)).collect();
    assert_snapshot!(refusals.join("\n"), @r#"
    `URL` was left as it is: its column `tasks.id` is declared `uuid`, and the rule compares it as `bigint`, which gives the order of the queue
    `URL` was left as it is: its column `tasks.id` is declared `numeric`, and the rule compares it as `bigint`, which gives the order of the queue
    `URL` was left as it is: its column `tasks.id` is declared `bigint` and may be NULL or occur twice, and it gives the order of the queue: make it the primary key
    `URL` was left as it is: its table `tasks` lacks the column `id`: add it and fill it, or give the gate its own schema
    `URL` was left as it is: its table `tasks` lacks the column `repo`: add it and fill it, or give the gate its own schema
    `URL` was left as it is: its column `tasks.repo` is declared `character(20)`, and the rule compares it as `text`: declare it so
    `URL` was left as it is: its column `tasks.repo` is declared `integer`, and the rule compares it as `text`: declare it so
    `URL` was left as it is: its column `tasks.repo` compares by the collation `de-x-icu`, and the rule byte by byte: drop the collation
    `URL` was left as it is: its column `tasks.stage` is generated, and the gate has to write it
    `URL` was left as it is: its column `tasks.repo` compares by the collation `nocase`, and the rule byte by byte: drop the collation
    `URL` was left as it is: its column `jobs.status` is declared `job_status`, and the rule compares it as `text`: declare it so
    `URL` was left as it is: `tasks` is a view, and the gate needs a table of this name: rename the view, or give the gate its own schema
    `URL` was left as it is: its table `tasks` is partitioned, and a claim cannot lock a row that moves between partitions: make it a plain table, or give the gate its own schema
    `URL` was left as it is: other tables inherit from `tasks`, and their rows have no triggers of the gate: give it a table of its own
    `URL` was left as it is: its column `tasks.gate_branch` is declared `integer`, and the gate writes it as `text`: declare it so
    `URL` was left as it is: `serial_gate_jobs_queued` is a table, and the gate needs an index of `jobs` of this name: rename the table, or give the gate its own schema
    `URL` was left as it is: it has the table `job`, but no `jobs`, and the gate reads only `tasks`, `jobs` and `repo_freeze` of the schema `public`
    "#);
}

#[test]
fn what_the_database_forbids_is_found_by_the_trial() {
    let Some(base) = Base::new() else { return };
    let with = |more: &str| format!("{ORCHESTRATOR} {more}");
    let trigger = |of: &str, body: &str| {
        with(&format!(
            "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {body} END$$;
             CREATE TRIGGER guard {of} FOR EACH ROW EXECUTE FUNCTION guard();"
        ))
    };
    let refused = [
        with(
            "ALTER TABLE jobs ADD CONSTRAINT known CHECK (status IN ('queued', 'working', 'done'))",
        ),
        with(
            "CREATE DOMAIN word AS text CONSTRAINT known CHECK (VALUE IN ('queued', 'running'));
             ALTER TABLE jobs ALTER status DROP DEFAULT, ALTER status TYPE word",
        ),
        trigger(
            "BEFORE UPDATE ON jobs",
            "IF NEW.status = 'running' THEN RAISE EXCEPTION 'jobs are closed'; END IF; RETURN NEW;",
        ),
        trigger("BEFORE UPDATE ON jobs", "RETURN NULL;"),
        with(
            "CREATE TABLE states (name text PRIMARY KEY); INSERT INTO states VALUES ('queued');
             ALTER TABLE jobs ADD FOREIGN KEY (status) REFERENCES states
                DEFERRABLE INITIALLY DEFERRED",
        ),
        with(
            "CREATE TABLE repo_freeze (id bigserial PRIMARY KEY, repo text UNIQUE, cleared_at text)",
        ),
    ];
    let refusals: Vec<String> = refused.iter().map(|tables| base.refusal(tables)).collect();
    assert_snapshot!(refusals.join("\n"), @r#"
    `URL` was left as it is: `jobs.status` cannot take `running`, `failed`, `cancelled`: new row for relation "jobs" violates check constraint "known"; allow `queued`, `running`, `done`, `failed`, `cancelled`
    `URL` was left as it is: `jobs.status` cannot take `done`, `failed`, `cancelled`: value for domain word violates check constraint "known"; allow `queued`, `running`, `done`, `failed`, `cancelled`
    `URL` was left as it is: no job can be claimed: jobs are closed (triggers on `jobs`: `guard`); let the triggers of this database allow it
    `URL` was left as it is: no job can be claimed: a trigger ignored it, or undid it (triggers on `jobs`: `guard`); let the triggers of this database allow it
    `URL` was left as it is: `jobs.status` cannot take `running`, `done`, `failed`, `cancelled`: insert or update on table "jobs" violates foreign key constraint "jobs_status_fkey" (Key (status)=(running) is not present in table "states".); allow `queued`, `running`, `done`, `failed`, `cancelled`
    `URL` was left as it is: a repo cannot be frozen a second time: duplicate key value violates unique constraint "repo_freeze_repo_key" (Key (repo)=(beta) already exists.); a freeze that was cleared keeps its row, so let the unique index have only rows `WHERE cleared_at IS NULL`
    "#);

    base.run(&format!(
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public; {ORCHESTRATOR}
         ALTER TABLE tasks ALTER title DROP DEFAULT"
    ));
    let proof = base.init().unwrap().proof;
    let found: Vec<String> = proof.forbidden.iter().map(ToString::to_string).collect();
    assert_snapshot!(found.join("\n"), @r#"the gate cannot add a task here: null value in column "title" of relation "tasks" violates not-null constraint (give that column a default); your own program has to add them"#);
}

#[test]
fn what_the_role_and_the_schema_lack_is_named() {
    let Some(base) = Base::new() else { return };
    let role = format!("{}_role", base.name);
    base.run(&format!("CREATE ROLE {role} LOGIN; {ORCHESTRATOR}"));
    let as_role = |parameters: &str| {
        let url = url(&base.server, &role, &base.name);
        let server = format!("{url}{parameters}").parse().unwrap();
        let database = Database::new(Location::Server(server), Durability::Full);
        let prepared = base.prepare(database, queue::Preparing::default());
        let refusal = prepared.map(|prepared| prepared.changes).unwrap_err();
        let address = shown(&format!("{url}{parameters}"));
        refusal
            .replace(&address, &format!("URL{parameters}"))
            .replace(&role, "ROLE")
    };
    let mut refusals = vec![as_role("?schema=queue"), as_role("?schema=public")];
    base.run(&format!("GRANT CREATE ON SCHEMA public TO {role}"));
    refusals.push(as_role("?schema=public"));
    base.run(&format!(
        "CREATE SCHEMA other; GRANT ALL ON SCHEMA other TO {role}"
    ));
    base.run(&format!("ALTER ROLE {role} SET search_path = other"));
    refusals.push(as_role(""));
    base.run(&format!(
        "ALTER ROLE {role} SET default_transaction_read_only = on"
    ));
    refusals.push(as_role(""));
    base.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    let refusals = refusals.join("\n").replace("`tests`", "`OWNER`");
    assert_snapshot!(refusals, @r#"
    `URL?schema=queue` was left as it is: it has no schema `queue`: create it, or name another one
    `URL?schema=public` was left as it is: the role `ROLE` may make nothing in the schema `public`: grant it `CREATE`
    `URL?schema=public` was left as it is: `jobs`, `tasks` belong to the role `OWNER`, and `ROLE` has to add columns, indexes and triggers to them: prepare the database as `OWNER`, or make `ROLE` a member of it
    `URL` was left as it is: it has the tables `public.jobs`, `public.tasks`, but no `tasks`, `jobs`, and the gate reads only `tasks`, `jobs` and `repo_freeze` of the schema `other`
    `URL` was left as it is: its transactions are read-only: set `default_transaction_read_only` to `off` for this role
    "#);
}

#[test]
fn a_database_that_the_server_does_not_have_is_told() {
    let Some(base) = Base::new() else { return };
    let missing = base.url.replace(&base.name, "serial_gate_nowhere");
    let server: super::server::Server = missing.parse().unwrap();
    let refused = TemporarySchema::create(&server).err().unwrap();
    let refused = refused.to_string().replace(&shown(&missing), "URL");
    assert_snapshot!(refused, @"there is no such database on the server of `URL`: create it with `createdb`, or correct the name");
    assert!(
        Store::open(Database::new(Location::Server(server), Durability::Full))
            .is_err_and(|error| matches!(error.problem(), Some(Problem::NoDatabase(_))))
    );
}

#[test]
fn a_sequence_behind_its_ids_is_told_and_left_as_it_is_and_unused_numbers_stay_unused() {
    let Some(base) = Base::new() else { return };
    base.init().unwrap();
    let unused = "SELECT count(*) FROM pg_sequences
        WHERE sequencename IN ('tasks_id_seq', 'jobs_id_seq') AND last_value IS NULL";
    assert_eq!(base.number(unused), 2);
    base.run(
        "INSERT INTO tasks (id, repo, stage) VALUES (1, 'a', 'done'), (2, 'a', 'analysis');
         INSERT INTO jobs (id, task_id, repo, agent) VALUES (2, 2, 'a', 'analyst')",
    );
    let prepared = base.init().unwrap();
    let told: Vec<String> = prepared
        .proof
        .forbidden
        .iter()
        .map(ToString::to_string)
        .collect();
    let of = |table: &str| {
        format!(
            "the gate cannot add a task here: the sequence of `{table}.id` is behind the highest id, so \
             a new row gets a number that is taken: run `SELECT \
             setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}`; your own \
             program has to add them"
        )
    };
    assert_eq!(told, [of("tasks"), of("jobs")]);
    assert_eq!(base.number(unused), 2);
    let mut store = Store::open(base.database("")).unwrap();
    let task = NewTask {
        repo: "a",
        work_item: None,
        stage: "analysis",
        agent: "analyst",
        label: None,
    };
    let refused = store.add_task(jiff::Timestamp::now(), task).unwrap_err();
    assert!(
        matches!(refused.problem(), Some(Problem::NumberTaken { table, .. }) if table == "tasks"),
        "{refused:?}"
    );
}

#[test]
fn what_may_cost_an_acknowledged_change_is_told() {
    let Some(base) = Base::new() else { return };
    let standbys = base.number("SELECT count(*) FROM pg_stat_replication");
    let mut expected = Vec::new();
    if base.number("SELECT (current_setting('fsync') = 'off')::integer::bigint") == 1 {
        expected.push(Risk::NotFlushed);
    }
    if standbys > 0 {
        expected.push(Risk::Asynchronous);
    }
    assert_eq!(base.init().unwrap().risks, expected);
    let mut store = Store::open(base.database("")).unwrap();
    assert_eq!(store.risks().unwrap(), expected);
    base.run("ALTER TABLE jobs SET UNLOGGED");
    assert!(store.risks().unwrap().contains(&Risk::Unlogged));
    let words: Vec<String> = [
        Risk::NotFlushed,
        Risk::Asynchronous,
        Risk::NotOnItsDisk,
        Risk::NoneConnected,
    ]
    .iter()
    .map(ToString::to_string)
    .collect();
    assert_snapshot!(words.join("\n"), @"
    the server does not wait for its disk (`fsync` is off): a power cut may lose or damage everything
    replication is asynchronous (`synchronous_standby_names` is empty): when a standby takes over, acknowledged claims and freezes may be lost, and a job may be given twice
    replication is not strict (`synchronous_commit` is `remote_write`): if a standby takes over after a power cut, acknowledged changes may be lost
    replication is synchronous, and no synchronous standby is connected: changes wait for one, unless your cluster's manager switches to asynchronous
    ");
}

#[test]
fn a_lost_or_disabled_trigger_is_missing_until_it_is_restored() {
    let Some(base) = Base::new() else { return };
    base.init().unwrap();
    let mut store = Store::open(base.database("")).unwrap();
    let version = "SELECT version FROM serial_gate_clause_version";
    let before = base.number(version);
    base.run("DROP TRIGGER serial_gate_tasks_added ON tasks");
    base.run("ALTER TABLE repo_freeze DISABLE TRIGGER serial_gate_repo_freeze_numbered");
    base.run("ALTER TABLE jobs ENABLE TRIGGER serial_gate_jobs_added");
    let lost = [
        "serial_gate_jobs_added",
        "serial_gate_repo_freeze_numbered",
        "serial_gate_tasks_added",
    ];
    let names = |names: &[&str]| -> Vec<Missing> {
        names
            .iter()
            .map(|name| Missing::Trigger((*name).into()))
            .collect()
    };
    let mut missing = store.missing().unwrap();
    missing.sort();
    assert_eq!(missing, names(&lost));
    assert_eq!(store.restore_triggers().unwrap().len(), 3);
    assert_eq!(store.missing().unwrap(), []);
    assert!(base.number(version) > before);
    assert_eq!(store.restore_triggers().unwrap(), []);
    base.run("DROP INDEX serial_gate_jobs_queued; DELETE FROM serial_gate_clause_version");
    assert_eq!(
        store.missing().unwrap(),
        [
            Missing::Row("serial_gate_clause_version".into()),
            Missing::Index("serial_gate_jobs_queued".into()),
        ]
    );
    assert_eq!(base.init().unwrap().changes.len(), 2);
    assert_eq!(store.missing().unwrap(), []);
}

#[test]
fn a_preparation_gets_its_turn_between_other_programs_and_nobody_is_ended() {
    let Some(base) = Base::new() else { return };
    base.run(ORCHESTRATOR);
    let mut other = base.client();
    let mut transaction = other.transaction().unwrap();
    transaction
        .batch_execute("SELECT * FROM jobs; UPDATE tasks SET stage = 'done'")
        .unwrap();
    std::thread::scope(|scope| {
        let preparing = scope.spawn(|| base.init());
        // By now it has the one table and waits for the other, which this transaction writes next.
        std::thread::sleep(std::time::Duration::from_millis(1_200));
        transaction
            .batch_execute("UPDATE jobs SET payload = '{}'")
            .unwrap();
        transaction.commit().unwrap();
        preparing.join().unwrap().unwrap();
    });
}

#[test]
fn a_connection_that_was_ended_is_opened_anew() {
    let Some(base) = Base::new() else { return };
    base.init().unwrap();
    let mut store = Store::open(base.database("")).unwrap();
    let before = store.openings();
    base.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'serial-gate'",
    );
    while store.check_files().is_err() {}
    assert!(store.openings() > before);
    base.run("DROP TABLE serial_gate_audit");
    assert!(Store::open(base.database("")).is_err());
}

#[test]
fn a_time_that_the_gate_writes_is_utc_whatever_the_server_s_zone() {
    let Some(base) = Base::new() else { return };
    base.run(ORCHESTRATOR);
    base.run(&format!(
        "ALTER DATABASE {} SET timezone = 'Asia/Tokyo'",
        base.name
    ));
    base.init().unwrap();
    let mut store = Store::open(base.database("")).unwrap();
    let now = jiff::Timestamp::now();
    store
        .add_task(
            now,
            crate::store::NewTask {
                repo: "alpha",
                work_item: None,
                stage: "analysis",
                agent: "analyst",
                label: None,
            },
        )
        .unwrap();
    let late = "SELECT abs(extract(epoch FROM created_at - now()))::bigint FROM tasks
        ORDER BY id DESC LIMIT 1";
    assert_eq!(base.number(late) / 60, 0);
}

#[test]
fn after_a_change_of_the_server_every_head_is_found_anew_once() {
    let Some(base) = Base::new() else { return };
    base.run(ORCHESTRATOR);
    base.init().unwrap();
    let open = || Store::open(base.database("")).unwrap();
    let mut before = open();
    let version = "SELECT version FROM serial_gate_clause_version";
    let known = base.number(version);
    base.run("DELETE FROM serial_gate_mark; UPDATE serial_gate_server SET timeline = timeline + 1");
    let marks = "SELECT count(*) FROM serial_gate_mark";
    open();
    assert_eq!(base.number(marks), 2, "one for each repo with a queued job");
    assert!(base.number(version) > known);
    open();
    before.check_files().unwrap();
    assert_eq!(base.number(marks), 2);
}

#[test]
fn a_change_that_the_server_refuses_at_its_commit_is_known_not_to_be_made() {
    let Some(base) = Base::new() else { return };
    base.run(ORCHESTRATOR);
    base.init().unwrap();
    base.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE check_violation USING MESSAGE = 'this stage is closed'; END$$;
         CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON tasks DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW WHEN (NEW.stage = 'closed') EXECUTE FUNCTION refuse()",
    );
    let mut store = Store::open(base.database("")).unwrap();
    let task = |stage| crate::store::NewTask {
        repo: "alpha",
        work_item: None,
        stage,
        agent: "analyst",
        label: None,
    };
    let refused = store.add_task(jiff::Timestamp::now(), task("closed"));
    let refused = refused.unwrap_err();
    assert!(
        matches!(
            refused.problem(),
            Some(crate::store::Problem::Constraint(_))
        ),
        "{refused:?}"
    );
    store
        .add_task(jiff::Timestamp::now(), task("open"))
        .unwrap();
}

#[test]
fn an_id_that_is_too_large_for_the_column_is_that_of_no_job() {
    let Some(base) = Base::new() else { return };
    base.run(ORCHESTRATOR);
    base.init().unwrap();
    let mut store = Store::open(base.database("")).unwrap();
    for id in [i64::from(i32::MAX) + 1, i64::MAX, i64::MIN] {
        let found = store.read(|tx| tx.exists("SELECT 1 FROM jobs WHERE id = $1", values![id]));
        assert!(!found.unwrap());
    }
}

#[test]
fn a_head_is_remembered_by_its_row_whatever_the_type_of_its_time() {
    let Some(base) = Base::new() else { return };
    base.run(ORCHESTRATOR);
    base.init().unwrap();
    // A time ahead of the clock needs a note.
    base.run("UPDATE jobs SET created_at = now() + interval '1 year'");
    base.run(&format!(
        "ALTER DATABASE {} SET timezone = 'Asia/Tokyo'",
        base.name
    ));
    let mut store = Store::open(base.database("")).unwrap();
    let agents = Agents::Only(vec![Some("analyst".into())]);
    let mut since = Vec::new();
    for seconds in [1_800_000_000, 1_800_000_500] {
        let now = jiff::Timestamp::from_second(seconds).unwrap();
        let heads = store.write(|tx| {
            let heads = LineHeads::read(tx, &agents, now)?;
            heads.note(tx, now)?;
            Ok(heads)
        });
        store.read(|tx| LineHeads::read(tx, &agents, now)).unwrap();
        since.extend(
            heads
                .unwrap()
                .heads
                .iter()
                .map(|head| head.since.as_second()),
        );
    }
    assert_eq!(
        since, [1_800_000_000; 4],
        "two heads, each seen at first at that time"
    );
}
