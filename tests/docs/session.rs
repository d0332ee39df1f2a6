//! A shell in an empty folder that runs the commands of a section.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::page::Step;
use super::server::Server;
use super::values::Values;
use crate::support::components::NEW_POLICY_TARGET;
use crate::support::{path_with_the_binary, without_variables};

/// Printed after each command.
const END: &str = "--- the command has ended ---";
/// How long a command may take: one builds a policy.
const PATIENCE: Duration = Duration::from_secs(600);
/// The port that the documents use.
const PORT: &str = "7070";
/// Where cargo puts the policy that a document builds.
const BUILT: &str = "review-first/target";

pub struct Session {
    shell: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    values: Values,
    port: String,
    server: Option<Server>,
    _folder: TempDir,
}

impl Session {
    pub fn with(server: Option<Server>) -> Session {
        let folder = tempfile::tempdir().unwrap();
        let mut shell = Command::new("bash");
        shell
            .args(["--noprofile", "--norc"])
            .current_dir(folder.path())
            .env("PATH", path_with_the_binary())
            .env("HOME", folder.path())
            .env("CARGO_HOME", home_of("CARGO_HOME", ".cargo"))
            .env("RUSTUP_HOME", home_of("RUSTUP_HOME", ".rustup"))
            .env("USER", "kim")
            .env("CARGO_TARGET_DIR", NEW_POLICY_TARGET)
            .env("CARGO_NET_OFFLINE", "true")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        without_variables(&mut shell, &["SERIAL_GATE_", "XDG_", "GIT_"]);
        if server.is_some() {
            shell.envs(Server::variables());
        }
        std::os::unix::process::CommandExt::process_group(&mut shell, 0);
        let mut shell = shell.spawn().unwrap();
        let mut input = shell.stdin.take().unwrap();
        input.write_all(b"exec 2>&1\n").unwrap();
        let output = BufReader::new(shell.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        // Free now; the service is told to listen there a moment later.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        Session {
            shell,
            input,
            lines,
            values: Values::new(),
            port,
            server,
            _folder: folder,
        }
    }

    /// Runs a command, and says what it printed where that is not what the document says.
    pub fn run(&mut self, step: &Step) -> Result<(), String> {
        let command = self.values.in_command(&step.command);
        let command = command.replace(PORT, &self.port);
        let command = command.replace(BUILT, NEW_POLICY_TARGET);
        let command = match &self.server {
            Some(server) => server.in_command(&command),
            None => command,
        };
        self.input
            .write_all(format!("{command}\necho \"{END}$?\"\n").as_bytes())
            .unwrap();
        let (mut printed, code) = self.until_the_end();
        // What a command in the background prints comes when it likes.
        while command.ends_with('&') && printed.len() < step.prints.len() {
            printed.push(self.line());
        }
        for line in &mut printed {
            *line = line.replace(&self.port, PORT);
            if let Some(server) = &self.server {
                *line = server.in_output(line);
            }
        }
        // `timeout` ends a worker that would go on.
        let may_fail =
            |line: &String| line.starts_with("error: ") || line.starts_with("nothing to claim");
        let has_failed = code != "0" && !(code == "124" && command.starts_with("timeout "));
        let is_shown = !has_failed || step.prints.iter().any(may_fail);
        if is_shown && self.values.agree(&step.prints, &printed) {
            return Ok(());
        }
        Err(format!(
            "the document says:\n{}\nand it exits with {code} and prints:\n{}\n",
            step.prints.join("\n"),
            printed.join("\n")
        ))
    }

    /// What a command prints, and its exit code.
    fn until_the_end(&self) -> (Vec<String>, String) {
        let mut printed = Vec::new();
        loop {
            let line = self.line();
            let Some((last, code)) = line.split_once(END) else {
                printed.push(line);
                continue;
            };
            // Without a line end after it.
            if !last.is_empty() {
                printed.push(last.to_owned());
            }
            return (printed, code.to_owned());
        }
    }

    fn line(&self) -> String {
        self.lines
            .recv_timeout(PATIENCE)
            .expect("the shell prints another line")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.shell);
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.shell.wait();
    }
}

/// Where cargo and rustup find what they know, although the session has a home of its own.
fn home_of(variable: &str, folder: &str) -> PathBuf {
    let home = || std::env::home_dir().unwrap().join(folder);
    std::env::var_os(variable).map_or_else(home, PathBuf::from)
}
