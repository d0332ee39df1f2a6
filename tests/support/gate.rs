//! The binary in a temporary folder, and the output of a run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use rusqlite::Connection;
use serde_json::Value;
use serial_gate::gate::{Overrides, Rule};
use serial_gate::queue::{Options, Queue};
use serial_gate::store::Store;
use tempfile::TempDir;

/// A folder, usually with a prepared queue in it, in which the binary runs. A clone is the same
/// folder.
#[derive(Clone)]
pub struct Gate {
    folder: Arc<TempDir>,
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

    /// An empty folder.
    pub fn empty() -> Gate {
        Gate {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            environment: Vec::new(),
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

    pub fn database(&self) -> PathBuf {
        self.path("serial-gate.db")
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// The database as another program sees it.
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
        Queue::open(&self.database(), rule, Options::default()).unwrap()
    }

    /// The store in this process.
    pub fn store(&self) -> Store {
        Store::open(&self.database()).unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_serial-gate"));
        without_variables(&mut command, &["SERIAL_GATE_"]);
        command
            .args(arguments)
            // The configuration of the user who runs the tests is not read.
            .env("XDG_CONFIG_HOME", self.path("config"))
            .envs(self.environment.iter().cloned())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs a command that the binary proposes, in a shell.
    pub fn run_in_shell(&self, line: &str) -> Ran {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", line])
            .env("PATH", path_with_the_binary())
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
