//! The binary in a folder of its own, and the rule in its two other forms.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use rusqlite::Connection;
use serde_json::Value;
use serial_gate::model;
use serial_gate_default_policy::rule::{self, Rule};
use serial_gate_default_policy::serial::Serial;
use serial_gate_default_policy::{settings, snapshot};
use tempfile::TempDir;

/// A folder, usually with a prepared queue in it, in which the binary runs. A clone is the same folder.
#[derive(Clone)]
pub struct Gate {
    folder: Arc<TempDir>,
    /// What every run of the binary finds in its environment.
    environment: Vec<(&'static str, OsString)>,
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

    /// The same folder, in which the binary runs with these variables, too.
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

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_serial-gate"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SERIAL_GATE_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            // No configuration of the user who runs the tests has a say.
            .env("XDG_CONFIG_HOME", self.path("config"))
            .envs(self.environment.iter().cloned())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs one of the commands that the binary proposes, in a shell.
    pub fn run_in_shell(&self, line: &str) -> Ran {
        let binary = Path::new(env!("CARGO_BIN_EXE_serial-gate"))
            .parent()
            .unwrap();
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell
            .args(["-c", line])
            .env("PATH", path)
            .current_dir(self.folder.path());
        shell.output().unwrap().into()
    }

    /// Claims a job and ends it; its id.
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

/// The default rule run natively, in the contract's types.
pub fn decide_natively(
    settings: &model::Settings,
    state: &model::Snapshot,
) -> Result<Vec<model::Decision>, String> {
    let state = native_state(state);
    let decisions: Vec<snapshot::Decision> =
        Serial::decide(&native_settings(settings)?, 0, &state)?;
    Ok(decisions.into_iter().map(contract_decision).collect())
}

pub fn native_settings(settings: &model::Settings) -> Result<settings::Settings<Serial>, String> {
    let model::Settings {
        enabled,
        repos,
        freeze_enabled,
        rules,
    } = settings;
    rule::parse(*enabled, repos, *freeze_enabled, rules.as_deref())
}

fn native_state(state: &model::Snapshot) -> snapshot::Snapshot {
    let model::Snapshot {
        symbols,
        tasks,
        jobs,
        freezes,
    } = state.clone();
    snapshot::Snapshot {
        symbols: snapshot::Symbols {
            text: symbols.text,
            ends: symbols.ends,
        },
        tasks: snapshot::Tasks {
            id: tasks.id,
            repo: tasks.repo,
            stage: tasks.stage,
            label: tasks.label,
        },
        jobs: snapshot::Jobs {
            id: jobs.id,
            task_id: jobs.task_id,
            task_id_kind: jobs.task_id_kind,
            repo: jobs.repo,
            agent: jobs.agent,
            status: jobs.status,
        },
        freezes: snapshot::Freezes {
            id: freezes.id,
            repo: freezes.repo,
            cleared_at: freezes.cleared_at,
        },
    }
}

fn contract_decision(decision: snapshot::Decision) -> model::Decision {
    let verdict = match decision.verdict {
        snapshot::Verdict::Claim => model::Verdict::Claim,
        snapshot::Verdict::Hold(snapshot::Hold {
            earlier_task,
            freeze,
            rule,
        }) => model::Verdict::Hold(model::Hold {
            earlier_task,
            freeze,
            rule,
        }),
    };
    model::Decision {
        job: decision.job,
        verdict,
    }
}
