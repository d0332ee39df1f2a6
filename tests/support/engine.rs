//! The database engine under test, and another program's connection to its database.
//!
//! The behaviour suite runs on both engines: `SERIAL_GATE_TEST_ENGINE=postgres` chooses the second
//! one, on the server of `SERIAL_GATE_TEST_PG`. Owns the choice, a schema of its own for each gate,
//! and plain SQL. What only SQLite has, and which tests need it, is in `sqlite_only.txt`.

use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use postgres::{NoTls, SimpleQueryMessage};
use rusqlite::types::ValueRef;
use serial_gate::store::Location;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// The one that this run of the tests is about.
    pub fn under_test() -> Engine {
        let name = std::env::var("SERIAL_GATE_TEST_ENGINE").unwrap_or_default();
        match name.as_str() {
            "" | "sqlite" => Engine::Sqlite,
            "postgres" => Engine::Postgres,
            _ => panic!("`SERIAL_GATE_TEST_ENGINE` is `{name}`, and not `sqlite` or `postgres`"),
        }
    }

    /// How many cases a test tries that tries so many on SQLite. In a server a case takes some ten
    /// times as long.
    pub fn cases(of_sqlite: u32) -> u32 {
        match Engine::under_test() {
            Engine::Sqlite => of_sqlite,
            Engine::Postgres => (of_sqlite / 5).max(1),
        }
    }

    /// The same for cases in a list: in a server, every `nth` of them.
    pub fn every<T>(nth: usize, cases: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
        cases.into_iter().step_by(match Engine::under_test() {
            Engine::Sqlite => 1,
            Engine::Postgres => nth,
        })
    }
}

/// A schema for one gate. It is dropped at the end.
pub struct Schema {
    name: String,
}

impl Schema {
    pub fn new() -> Schema {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{}_{count}", std::process::id());
        client()
            .batch_execute(&format!("CREATE SCHEMA {name}"))
            .unwrap();
        Schema { name }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn url(&self) -> String {
        url(&server()) + "&schema=" + &self.name
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        // Another process of the test may still hold a lock there.
        let drop = format!(
            "SET client_min_messages = warning; SET lock_timeout = '10s'; DROP SCHEMA {} CASCADE",
            self.name
        );
        if let Err(error) = client().batch_execute(&drop) {
            eprintln!("`{}` was not dropped: {error}", self.name);
        }
    }
}

/// The server of the tests, by libpq's parameters.
pub fn server() -> String {
    std::env::var("SERIAL_GATE_TEST_PG").expect("`SERIAL_GATE_TEST_PG` names the server")
}

/// The server's parameters, as libpq has them.
pub fn parameters() -> Vec<(String, String)> {
    let server = server();
    let parameters = server.split_whitespace().map(|parameter| {
        let (name, value) = parameter.split_once('=').expect(parameter);
        (name.to_owned(), value.to_owned())
    });
    parameters.collect()
}

/// The address of a server, whose parameters are as libpq has them.
pub fn url(server: &str) -> String {
    let parameters: Vec<&str> = server.split_whitespace().collect();
    format!("postgres:///?{}", parameters.join("&"))
}

pub fn client() -> postgres::Client {
    postgres::Client::connect(&server(), NoTls).unwrap()
}

/// A copy of a queue, as its operator makes it.
pub struct Backup {
    content: Vec<u8>,
    /// The schema that a dump is of.
    of: Option<String>,
}

impl Backup {
    /// Of what is in a folder, or of a schema.
    pub fn of(folder: &Path, schema: Option<&Schema>) -> Backup {
        match schema {
            None => {
                let copy = folder.join("backup.db");
                let into = format!("VACUUM INTO {}", literal(copy.to_str().unwrap()));
                Program::on(folder, None).run(into);
                // A copy does not keep the mode.
                let mode = "PRAGMA journal_mode = WAL";
                let copied = rusqlite::Connection::open(&copy).unwrap();
                copied.query_row(mode, [], |_| Ok(())).unwrap();
                drop(copied);
                let content = std::fs::read(&copy).unwrap();
                std::fs::remove_file(copy).unwrap();
                Backup { content, of: None }
            }
            Some(schema) => {
                let dumped = program("pg_dump")
                    .args(["--dbname", &server(), "--schema", &schema.name])
                    .output()
                    .unwrap();
                assert!(dumped.status.success(), "{dumped:?}");
                Backup {
                    content: dumped.stdout,
                    of: Some(schema.name.clone()),
                }
            }
        }
    }

