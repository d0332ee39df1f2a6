//! The binary in a temporary folder, and the output of a run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use rusqlite::Connection;
use serde_json::Value;
use serial_gate::gate::{Overrides, Rule};
use serial_gate::queue::{Options, Queue};
use serial_gate::store::{Database, Durability, Store};
use tempfile::TempDir;

use super::engine::{self, Backup, Engine, Program, Schema};

/// A folder, usually with a prepared queue in it, in which the binary runs. A clone is the same
/// folder.
#[derive(Clone)]
pub struct Gate {
    folder: Arc<TempDir>,
    /// Where its tables are, if a server has them.
    schema: Option<Arc<Schema>>,
    /// Environment variables for every run of the binary.
    environment: Vec<(&'static str, OsString)>,
}

/// The search path of a shell that finds the binary.
pub fn path_with_the_binary() -> OsString {
    let binary = Path::new(env!("CARGO_BIN_EXE_serial-gate"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(binary.parent().unwrap().to_owned());
    std::env::join_paths(folders.chain(std::env::split_paths(&path))).unwrap()
}

/// Takes the variables whose names begin like this from a command.
pub fn without_variables(command: &mut Command, prefixes: &[&str]) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if prefixes.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
}

/// How a run of the binary ended.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Gate {
    /// A folder with a prepared queue.
    pub fn new() -> Gate {
        let gate = Gate::empty();
        gate.run(&["init"]).succeeds();
        gate
    }

    /// An empty folder, and a database with nothing in it.
    pub fn empty() -> Gate {
        match Engine::under_test() {
            Engine::Sqlite => Gate::in_folder(None),
            Engine::Postgres => Gate::in_folder(Some(Schema::new())),
        }
    }

    /// The same in a server, whatever the engine under test.
    pub fn in_server() -> Gate {
        Gate::in_folder(Some(Schema::new()))
    }

    /// An empty folder, and no queue anywhere.
    pub fn folder() -> Gate {
        Gate::in_folder(None)
    }

    /// The command in a shell, for a worker's command, which is not told the address of a server.
    pub fn in_shell(&self) -> String {
        let binary = env!("CARGO_BIN_EXE_serial-gate");
        match &self.schema {
            None => binary.into(),
            Some(schema) => format!("SERIAL_GATE_DB='{}' {binary}", schema.url()),
        }
    }

    fn in_folder(schema: Option<Schema>) -> Gate {
        let url = schema.as_ref().map(|schema| schema.url().into());
        Gate {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            schema: schema.map(Arc::new),
            environment: url.map(|url| ("SERIAL_GATE_DB", url)).into_iter().collect(),
        }
    }

    /// The same folder. The binary also runs with these variables.
    pub fn with_environment(mut self, variables: Vec<(&'static str, OsString)>) -> Gate {
        self.environment.extend(variables);
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// SQLite's file.
    pub fn database(&self) -> PathBuf {
        assert!(self.schema.is_none(), "this test is about a file");
        self.path("serial-gate.db")
    }

    /// Where the database is, for the library.
    pub fn place(&self) -> Database {
        let location = engine::location(self.folder.path(), self.schema.as_deref());
        Database::new(location, Durability::Full)
    }

    /// Whether the database has a table.
    pub fn is_there(&self) -> bool {
        match &self.schema {
            None => self.database().exists(),
            Some(_) => {
                let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()";
                self.program().one::<i64>(tables) > 0
            }
        }
    }

    /// The database as another program sees it.
    pub fn program(&self) -> Program {
        Program::on(self.folder.path(), self.schema.as_deref())
    }

    /// A copy of the queue.
    pub fn backup(&self) -> Backup {
        Backup::of(self.folder.path(), self.schema.as_deref())
    }

    /// Puts a copy of a queue in the place of this one.
    pub fn restore(&self, backup: &Backup) {
        backup.restore(self.folder.path(), self.schema.as_deref());
        if self
            .schema
            .as_ref()
            .is_some_and(|schema| !backup.is_of(schema))
        {
            // The gate's functions name their schema, so they are made anew.
            self.run(&["init"]).succeeds();
        }
    }

    /// Copies another queue over this one, while processes have it open.
    pub fn restore_in_place(&self, other: &Gate) {
        if self.schema.is_some() {
            return self.restore(&other.backup());
        }
        let none = None::<fn(rusqlite::backup::Progress)>;
        let mut sqlite = self.sqlite();
        sqlite.restore("main", other.database(), none).unwrap();
    }

    /// Everything in the database, to see whether it was changed.
    pub fn content(&self) -> Vec<u8> {
        match &self.schema {
            None => std::fs::read(self.database()).unwrap(),
            Some(_) => self.backup().content(),
        }
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// SQLite's file as another program sees it.
    pub fn sqlite(&self) -> Connection {
        let connection = Connection::open(self.database()).unwrap();
        connection
            .busy_timeout(std::time::Duration::from_secs(30))
            .unwrap();
        connection
    }

    /// A queue in this process under the active generation. The test passes the time in.
    pub fn queue(&self) -> Queue {
        let rule = Rule::Active(Overrides::default());
        Queue::open(self.place(), rule, Options::default()).unwrap()
    }

    /// The store in this process.
    pub fn store(&self) -> Store {
        Store::open(self.place()).unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_serial-gate"));
        without_variables(&mut command, &["SERIAL_GATE_"]);
        command
            .args(arguments)
            // The configuration of the user who runs the tests is not read.
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("USER", "somebody")
            .envs(self.environment.iter().cloned())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        // Nothing is next to a server, so the file in the folder has to be named.
        if self.schema.is_some()
            && !arguments.contains(&"--config")
            && self.path("serial-gate.toml").exists()
        {
            command.env("SERIAL_GATE_CONFIG", "serial-gate.toml");
        }
        command
    }

    /// The same, after what a shell does for it, such as `ulimit -n 200`.
    pub fn command_after(&self, setup: &str, arguments: &[&str]) -> Command {
        let command = self.command(arguments);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("{setup} && exec \"$0\" \"$@\"")])
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        let ran = Ran::from(self.command(arguments).output().unwrap());
        Ran {
            stdout: self.without_server(&ran.stdout),
            stderr: self.without_server(&ran.stderr),
            ..ran
        }
    }

    /// A proposed command names the server. Every command of this gate knows it anyway. The database
    /// is called as SQLite's file is, and the note on a server for tests is left out.
    pub fn without_server(&self, text: &str) -> String {
        let Some(schema) = &self.schema else {
            return text.into();
        };
        let url = self.place().location.to_string();
        let text = text
            .replace(&format!(" --db '{url}'"), "")
            .replace(&url, "serial-gate.db")
            .replace(&format!(" of the schema `{}`", schema.name()), "");
        let lines = text.split_inclusive('\n');
        lines
            .filter(|line| !line.contains("(`fsync` is off)"))
            .collect()
    }

    /// Runs a command that the binary proposes, in a shell.
    pub fn run_in_shell(&self, line: &str) -> Ran {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", line])
            .env("PATH", path_with_the_binary())
            .envs(self.environment.iter().cloned())
            .current_dir(self.folder.path());
        shell.output().unwrap().into()
    }

    /// Claims a job and finishes it. Returns its id.
    #[track_caller]
    pub fn do_a_job(&self) -> i64 {
        let claimed = self.run(&["claim", "--json"]).succeeds().json();
        let id = claimed["id"].as_i64().unwrap();
        self.run(&[
            "job",
            "finish",
            &id.to_string(),
            "--token",
            &token(&claimed),
        ])
        .succeeds();
        id
    }

    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    #[track_caller]
    pub fn exits(self, code: i32) -> Ran {
        assert_eq!(
            self.code,
            Some(code),
            "stdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        self
    }

    #[track_caller]
    pub fn succeeds(self) -> Ran {
        self.exits(0)
    }

    /// The lines of the standard output as JSON.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect(&self.stdout)
    }
}

/// The token of a claim, as `claim --json` and the service print it.
#[track_caller]
pub fn token(claimed: &Value) -> String {
    claimed["token"].as_str().expect("a token").to_owned()
}

pub fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures")
        .join(name)
}
