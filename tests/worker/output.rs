//! What git prints and fetches has an end, and what is kept of it can be shown.

use crate::support::Ran;
use crate::support::look::{lines, status, value};
use crate::support::worker::{Project, program};

/// A worker for one job and one try, with a fake git.
fn work_with(project: &Project, git: &str, shell: bool) -> Ran {
    let gate = &project.gate;
    program(gate, "bin/git", git);
    let path = format!(
        "{}:{}",
        gate.path("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let setup = if shell { "ulimit -f 2048" } else { "true" };
    let arguments = ["work", "--agent", "analyst", "--max", "1", "--tries", "1"];
    let arguments = [&arguments[..], &["--", "true"]].concat();
    let mut command = gate.command_after(setup, &arguments);
    command.env("PATH", path).output().unwrap().into()
}

/// A shell script for the first call of git for a remote.
fn at_ls_remote(what: &str) -> String {
    format!("export PATH=${{PATH#*:}}\ncase \"$*\" in *ls-remote*) {what};; esac\nexec git \"$@\"")
}

#[test]
fn what_git_prints_without_an_end_takes_no_room_on_the_disk() {
    let project = Project::new();
    project.gate.run(&["task", "add", "alpha"]).succeeds();
    // Each of these is larger than the worker's files may be.
    let flood = "head -c 20000000 /dev/zero | tr '\\0' x; head -c 20000000 /dev/zero | tr '\\0' y >&2; exit 1";
    work_with(&project, &at_ls_remote(flood), true).succeeds();
    let told = value(&project.gate, "SELECT gate_error FROM jobs").unwrap();
    assert!(
        told.contains("git says: yyyy") && told.len() < 2_000,
        "{told}"
    );
}

#[test]
fn what_a_remote_says_can_be_shown() {
    let project = Project::new();
    project.gate.run(&["task", "add", "alpha"]).succeeds();
    let said = r"printf 'remote: \033[2J\007 \342\200\256turned\r\n' >&2; exit 1";
    work_with(&project, &at_ls_remote(said), false).succeeds();
    let told = value(&project.gate, "SELECT gate_error FROM jobs").unwrap();
    let told = told.replace(project.gate.path("").to_str().unwrap(), "FOLDER/");
    insta::assert_snapshot!(told, @"its branch could not be cut: git cannot read the branches of the remote of `alpha` (`FOLDER/remote.git`): look at what it says; git says: remote:  [2J   turned");
}

#[test]
fn a_program_that_git_leaves_behind_is_not_waited_for() {
    let project = Project::new();
    project.gate.run(&["task", "add", "alpha"]).succeeds();
    // It has the other end of all pipes.
    let daemon = at_ls_remote("sleep 600 & echo $! >> daemons");
    work_with(&project, &daemon, false).succeeds();
    for daemon in lines(&project.gate.path("daemons")) {
        std::process::Command::new("kill")
            .arg(daemon)
            .status()
            .unwrap();
    }
    assert_eq!(status(&project.gate, 1), "done");
}

#[test]
fn a_remote_that_sends_too_much_is_given_up() {
    let project = Project::new();
    project.gate.run(&["task", "add", "alpha"]).succeeds();
    let git = "export PATH=${PATH#*:}
        case \"$*\" in fetch*) truncate -s 9G $GIT_DIR/objects/pack/large; exec sleep 600;; esac
        exec git \"$@\"";
    work_with(&project, git, false).succeeds();
    let told = value(&project.gate, "SELECT gate_error FROM jobs").unwrap();
    insta::assert_snapshot!(told, @"its branch could not be cut: the remote of `alpha` sends more than 4 GiB for one commit: have it send parts (`uploadpack.allowFilter`)");
}

#[test]
fn a_git_that_is_not_there_is_said_in_words() {
    let project = Project::new();
    let gate = &project.gate;
    gate.run(&["task", "add", "alpha"]).succeeds();
    let arguments = [
        "work",
        "--agent",
        "analyst",
        "--max",
        "1",
        "--tries",
        "1",
        "--",
        "/bin/true",
    ];
    let ran: Ran = gate
        .command(&arguments)
        .env("PATH", "/nowhere")
        .output()
        .unwrap()
        .into();
    ran.succeeds();
    let told = value(gate, "SELECT gate_error FROM jobs").unwrap();
    insta::assert_snapshot!(told, @"its branch could not be cut: cannot start `git`: no folder of `PATH` has it: install it, or name its path");
}

#[test]
fn a_folder_for_git_that_cannot_be_made_is_said_in_words() {
    let project = Project::with("enabled = false");
    let gate = &project.gate;
    let mut add = gate.command(&["task", "add", "alpha"]);
    let ran: Ran = add.env("TMPDIR", "/nowhere").output().unwrap().into();
    let told = ran.succeeds().stdout;
    assert!(
        told.contains("correct `TMPDIR`") && !told.contains("os error"),
        "{told}"
    );
}

#[test]
fn the_error_of_a_job_is_kept_up_to_a_length() {
    let project = Project::new();
    let gate = &project.gate;
    gate.run(&["task", "add", "alpha"]).succeeds();
    let claimed = gate.run(&["claim", "--json"]).succeeds().json();
    let (token, error) = (crate::support::token(&claimed), "ä".repeat(50_000));
    for _ in 0..2 {
        // Ending it the same way again is not an error.
        gate.run(&["job", "fail", "1", "--token", &token, "--error", &error])
            .succeeds();
    }
    assert_eq!(
        value(gate, "SELECT length(gate_error) FROM jobs").unwrap(),
        "10001"
    );
}