    /// Whether it was made of a schema of this name.
    pub fn is_of(&self, schema: &Schema) -> bool {
        self.of.as_ref() == Some(&schema.name)
    }

    /// What is in it, without the numbers that a sequence has given out.
    pub fn content(self) -> Vec<u8> {
        if self.of.is_none() {
            return self.content;
        }
        let dump = String::from_utf8(self.content).unwrap();
        let lines = dump.lines();
        let lines =
            lines.filter(|line| !line.contains("pg_catalog.setval") && !line.starts_with('\\'));
        lines.collect::<Vec<_>>().join("\n").into_bytes()
    }

    /// Puts it in the place of what is there.
    pub fn restore(&self, folder: &Path, schema: Option<&Schema>) {
        let Some(schema) = schema else {
            let (restored, database) = (folder.join("restored.db"), folder.join("serial-gate.db"));
            std::fs::write(&restored, &self.content).unwrap();
            for file in ["serial-gate.db-wal", "serial-gate.db-shm"] {
                drop(std::fs::remove_file(folder.join(file)));
            }
            std::fs::rename(restored, database).unwrap();
            return;
        };
        let (before, name) = (self.of.as_ref().unwrap(), &schema.name);
        let dump = std::str::from_utf8(&self.content).unwrap();
        let sql = format!(
            "SET client_min_messages = warning; DROP SCHEMA {name} CASCADE; {}",
            dump.replace(before, name)
        );
        let mut psql = program("psql")
            .args(["--dbname", &server(), "--quiet", "--single-transaction"])
            .args([
                "--no-psqlrc",
                "--set",
                "ON_ERROR_STOP=1",
                "--output",
                "/dev/null",
            ])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut psql.stdin.take().unwrap(), sql.as_bytes()).unwrap();
        assert!(psql.wait().unwrap().success());
    }
}

/// A program of PostgreSQL's.
fn program(name: &str) -> Command {
    let programs = std::env::var_os("SERIAL_GATE_TEST_PG_PROGRAMS");
    Command::new(Path::new(&programs.expect("`SERIAL_GATE_TEST_PG_PROGRAMS`")).join(name))
}

/// Where a gate's database is.
pub fn location(folder: &Path, schema: Option<&Schema>) -> Location {
    match schema {
        None => Location::from(&folder.join("serial-gate.db")),
        Some(schema) => Location::of(schema.url().as_ref()).unwrap(),
    }
}

/// The database as another program sees it, which knows SQL and no gate. Its statements are text
/// that both engines understand; its rows are read as text.
pub enum Program {
    Sqlite(rusqlite::Connection),
    Postgres(RefCell<postgres::Client>),
}

/// How long a statement waits for another program's lock.
const PATIENCE: Duration = Duration::from_secs(30);

/// A row, as text; `None` is NULL.
pub type Row = Vec<Option<String>>;

impl Program {
    pub fn on(folder: &Path, schema: Option<&Schema>) -> Program {
        match schema {
            None => {
                let connection = rusqlite::Connection::open(folder.join("serial-gate.db")).unwrap();
                connection.busy_timeout(PATIENCE).unwrap();
                Program::Sqlite(connection)
            }
            Some(schema) => {
                let mut client = client();
                let path = format!("SET search_path = {}", schema.name);
                client.batch_execute(&path).unwrap();
                Program::Postgres(RefCell::new(client))
            }
        }
    }

    /// Runs statements, and returns how many rows the last one changed.
    #[track_caller]
    pub fn run(&self, sql: impl AsRef<str>) -> usize {
        self.try_run(sql.as_ref())
            .unwrap_or_else(|error| panic!("{error}: {}", sql.as_ref()))
    }

    /// The same, if a statement may fail.
    pub fn try_run(&self, sql: &str) -> Result<usize, String> {
        match self {
            Program::Sqlite(connection) => {
                connection
                    .execute_batch(sql)
                    .map_err(|error| error.to_string())?;
                Ok(usize::try_from(connection.changes()).unwrap())
            }
            Program::Postgres(client) => {
                let sql = with_ids(sql);
                let ran = client.borrow_mut().simple_query(&sql);
                let messages = ran.map_err(|error| words(&error))?;
                let changed = messages.iter().rev().find_map(|message| match message {
                    SimpleQueryMessage::CommandComplete(changed) => Some(*changed),
                    _ => None,
                });
                ids_go_on(&mut client.borrow_mut(), &sql);
                Ok(usize::try_from(changed.unwrap_or_default()).unwrap())
            }
        }
    }

