//! Which configuration file is in use, what it may contain, and who else can read this process's
//! options.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::worker::Project;
use crate::support::{Gate, Ran};

/// The setting of a queue, as a command in a folder of the gate sees it.
#[track_caller]
fn is_enabled(command: &mut Command) -> bool {
    let ran: Ran = command.args(["queue", "--json"]).output().unwrap().into();
    ran.succeeds().json()["enabled"].as_bool().unwrap()
}

/// A gate with a checkout in its folder, whose files an agent wrote.
fn with_checkout(files: &[(&str, &str)]) -> Gate {
    let gate = Gate::new();
    fs::create_dir(gate.path("checkout")).unwrap();
    for (name, content) in files {
        gate.write(&format!("checkout/{name}"), content);
    }
    gate
}

fn in_checkout(gate: &Gate) -> Command {
    let mut command = gate.command(&[]);
    command.current_dir(gate.path("checkout"));
    command
}

const OFF: &str = "enabled = false\n";

#[test]
fn the_file_beside_the_database_is_in_use_wherever_the_command_runs() {
    let gate = with_checkout(&[]);
    gate.write("serial-gate.toml", OFF);
    assert!(!is_enabled(&mut gate.command(&[])));
    assert!(!is_enabled(
        in_checkout(&gate).env("SERIAL_GATE_DB", gate.database())
    ));
    assert!(!is_enabled(
        in_checkout(&gate).args(["--db", "../serial-gate.db"])
    ));
}

#[test]
fn a_file_in_the_folder_that_a_command_runs_in_is_not() {
    let gate = with_checkout(&[("serial-gate.toml", OFF)]);
    assert!(is_enabled(
        in_checkout(&gate).env("SERIAL_GATE_DB", gate.database())
    ));
    assert!(is_enabled(
        in_checkout(&gate).args(["--db", "../serial-gate.db"])
    ));
    // Nor is it next to a link to the database.
    symlink(gate.database(), gate.path("checkout/queue.db")).unwrap();
    assert!(is_enabled(in_checkout(&gate).args(["--db", "queue.db"])));
}

#[test]
fn a_command_without_a_database_says_that_it_leaves_such_a_file_alone() {
    let gate = Gate::empty();
    gate.write("serial-gate.toml", "db = \"elsewhere.db\"\n");
    for verb in [&["claim"][..], &["queue"], &["policy", "show"]] {
        let ran = gate.run(verb).exits(1);
        assert!(
            ran.stderr.contains(
                "the `serial-gate.toml` of this folder is not read, because `serial-gate.db` is not next to it: name it with `--config serial-gate.toml`"
            ),
            "{verb:?}: {}",
            ran.stderr
        );
    }
    gate.run(&["--config", "serial-gate.toml", "init"])
        .succeeds();
    assert!(gate.path("elsewhere.db").exists());
}

#[test]
fn the_file_beside_a_database_that_init_makes_has_a_say_in_it() {
    let gate = Gate::empty();
    gate.write("serial-gate.toml", OFF);
    gate.run(&["init"]).succeeds();
    fs::remove_file(gate.path("serial-gate.toml")).unwrap();
    assert!(!is_enabled(&mut gate.command(&[])), "it is stored");
}

#[test]
fn the_users_file_names_the_database_before_the_folder_has_a_say() {
    let gate = with_checkout(&[("serial-gate.toml", OFF)]);
    let folder = gate.path("config/serial-gate");
    fs::create_dir_all(&folder).unwrap();
    fs::write(
        folder.join("serial-gate.toml"),
        "db = \"../../serial-gate.db\"\nrepos = \"of-the-user\"\n",
    )
    .unwrap();
    // The checkout has a queue, too.
    let there = gate.path("checkout/serial-gate.db");
    fs::copy(gate.database(), there).unwrap();
    let ran: Ran = in_checkout(&gate)
        .args(["queue", "--json"])
        .output()
        .unwrap()
        .into();
    let seen = ran.succeeds().json();
    assert_eq!(
        (&seen["enabled"], &seen["repos"]),
        (&Value::Bool(true), &Value::from("of-the-user"))
    );
}

