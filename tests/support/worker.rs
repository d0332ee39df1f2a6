//! A worker: the real binary, and a project with a bare repository and a clone of it.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};

use super::{Gate, Ran};

/// A queue, a bare repository `remote.git` with one commit on `main`, and a clone of it.
pub struct Project {
    pub gate: Gate,
}

impl Project {
    /// Of the repo `alpha`.
    pub fn new() -> Project {
        Project::with("")
    }

    /// The same with more in the configuration, before the project's entry.
    pub fn with(config: &str) -> Project {
        let gate = Gate::new();
        gate.write(
            "serial-gate.toml",
            format!("{config}\n[[project]]\nrepo = \"alpha\"\nremote = \"remote.git\"\n"),
        );
        let project = Project { gate };
        project.git(&[
            "init",
            "--quiet",
            "--bare",
            "--initial-branch=main",
            "remote.git",
        ]);
        project.git(&["clone", "--quiet", "remote.git", "clone"]);
        project.commit("first");
        project
    }

    /// With these lines after the project's entry.
    pub fn followed_by(self, lines: &str) -> Project {
        let own = std::fs::read_to_string(self.gate.path("serial-gate.toml")).unwrap();
        self.gate.write("serial-gate.toml", format!("{own}{lines}"));
        self
    }

    /// Runs git in the folder.
    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args([
            "-c",
            "user.name=somebody",
            "-c",
            "user.email=somebody@example.com",
        ])
        .args([
            "-c",
            "advice.detachedHead=false",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(arguments)
        .current_dir(self.gate.path("."));
        let ran = Ran::from(git.output().unwrap()).succeeds();
        ran.stdout.trim().to_owned()
    }

    /// Commits something and pushes it to the base. Returns the commit.
    pub fn commit(&self, message: &str) -> String {
        self.in_clone(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.in_clone(&["push", "--quiet", "origin", "HEAD:refs/heads/main"]);
        self.in_clone(&["rev-parse", "HEAD"])
    }

    /// Commits something on another branch and pushes it. Returns the commit.
    pub fn commit_on(&self, branch: &str, message: &str) -> String {
        self.in_clone(&["fetch", "--quiet", "origin"]);
        self.in_clone(&[
            "checkout",
            "--quiet",
            "-B",
            branch,
            &format!("origin/{branch}"),
        ]);
        self.in_clone(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.in_clone(&["push", "--quiet", "origin", branch]);
        self.in_clone(&["rev-parse", "HEAD"])
    }

    /// Merges a branch into the base.
    pub fn merge(&self, branch: &str) {
        self.in_clone(&["checkout", "--quiet", "main"]);
        self.in_clone(&["merge", "--quiet", "--no-ff", "-m", "merged", branch]);
        self.in_clone(&["push", "--quiet", "origin", "main"]);
    }

    /// Whether a branch of the remote has a commit.
    pub fn has(&self, branch: &str, commit: &str) -> bool {
        self.in_clone(&["fetch", "--quiet", "origin"]);
        let branches = self.in_clone(&["branch", "--remotes", "--contains", commit]);
        branches
            .lines()
            .any(|line| line.trim() == format!("origin/{branch}"))
    }

    #[track_caller]
    pub fn in_clone(&self, arguments: &[&str]) -> String {
        self.git(&[&["-C", "clone"], arguments].concat())
    }

    /// The commit of a branch of the remote.
    pub fn tip(&self, branch: &str) -> Option<String> {
        let listed = self.git(&["ls-remote", "remote.git", &format!("refs/heads/{branch}")]);
        listed.split_whitespace().next().map(Into::into)
    }

    /// Runs a worker for analysts to its end.
    pub fn work(&self, options: &[&str], command: &[&str]) -> Ran {
        let arguments = [&["work", "--agent", "analyst"], options, &["--"], command].concat();
        self.gate.run(&arguments)
    }
}

/// A worker that runs.
pub struct Worker {
    pub process: Child,
}

impl Worker {
    pub fn start(gate: &Gate, options: &[&str], command: &[&str]) -> Worker {
        let arguments = [&["work", "--agent", "analyst"], options, &["--"], command].concat();
        Worker {
            process: gate.spawn(&arguments),
        }
    }

    pub fn tell(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Waits for its end. Returns its output and its log.
    pub fn ended(mut self) -> Ran {
        let status = self.process.wait().unwrap();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let read = |from: &mut dyn Read, to: &mut String| from.read_to_string(to).unwrap();
        read(self.process.stdout.as_mut().unwrap(), &mut stdout);
        read(self.process.stderr.as_mut().unwrap(), &mut stderr);
        Ran {
            code: status.code(),
            stdout,
            stderr,
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A shell script in the folder.
pub fn program(gate: &Gate, name: &str, lines: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = gate.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}