    /// Writes a value that the column may not be made for. SQLite keeps it; whether PostgreSQL does
    /// is returned.
    #[track_caller]
    pub fn takes(&self, sql: impl AsRef<str>) -> bool {
        match self {
            Program::Sqlite(_) => {
                self.run(sql);
                true
            }
            Program::Postgres(_) => self.try_run(sql.as_ref()).is_ok(),
        }
    }

    /// Whether no page is damaged. A server looks after its pages itself.
    pub fn is_whole(&self) -> bool {
        match self {
            Program::Sqlite(_) => self.one::<String>("PRAGMA integrity_check") == "ok",
            Program::Postgres(_) => true,
        }
    }

    /// Commits without a flush, where the engine would flush.
    pub fn without_flushes(&self) {
        match self {
            Program::Sqlite(_) => self.run("PRAGMA synchronous = OFF"),
            Program::Postgres(_) => self.run("SET synchronous_commit = off"),
        };
    }

    /// Makes this the last number that a freeze was given.
    #[track_caller]
    pub fn last_freeze_was(&self, number: i64) {
        match self {
            Program::Sqlite(_) => {
                self.run(format!(
                    "UPDATE serial_gate_freeze_number SET last = {number}"
                ));
            }
            Program::Postgres(_) => {
                self.rows(format!(
                    "SELECT setval('serial_gate_freeze_number', {number})"
                ));
            }
        }
    }

    /// Begins a transaction beside which nobody else can write.
    #[track_caller]
    pub fn begin_alone(&self) {
        match self {
            Program::Sqlite(_) => self.run("BEGIN IMMEDIATE"),
            Program::Postgres(_) => {
                let tables = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()";
                let tables: Vec<String> = self.all(tables);
                let tables = tables.join(", ");
                self.run(format!(
                    "BEGIN; LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE"
                ))
            }
        };
    }

    /// Whether another program is within a change of the policies, or of anything where the engine
    /// has one lock.
    pub fn is_changed_by_another(&self) -> bool {
        match self {
            Program::Sqlite(connection) => {
                connection.busy_timeout(Duration::ZERO).unwrap();
                let begun = self.try_run("BEGIN IMMEDIATE; ROLLBACK");
                connection.busy_timeout(PATIENCE).unwrap();
                begun.is_err()
            }
            Program::Postgres(_) => {
                self.one::<i64>(
                    "SELECT count(*) FROM pg_locks WHERE granted
                        AND mode = 'RowExclusiveLock' AND pid <> pg_backend_pid()
                        AND relation = 'reached'::regclass",
                ) > 0
            }
        }
    }

    /// Ends what killed programs have begun. SQLite has nothing to end; a server goes on with a
    /// statement until it wants to answer.
    pub fn stop_others(&self) {
        if let Program::Postgres(_) = self {
            self.rows(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks
                 WHERE relation = 'reached'::regclass AND pid <> pg_backend_pid()",
            );
        }
    }

    /// Something that is another one after every change.
    pub fn version(&self) -> String {
        match self {
            Program::Sqlite(_) => self.one("PRAGMA data_version"),
            Program::Postgres(_) => {
                let tables = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()
                    ORDER BY 1";
                let newest = |table: String| -> String {
                    self.one(format!(
                        "SELECT count(*) || ' ' || coalesce(max(xmin::text::bigint), 0) FROM {table}"
                    ))
                };
                let tables: Vec<String> = self.all(tables);
                tables
                    .into_iter()
                    .map(newest)
                    .collect::<Vec<_>>()
                    .join(", ")
            }
        }
    }