#[test]
fn one_file_is_in_use_and_doctor_says_which() {
    let gate = Gate::new();
    let folder = gate.path("config/serial-gate");
    fs::create_dir_all(&folder).unwrap();
    let of_the_user = folder.join("serial-gate.toml");
    fs::write(&of_the_user, OFF).unwrap();
    let first_line = |arguments: &[&str]| {
        let ran = gate.run(arguments).succeeds();
        ran.stdout.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(
        first_line(&["doctor"]),
        format!(
            "configuration file: {}, in the user's configuration folder",
            of_the_user.display()
        )
    );
    gate.write("serial-gate.toml", "lease = \"2h\"\n");
    assert_eq!(
        first_line(&["doctor"]),
        "configuration file: serial-gate.toml, next to the database of this folder"
    );
    assert!(is_enabled(&mut gate.command(&[])), "only one is read");
    gate.write("other.toml", OFF);
    assert_eq!(
        first_line(&["doctor", "--config", "other.toml"]),
        "configuration file: other.toml, named by `--config` or `SERIAL_GATE_CONFIG`"
    );
    let json = gate.run(&["doctor", "--json"]).succeeds().json();
    assert_eq!(json["config"], "serial-gate.toml");
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    let gate = Gate::new();
    gate.write("serial-gate.toml", OFF);
    let file = gate.path("serial-gate.toml");
    fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).unwrap();
    let ran = gate.run(&["queue"]).exits(1);
    assert_eq!(
        ran.stderr,
        "error: every user of this machine may write `serial-gate.toml`, so it is not read: `chmod o-w` it\n"
    );
    fs::set_permissions(&file, PermissionsExt::from_mode(0o664)).unwrap();
    gate.run(&["queue"]).succeeds();
    // Only the superuser can give a file away.
    if chown(&file, Some(12_345), None).is_ok() {
        let ran = gate.run(&["queue"]).exits(1);
        assert_eq!(
            ran.stderr,
            "error: `serial-gate.toml` belongs to another user, so it is not read: remove it, make it yours with `chown`, or name it with `--config`\n"
        );
        gate.run(&["queue", "--config", "serial-gate.toml"])
            .succeeds();
    }
}

#[test]
fn a_file_beside_the_default_database_cannot_send_a_command_to_another() {
    let gate = Gate::new();
    gate.write("serial-gate.toml", "db = \"other.db\"\n");
    let ran = gate.run(&["queue"]).exits(1);
    assert_eq!(
        ran.stderr,
        "error: `serial-gate.toml` is next to the database that this command uses, but names another one, `other.db`: remove its `db`, or name the file with `--config`\n"
    );
    gate.write("serial-gate.toml", "db = \"serial-gate.db\"\n");
    gate.run(&["queue"]).succeeds();
}

#[test]
fn paths_in_the_file_start_at_its_folder() {
    let gate = with_checkout(&[]);
    gate.run(&["policy", "keygen", "ops.key"]).succeeds();
    gate.write(
        "named.toml",
        "db = \"serial-gate.db\"\ntrust = [\"ops.pub\"]\n[alerts.webhook]\nurl = \"http://127.0.0.1:1/\"\nsecret_file = \"secret\"\n",
    );
    gate.write("secret", "a secret");
    let ran: Ran = in_checkout(&gate)
        .args(["--config", "../named.toml", "alerts", "deliver"])
        .output()
        .unwrap()
        .into();
    ran.succeeds();
}

#[test]
fn a_commands_own_commands_act_under_what_work_was_told() {
    let gate = with_checkout(&[("serial-gate.toml", OFF)]);
    gate.write("named.toml", "lease = \"2h\"\n");
    gate.run(&["policy", "keygen", "ops.key"]).succeeds();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let shown = "cd checkout && env | grep '^SERIAL_GATE_[CDEFLRT]' | sort > ../seen";
    gate.run(&[
        "--config",
        "named.toml",
        "--repos",
        "",
        "--freeze-enabled",
        "false",
        "--trust",
        "ops.pub",
        "--lease",
        "90s",
        "--durability",
        "normal",
        "work",
        "--agent",
        "analyst",
        "--max",
        "1",
        "--",
        "sh",
        "-c",
        shown,
    ])
    .succeeds();
    let seen = fs::read_to_string(gate.path("seen")).unwrap();
    let at = |name: &str| {
        gate.path(name)
            .canonicalize()
            .unwrap()
            .display()
            .to_string()
    };
    let lines: Vec<&str> = seen
        .lines()
        .filter(|line| !line.contains("_REPO="))
        .collect();
    assert_eq!(
        lines,
        [
            format!("SERIAL_GATE_CONFIG={}", at("named.toml")),
            format!("SERIAL_GATE_DB={}", at("serial-gate.db")),
            "SERIAL_GATE_DURABILITY=normal".into(),
            line_of(&seen, "SERIAL_GATE_FENCE="),
            "SERIAL_GATE_FREEZE_ENABLED=false".into(),
            "SERIAL_GATE_LEASE=90000ms".into(),
            "SERIAL_GATE_REPOS=,".into(),
            line_of(&seen, "SERIAL_GATE_TASK="),
            line_of(&seen, "SERIAL_GATE_TOKEN="),
            format!("SERIAL_GATE_TRUST={}", at("ops.pub")),
        ]
    );
}