    /// The rows of a query.
    #[track_caller]
    pub fn rows(&self, sql: impl AsRef<str>) -> Vec<Row> {
        let sql = sql.as_ref();
        match self {
            Program::Sqlite(connection) => {
                let mut query = connection.prepare(sql).unwrap();
                let columns = query.column_count();
                let read = |row: &rusqlite::Row<'_>| {
                    (0..columns)
                        .map(|column| Ok(text(row.get_ref(column)?)))
                        .collect()
                };
                let rows = query.query_map([], read).unwrap();
                rows.collect::<Result<_, _>>().unwrap()
            }
            Program::Postgres(client) => {
                let ran = client.borrow_mut().simple_query(sql);
                let messages = ran.unwrap_or_else(|error| panic!("{}: {sql}", words(&error)));
                let rows = messages.iter().filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some(
                        (0..row.len())
                            .map(|column| row.get(column).map(Into::into))
                            .collect(),
                    ),
                    _ => None,
                });
                rows.collect()
            }
        }
    }

    /// The first column of a query's rows, of which none is NULL.
    #[track_caller]
    pub fn all<T: FromStr<Err: Debug>>(&self, sql: impl AsRef<str>) -> Vec<T> {
        let rows = self.rows(sql).into_iter();
        rows.map(|row| row[0].as_ref().unwrap().parse().unwrap())
            .collect()
    }

    /// The first value of a query, if it has a row and the value is not NULL.
    #[track_caller]
    pub fn maybe<T: FromStr<Err: Debug>>(&self, sql: impl AsRef<str>) -> Option<T> {
        let rows = self.rows(sql);
        let value = rows.first().and_then(|row| row[0].as_ref())?;
        Some(value.parse().unwrap())
    }

    /// The first value of a query that has one.
    #[track_caller]
    pub fn one<T: FromStr<Err: Debug>>(&self, sql: impl AsRef<str>) -> T {
        let sql = sql.as_ref();
        self.maybe(sql).unwrap_or_else(|| panic!("no value: {sql}"))
    }

    /// Bytes as a literal.
    pub fn bytes(&self, bytes: &[u8]) -> String {
        let mut digits = String::new();
        for byte in bytes {
            write!(digits, "{byte:02x}").unwrap();
        }
        match self {
            Program::Sqlite(_) => format!("x'{digits}'"),
            Program::Postgres(_) => format!("'\\x{digits}'::bytea"),
        }
    }
}

/// A table's ids, as PostgreSQL gives them out.
fn with_ids(sql: &str) -> String {
    let ids = "bigserial PRIMARY KEY";
    sql.replace("INTEGER PRIMARY KEY AUTOINCREMENT", ids)
        .replace("INTEGER PRIMARY KEY", ids)
}

/// Rows with ids of their own are followed by higher ids, as on SQLite.
fn ids_go_on(client: &mut postgres::Client, sql: &str) {
    for table in ["tasks", "jobs", "repo_freeze", "serial_gate_alert"] {
        let gives_ids = [" (id", " VALUES", " SELECT"];
        if !gives_ids
            .iter()
            .any(|ids| sql.contains(&format!("INTO {table}{ids}")))
        {
            continue;
        }
        // The table may have ids of another kind.
        let go_on = format!(
            "DO $$ DECLARE ids text := pg_get_serial_sequence('{table}', 'id'); BEGIN
                PERFORM setval(ids, greatest(max(id), pg_sequence_last_value(ids::regclass), 1))
                FROM {table} WHERE id < 9223372036854775807;
             EXCEPTION WHEN OTHERS THEN NULL; END $$"
        );
        drop(client.batch_execute(&go_on));
    }
}

/// A value as the other engine shows it.
fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
    }
}