#[track_caller]
fn line_of(text: &str, begins: &str) -> String {
    text.lines()
        .find(|line| line.starts_with(begins))
        .expect(begins)
        .to_owned()
}

/// Every variable that an option or a channel reads.
const VARIABLES: [&str; 22] = [
    "SERIAL_GATE_CONFIG",
    "SERIAL_GATE_DB",
    "SERIAL_GATE_DURABILITY",
    "SERIAL_GATE_ENABLED",
    "SERIAL_GATE_FREEZE_ENABLED",
    "SERIAL_GATE_KEY_PASSWORD",
    "SERIAL_GATE_LEASE",
    "SERIAL_GATE_LISTEN",
    "SERIAL_GATE_LOG",
    "SERIAL_GATE_REPOS",
    "SERIAL_GATE_RULES",
    "SERIAL_GATE_TELEGRAM_CHAT",
    "SERIAL_GATE_TELEGRAM_TOKEN",
    "SERIAL_GATE_TELEGRAM_TOKEN_FILE",
    "SERIAL_GATE_TELEGRAM_URL",
    "SERIAL_GATE_TOKEN",
    "SERIAL_GATE_TRUST",
    "SERIAL_GATE_WEBHOOK_SECRET",
    "SERIAL_GATE_WEBHOOK_SECRET_FILE",
    "SERIAL_GATE_WEBHOOK_URL",
    "SERIAL_GATE_WHO",
    "SERIAL_GATE_WORKER",
];