/// What a trigger of another program does with each row.
#[derive(Debug)]
pub enum Does<'a> {
    /// Refuses the statement, with these words.
    Refuse(&'a str),
    /// The same; SQLite keeps what the statement has changed so far.
    Fail(&'a str),
    /// The same; SQLite also ends the transaction.
    RollBack(&'a str),
    /// Leaves the row as it is, without a word.
    Ignore,
    /// Runs statements, which know the row as `new` and `old`.
    Run(&'a str),
}

/// Triggers, which each engine writes in its own way.
impl Program {
    /// Makes a trigger for an event such as `BEFORE UPDATE OF status ON jobs`, if a condition holds
    /// for the row.
    #[track_caller]
    pub fn trigger(&self, name: &str, event: &str, when: Option<&str>, does: &Does<'_>) {
        let when = when.map_or(String::new(), |when| format!("WHEN ({when})"));
        let sql = match self {
            Program::Sqlite(_) => {
                let body = match does {
                    Does::Refuse(words) => format!("SELECT RAISE(ABORT, {})", literal(words)),
                    Does::Fail(words) => format!("SELECT RAISE(FAIL, {})", literal(words)),
                    Does::RollBack(words) => format!("SELECT RAISE(ROLLBACK, {})", literal(words)),
                    Does::Ignore => "SELECT RAISE(IGNORE)".into(),
                    Does::Run(sql) => (*sql).into(),
                };
                format!("CREATE TRIGGER {name} {event} {when} BEGIN {body}; END")
            }
            Program::Postgres(_) => {
                let body = match does {
                    Does::Refuse(words) | Does::Fail(words) | Does::RollBack(words) => {
                        format!("RAISE '%', {}", literal(words))
                    }
                    Does::Ignore => "RETURN NULL".into(),
                    Does::Run(sql) => (*sql).into(),
                };
                format!(
                    "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql
                     SET search_path FROM CURRENT AS $body$
                     BEGIN {body}; RETURN coalesce(new, old); END $body$;
                     CREATE TRIGGER {name} {event} FOR EACH ROW {when} EXECUTE FUNCTION {name}()"
                )
            }
        };
        self.run(sql);
    }

    /// Removes a trigger, another program's or one of the gate's.
    #[track_caller]
    pub fn drop_trigger(&self, name: &str) {
        match self {
            Program::Sqlite(_) => self.run(format!("DROP TRIGGER {name}")),
            Program::Postgres(_) => {
                let table = self.table_of(name);
                // A function of the gate's has another name.
                self.run(format!(
                    "DROP TRIGGER {name} ON {table}; DROP FUNCTION IF EXISTS {name}()"
                ))
            }
        };
    }

    /// The table of a trigger on a server.
    #[track_caller]
    fn table_of(&self, trigger: &str) -> String {
        self.one(format!(
            "SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
             WHERE t.tgname = '{trigger}' AND c.relnamespace = current_schema()::regnamespace"
        ))
    }

    /// The gate's own triggers, or its indexes that no constraint has made: each with the statement
    /// that makes it.
    pub fn own(&self, kind: &str) -> Vec<(String, String)> {
        let sql = match (self, kind) {
            (Program::Sqlite(_), _) => format!(
                "SELECT name, sql FROM sqlite_schema
                 WHERE type = '{kind}' AND name LIKE 'serial_gate_%' ORDER BY name"
            ),
            // A comment says which version has made it.
            (Program::Postgres(_), "trigger") => "SELECT t.tgname, pg_get_triggerdef(t.oid)
                    || CASE t.tgenabled WHEN 'A' THEN format('; ALTER TABLE %s ENABLE ALWAYS TRIGGER %s',
                        c.relname, t.tgname) ELSE '' END
                    || format('; COMMENT ON TRIGGER %s ON %s IS %L', t.tgname, c.relname,
                        obj_description(t.oid, 'pg_trigger'))
                 FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
                 WHERE t.tgname LIKE 'serial_gate_%'
                    AND c.relnamespace = current_schema()::regnamespace ORDER BY 1"
                .into(),
            (Program::Postgres(_), _) => "SELECT indexname, indexdef
                    || format('; COMMENT ON INDEX %I IS %L', indexname, obj_description((
                        quote_ident(schemaname) || '.' || quote_ident(indexname))::regclass, 'pg_class'))
                 FROM pg_indexes
                 WHERE indexname LIKE 'serial_gate_%' AND schemaname = current_schema()
                    AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = (
                        quote_ident(schemaname) || '.' || quote_ident(indexname))::regclass)
                 ORDER BY 1"
                .into(),
        };
        let rows = self.rows(sql).into_iter();
        rows.map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap()))
            .collect()
    }

    /// Puts a trigger that does nothing in the place of one of the gate's.
    #[track_caller]
    pub fn idle_trigger(&self, name: &str, create: &str) {
        self.drop_trigger(name);
        match self {
            Program::Sqlite(_) => {
                let (event, _) = create.split_once(" BEGIN ").unwrap();
                self.run(format!("{event} BEGIN SELECT 1; END"))
            }
            Program::Postgres(_) => {
                let (event, _) = create.split_once(" EXECUTE FUNCTION ").unwrap();
                self.run(format!(
                    "CREATE OR REPLACE FUNCTION idle() RETURNS trigger LANGUAGE plpgsql
                     AS 'BEGIN RETURN coalesce(new, old); END'; {event} EXECUTE FUNCTION idle()"
                ))
            }
        };
    }

    /// Runs statements that a trigger of the gate would see, without it.
    #[track_caller]
    pub fn without_trigger(&self, name: &str, sql: &str) {
        let create: String = match self {
            Program::Sqlite(_) => self.one(format!(
                "SELECT sql FROM sqlite_schema WHERE name = '{name}'"
            )),
            Program::Postgres(_) => {
                let table = self.table_of(name);
                self.run(format!(
                    "ALTER TABLE {table} DISABLE TRIGGER {name}; {sql};
                     ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"
                ));
                return;
            }
        };
        self.run(format!("DROP TRIGGER {name}; {sql}; {create}"));
    }
}

/// A text as a literal.
pub fn literal(text: &str) -> String {
    if text.contains('\0') && Engine::under_test() == Engine::Sqlite {
        // SQLite ends a statement there.
        let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        return format!("CAST(x'{digits}' AS TEXT)");
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// The server's own words.
fn words(error: &postgres::Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), ToString::to_string)
}