#[test]
fn an_empty_variable_counts_as_not_set() {
    let gate = Gate::new();
    gate.write("serial-gate.toml", "repos = \"of-the-file\"\n");
    gate.run(&["task", "add", "of-the-file"]).succeeds();
    let with_nothing = |arguments: &[&str]| -> Ran {
        let mut command = gate.command(arguments);
        command.envs(VARIABLES.map(|name| (name, "")));
        command.output().unwrap().into()
    };
    let seen = with_nothing(&["queue", "--json"]).succeeds().json();
    assert_eq!(seen["repos"], "of-the-file");
    with_nothing(&["freeze", "of-the-file", "--reason", "r"]).succeeds();
    with_nothing(&["unfreeze", "of-the-file", "--reason", "r"]).succeeds();
    with_nothing(&["work", "--agent", "analyst", "--max", "1", "--", "true"]).succeeds();
    with_nothing(&["alerts"]).succeeds();
    gate.write(
        "serial-gate.toml",
        "[alerts.webhook]\nurl = \"http://127.0.0.1:1/\"\nsecret_file = \"secret\"\n",
    );
    gate.write("secret", "a secret");
    // The address of the file is tried: nothing listens there.
    let ran = with_nothing(&["alerts", "test"]).exits(1);
    assert!(
        ran.stdout.contains("webhook"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
}

#[test]
fn temporary_files_do_not_go_into_the_current_folder_where_their_variable_is_empty() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let listed = "ls -l /proc/self/fd/0 > ../input; ls -A > ../found";
    fs::create_dir(gate.path("here")).unwrap();
    let mut worker = gate.command(&[
        "--db",
        "../serial-gate.db",
        "work",
        "--agent",
        "analyst",
        "--max",
        "1",
        "--",
        "sh",
        "-c",
        listed,
    ]);
    worker.env("TMPDIR", "").current_dir(gate.path("here"));
    assert!(worker.status().unwrap().success());
    let input = fs::read_to_string(gate.path("input")).unwrap();
    assert!(input.contains(" /tmp/"), "{input}");
}

#[test]
fn the_user_is_found_by_the_other_variable_where_the_first_is_empty() {
    let gate = Gate::new();
    let mut freeze = gate.command(&["freeze", "alpha", "--new", "--reason", "r"]);
    freeze.env("USER", "").env("LOGNAME", "bob");
    assert!(freeze.status().unwrap().success());
    let audit = gate.run(&["audit", "--json"]).succeeds();
    assert!(audit.stdout.contains("\"who\":\"bob\""), "{}", audit.stdout);

    // A service or a container has neither.
    let mut freeze = gate.command(&["freeze", "beta", "--new", "--reason", "r"]);
    freeze.env_remove("USER").env_remove("LOGNAME");
    assert!(freeze.status().unwrap().success());
    let name = std::process::Command::new("id").arg("-un").output();
    let name = String::from_utf8(name.unwrap().stdout).unwrap();
    let audit = gate.run(&["audit", "--json"]).succeeds();
    let who = format!("\"who\":\"{}\"", name.trim());
    assert!(audit.stdout.contains(&who), "{}", audit.stdout);
}

#[test]
fn a_secret_of_the_environment_goes_to_no_address_of_the_folder_that_a_command_runs_in() {
    let gate = Gate::new();
    gate.write("token", "123:token");
    for (config, variable, message) in [
        (
            "[alerts.webhook]\nurl = 'http://127.0.0.1:1/'\n",
            ("SERIAL_GATE_WEBHOOK_SECRET", "s"),
            "`webhook` has its secret from the environment and its address from",
        ),
        (
            "[alerts.telegram]\nurl = 'http://127.0.0.1:1/'\nchat = '-1'\n",
            ("SERIAL_GATE_TELEGRAM_TOKEN_FILE", "token"),
            "`telegram` has its token from the environment and its address from",
        ),
        (
            "[alerts.telegram]\ntoken_file = 'token'\nchat = '-1'\n",
            ("SERIAL_GATE_TELEGRAM_URL", "http://127.0.0.1:1/"),
            "`telegram` has its address from the environment and its chat from",
        ),
    ] {
        gate.write("serial-gate.toml", config);
        let run = |arguments: &[&str]| -> Ran {
            let mut command = gate.command(arguments);
            command.env(variable.0, variable.1);
            command.output().unwrap().into()
        };
        let refused = run(&["alerts", "test"]).exits(1);
        assert_eq!(
            refused.stderr,
            format!(
                "error: {message} `serial-gate.toml`, because this folder has a database: set both in one place, or name the file with `--config` or the database with `--db`\n"
            )
        );
        // A file that the operator names is trusted.
        for name in [["--config", "serial-gate.toml"], ["--db", "serial-gate.db"]] {
            let tried = run(&[&["alerts", "test"], &name[..]].concat()).exits(1);
            assert!(!tried.stderr.contains("in one place"), "{}", tried.stderr);
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn another_program_of_the_user_cannot_read_its_environment() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    // The superuser may read everything, so the worker is another user where it can be, who finds
    // the binary in this folder.
    let (folder, binary) = (gate.path(""), gate.path("serial-gate"));
    fs::copy(env!("CARGO_BIN_EXE_serial-gate"), &binary).unwrap();
    let other = give_away(&folder);
    let read = "cat /proc/$PPID/environ > /dev/null 2> refused; echo $? > code";
    let mut worker = Command::new(binary);
    worker
        .args([
            "work", "--agent", "analyst", "--max", "1", "--", "sh", "-c", read,
        ])
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", &folder)
        .env("SERIAL_GATE_WEBHOOK_SECRET", "a secret")
        .current_dir(&folder)
        .stdout(Stdio::null());
    if let Some(uid) = other {
        worker.uid(uid);
    }
    assert!(worker.status().unwrap().success());
    let code = fs::read_to_string(gate.path("code")).unwrap();
    assert_ne!(code.trim(), "0");
    let refused = fs::read_to_string(gate.path("refused")).unwrap();
    assert!(refused.contains("Permission denied"), "{refused}");
}

/// Gives a folder and all in it to a user without rights, if this process may do so; that user's
/// number.
fn give_away(folder: &Path) -> Option<u32> {
    const NOBODY: u32 = 65_534;
    chown(folder, Some(NOBODY), None).ok()?;
    for entry in fs::read_dir(folder).unwrap() {
        chown(entry.unwrap().path(), Some(NOBODY), None).unwrap();
    }
    Some(NOBODY)
}

#[test]
fn the_remote_of_a_project_is_relative_to_the_file_that_names_it() {
    let project = Project::new();
    let gate = &project.gate;
    gate.run(&["task", "add", "alpha", "--work-item", "A-1"])
        .succeeds();
    std::fs::create_dir(gate.path("elsewhere")).unwrap();
    let mut work = gate.command(&["work", "--agent", "analyst", "--max", "1", "--", "true"]);
    work.current_dir(gate.path("elsewhere"))
        .env("SERIAL_GATE_DB", gate.database());
    let ran = Ran::from(work.output().unwrap()).succeeds();
    assert!(
        ran.stdout.contains("1 job done"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    assert!(project.tip("task/A-1").is_some());
}
