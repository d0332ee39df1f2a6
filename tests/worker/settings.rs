//! A worker under users with every git setting that could disturb the gate.

use std::path::Path;
use std::process::Command;
use std::thread;

use crate::support::Ran;
use crate::support::look::{lines, status, value};
use crate::support::worker::{Project, program};

/// What a user has set: lines of their configuration, or variables. `DIR` is the folder of the
/// test, and what is called `fail` there leaves `reached` behind and fails.
const SETTINGS: &[&str] = &[
    "[core]\n hooksPath = DIR/hooks",
    "[init]\n templateDir = DIR/template",
    "[commit]\n gpgsign = true\n[tag]\n gpgsign = true\n[push]\n gpgSign = true\n[gpg]\n program = DIR/fail",
    "[push]\n gpgSign = if-asked",
    "[init]\n defaultObjectFormat = sha256",
    "[init]\n defaultRefFormat = reftable",
    "[init]\n defaultBranch = two words",
    "[core]\n askPass = DIR/fail",
    "[core]\n fsmonitor = DIR/fail\n pager = DIR/fail\n editor = DIR/fail",
    "[core]\n alternateRefsCommand = DIR/fail",
    "[alias]\n fetch = !DIR/fail\n ls-remote = !DIR/fail",
    "[protocol]\n allow = never",
    "[protocol \"file\"]\n allow = never",
    "[protocol \"file\"]\n allow = user",
    "[remote \"origin\"]\n pushurl = /nowhere",
    "[remote \"origin\"]\n url = /nowhere",
    "[remote \"origin\"]\n mirror = true",
    "[remote \"origin\"]\n fetch = +refs/heads/*:refs/heads/*\n push = refs/heads/*:refs/heads/other/*",
    "[remote \"origin\"]\n uploadpack = DIR/fail\n receivepack = DIR/fail",
    "[remote \"origin\"]\n tagOpt = --tags\n prune = true\n vcs = nothing",
    "[remote]\n pushDefault = elsewhere",
    "[push]\n default = nothing\n followTags = true\n recurseSubmodules = only",
    "[push]\n pushOption = ci.skip",
    "[push]\n negotiate = true\n useForceIfIncludes = true",
    "[fetch]\n prune = true\n parallel = 0\n writeCommitGraph = true\n recurseSubmodules = true\n unpackLimit = 1000000",
    "[fetch]\n negotiationAlgorithm = nonsense",
    "[fetch]\n output = nonsense",
    "[fetch]\n fsckObjects = true\n[transfer]\n fsckObjects = true\n[receive]\n fsckObjects = true",
    "[transfer]\n hideRefs = refs/heads",
    "[transfer]\n credentialsInUrl = die\n advertiseSID = true\n bundleURI = true",
    "[receive]\n hideRefs = refs/heads\n procReceiveRefs = refs/heads",
    "[receive]\n certNonceSeed = x\n advertisePushOptions = false\n maxInputSize = 1",
    "[uploadpack]\n hideRefs = refs/heads",
    "[uploadpack]\n packObjectsHook = DIR/fail",
    "[core]\n bare = false\n worktree = /nowhere",
    "[core]\n repositoryFormatVersion = 7",
    "[core]\n logAllRefUpdates = always\n sharedRepository = world",
    "[core]\n abbrev = nonsense",
    "[core]\n compression = 99",
    "[color]\n ui = nonsense",
    "[color]\n ui = always\n[advice]\n detachedHead = true",
    "[gc]\n auto = 1\n autoDetach = true\n[maintenance]\n auto = true",
    "[log]\n showSignature = true\n[help]\n autocorrect = nonsense",
    "[safe]\n bareRepository = explicit",
    "[trace2]\n normalTarget = DIR/reached\n eventTarget = DIR/reached\n perfTarget = DIR/reached",
    "[user]\n useConfigOnly = true",
    "[include]\n path = DIR/included",
    "[includeIf \"gitdir:/**\"]\n path = DIR/included",
    "[includeIf \"hasconfig:remote.*.url:**\"]\n path = DIR/included",
    "[hook \"mine\"]\n event = reference-transaction\n command = DIR/fail",
    "[pack]\n packSizeLimit = 1\n threads = 0\n[index]\n version = 9\n[feature]\n manyFiles = true",
    "[submodule]\n recurse = true\n[extensions]\n partialClone = nonsense",
    "[branch]\n autoSetupMerge = nonsense\n[merge]\n conflictStyle = nonsense",
    "GIT_DEFAULT_HASH=sha256",
    "GIT_DEFAULT_REF_FORMAT=reftable",
    "GIT_TEMPLATE_DIR=DIR/template",
    "GIT_ASKPASS=DIR/fail",
    "SSH_ASKPASS=DIR/fail",
    "GIT_TERMINAL_PROMPT=1",
    "GIT_TRACE=1",
    "GIT_TRACE=DIR/reached",
    "GIT_TRACE2=1",
    "GIT_TRACE2_EVENT=DIR/reached",
    "GIT_TRACE_PACKET=DIR/reached",
    "GIT_TRACE_SETUP=1",
    "GIT_CURL_VERBOSE=1",
    "GIT_PROTOCOL=version=0",
    "GIT_PROTOCOL_FROM_USER=0",
    "GIT_ALLOW_PROTOCOL=https",
    "GIT_CEILING_DIRECTORIES=/",
    "GIT_DIR=/nowhere",
    "GIT_WORK_TREE=/nowhere",
    "GIT_COMMON_DIR=/nowhere",
    "GIT_INDEX_FILE=/nowhere/x",
    "GIT_OBJECT_DIRECTORY=/nowhere",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES=/nowhere",
    "GIT_NAMESPACE=other",
    "GIT_SHALLOW_FILE=/nowhere/x",
    "GIT_GRAFT_FILE=/nowhere/x",
    "GIT_REPLACE_REF_BASE=nonsense",
    "GIT_EXEC_PATH=/nowhere",
    "GIT_QUARANTINE_PATH=/nowhere",
    "GIT_PUSH_OPTION_COUNT=nonsense",
    "GIT_ATTR_SOURCE=nonsense",
    "GIT_ADVICE=nonsense",
    "GIT_FLUSH=nonsense",
    "GIT_REF_PARANOIA=nonsense",
    "GIT_COMMITTER_DATE=nonsense",
    "GIT_PAGER=DIR/fail",
    "GIT_EDITOR=DIR/fail",
    "GIT_TEST_DEFAULT_HASH=sha256",
    "GIT_CONFIG=/nowhere",
    "GIT_CONFIG_SYSTEM=DIR/included",
    "GIT_CONFIG_GLOBAL=DIR/included",
    "GIT_CONFIG_PARAMETERS='core.hooksPath'='DIR/hooks'",
    "GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.hooksPath GIT_CONFIG_VALUE_0=DIR/hooks",
    "LANGUAGE=de LC_ALL=de_DE.UTF-8",
];

/// Hooks of git, on this side and the remote's.
const HOOKS: [&str; 9] = [
    "pre-push",
    "reference-transaction",
    "pre-receive",
    "update",
    "post-update",
    "post-receive",
    "pre-auto-gc",
    "post-checkout",
    "proc-receive",
];

/// A project whose user has a home, with what the settings lead to.
fn project() -> Project {
    let project = Project::new();
    let gate = &project.gate;
    let reached = gate.path("reached").display().to_string();
    let fail = format!("touch {reached}; exit 1");
    program(gate, "fail", &fail);
    program(gate, "home/nothing", "");
    for hook in HOOKS {
        program(gate, &format!("hooks/{hook}"), &fail);
        program(gate, &format!("template/hooks/{hook}"), &fail);
    }
    gate.write("template/config", "[core]\n repositoryFormatVersion = 7\n");
    let hooks = gate.path("hooks").display().to_string();
    gate.write("included", format!("[core]\n hooksPath = {hooks}\n"));
    project
}

/// A worker of a user with these settings, for one job.
fn worker(project: &Project, settings: &[&str]) -> Command {
    let gate = &project.gate;
    let arguments = [
        "work", "--agent", "analyst", "--max", "1", "--tries", "1", "--", "true",
    ];
    let mut command = gate.command(&arguments);
    command.env("HOME", gate.path("home"));
    command.env("XDG_CONFIG_HOME", gate.path("home"));
    let mut config = String::new();
    for setting in settings {
        let setting = setting.replace("DIR", &gate.path("").display().to_string());
        if setting.starts_with('[') {
            config += &format!("{setting}\n");
            continue;
        }
        for (name, value) in setting.split(' ').filter_map(|one| one.split_once('=')) {
            command.env(name, value);
        }
    }
    gate.write("home/.gitconfig", config);
    command
}

/// Adds a task and has it worked on.
#[track_caller]
fn cut(project: &Project, work_item: &str, settings: &[&str]) {
    let gate = &project.gate;
    let added = gate.run(&["task", "add", "alpha", "--work-item", work_item, "--json"]);
    let added = added.succeeds().json();
    let (task, job) = (
        added["task_id"].to_string(),
        added["job_id"].as_i64().unwrap(),
    );
    let ran = Ran::from(worker(project, settings).output().unwrap());
    assert_eq!(status(gate, job), "done", "{settings:?}: {}", ran.stderr);
    let branch = format!("task/{work_item}");
    assert_eq!(project.tip(&branch), project.tip("main"), "{settings:?}");
    let heads = project.git(&["-C", "remote.git", "for-each-ref", "--format=%(refname)"]);
    let expected = |name: &str| name == "refs/heads/main" || name.starts_with("refs/heads/task/");
    assert!(heads.lines().all(expected), "{settings:?}: {heads}");
    assert!(!gate.path("reached").exists(), "{settings:?}");
    gate.run(&["task", "cancel", &task]).succeeds();
}

#[test]
fn no_setting_of_the_user_s_git_reaches_the_gate_s_own_repository() {
    thread::scope(|scope| {
        for part in SETTINGS.chunks(SETTINGS.len().div_ceil(4)) {
            scope.spawn(move || {
                let project = project();
                for (number, setting) in part.iter().enumerate() {
                    cut(&project, &format!("ORCH-{number}"), &[setting]);
                }
            });
        }
    });
}

#[test]
fn nor_do_all_of_them_together() {
    // Without those that would take the place of the file with all the others.
    let replaces = |setting: &&&str| setting.starts_with("GIT_CONFIG_GLOBAL");
    let settings: Vec<&str> = SETTINGS
        .iter()
        .filter(|one| !replaces(one))
        .copied()
        .collect();
    cut(&project(), "ORCH-1", &settings);
}

#[test]
fn a_repository_in_the_folder_that_a_worker_runs_in_is_not_asked() {
    let project = project();
    project.git(&["init", "--quiet", "."]);
    for setting in [
        "url./nowhere/.insteadOf=remote.git",
        "core.hooksPath=hooks",
        "include.path=../included",
        "core.repositoryFormatVersion=7",
    ] {
        let (key, value) = setting.split_once('=').unwrap();
        project.git(&["config", "--file", ".git/config", key, value]);
    }
    cut(&project, "ORCH-1", &[]);
}

#[test]
fn the_format_of_a_branch_is_its_remote_s_whatever_the_user_s_is() {
    for (format, settings) in [
        ("sha256", "[init]\n defaultObjectFormat = sha1"),
        ("sha256", "GIT_DEFAULT_HASH=sha1"),
    ] {
        let project = project();
        std::fs::remove_dir_all(project.gate.path("remote.git")).unwrap();
        std::fs::remove_dir_all(project.gate.path("clone")).unwrap();
        let format = format!("--object-format={format}");
        project.git(&["init", "--quiet", "--bare", &format, "remote.git"]);
        project.git(&["init", "--quiet", "--initial-branch=main", &format, "clone"]);
        project.in_clone(&["remote", "add", "origin", "../remote.git"]);
        project.commit("first");
        cut(&project, "ORCH-1", &[settings]);
    }
}

#[test]
fn the_remote_s_own_hooks_run_although_the_user_has_others() {
    let project = project();
    let ran = project.gate.path("ran").display().to_string();
    program(
        &project.gate,
        "remote.git/hooks/post-receive",
        &format!("touch {ran}"),
    );
    cut(&project, "ORCH-1", &[SETTINGS[0]]);
    assert!(Path::new(&ran).exists());
}

#[test]
fn an_address_that_the_user_has_rewritten_is_followed() {
    for scope in [
        "[url \"DIR/remote.git\"]\n insteadOf = https://host.invalid/alpha",
        "GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=url.DIR/remote.git.insteadOf GIT_CONFIG_VALUE_0=https://host.invalid/alpha",
    ] {
        let project = project();
        let remote = "remote = \"https://host.invalid/alpha\"";
        let config = format!("[[project]]\nrepo = \"alpha\"\n{remote}\n");
        project.gate.write("serial-gate.toml", config);
        cut(&project, "ORCH-1", &[scope]);
    }
}

/// A project with a remote over ssh, and a fake ssh that runs the command here and records its
/// arguments.
fn by_ssh() -> Project {
    let project = project();
    let gate = &project.gate;
    let path = gate.path("remote.git").display().to_string();
    let config = format!("[[project]]\nrepo = \"alpha\"\nremote = \"git@host.invalid:{path}\"\n");
    gate.write("serial-gate.toml", config);
    let told = gate.path("told").display().to_string();
    let ssh = format!(
        "echo \"$* $SSH_ASKPASS $SSH_ASKPASS_REQUIRE\" >> {told}
         for last; do :; done
         exec sh -c \"$last\""
    );
    for name in ["bin/ssh", "own-ssh"] {
        program(gate, name, &ssh);
    }
    project
}

#[test]
fn ssh_asks_nobody() {
    let project = by_ssh();
    let path = project.gate.path("bin").display().to_string();
    let path = format!("PATH={path}:{}", std::env::var("PATH").unwrap());
    cut(&project, "ORCH-1", &[&path, "SSH_ASKPASS=DIR/fail"]);
    let told = lines(&project.gate.path("told"));
    let asks_nobody =
        |line: &String| line.contains("-o BatchMode=yes") && line.ends_with("false force");
    assert!(!told.is_empty() && told.iter().all(asks_nobody), "{told:?}");
}

#[test]
fn the_user_s_own_way_to_run_ssh_is_taken() {
    for setting in [
        "[core]\n sshCommand = DIR/own-ssh",
        "GIT_SSH_COMMAND=DIR/own-ssh",
        "GIT_SSH=DIR/own-ssh",
    ] {
        let project = by_ssh();
        cut(&project, "ORCH-1", &[setting]);
        let told = lines(&project.gate.path("told"));
        let is_own = |line: &String| !line.contains("BatchMode") && line.ends_with("false force");
        assert!(!told.is_empty() && told.iter().all(is_own), "{told:?}");
    }
}

#[test]
fn a_credential_helper_is_asked_and_a_refusal_is_said_in_words() {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // A server that refuses every request, and passes on what it received.
    let (shown, seen) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
            for line in head
                .by_ref()
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
            {
                if line.to_lowercase().starts_with("authorization:") {
                    let _ = shown.send(line);
                }
            }
            let answer = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let project = project();
    let gate = &project.gate;
    let config =
        format!("[[project]]\nrepo = \"alpha\"\nremote = \"http://127.0.0.1:{port}/alpha\"\n");
    gate.write("serial-gate.toml", config);
    program(
        gate,
        "helper",
        "[ \"$1\" = get ] && printf 'username=u\\npassword=secret\\n'",
    );
    gate.run(&["task", "add", "alpha"]).succeeds();
    let settings = [
        "[credential]\n helper = DIR/helper",
        "GIT_ASKPASS=DIR/fail",
        "no_proxy=*",
    ];
    worker(&project, &settings).output().unwrap();
    // The base is looked at as well.
    assert!(seen.recv().unwrap().ends_with("Basic dTpzZWNyZXQ="));
    assert!(!gate.path("reached").exists());
    let told = value(gate, "SELECT gate_error FROM jobs").unwrap();
    assert!(
        told.contains("refuses this worker's user: give that user a key"),
        "{told}"
    );
    assert!(!told.contains("secret"), "{told}");
}

#[test]
fn git_is_not_told_the_claim_of_an_outer_job() {
    let project = project();
    let gate = &project.gate;
    let told = gate.path("told").display().to_string();
    program(
        gate,
        "bin/git",
        &format!("export PATH=${{PATH#*:}}; env >> {told}; exec git \"$@\""),
    );
    let path = format!(
        "PATH={}:{}",
        gate.path("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let settings = [
        path.as_str(),
        "SERIAL_GATE_TOKEN=outer",
        "SERIAL_GATE_WEBHOOK_SECRET=outer",
    ];
    cut(&project, "ORCH-1", &settings);
    let told = lines(Path::new(&told));
    let is_ours = |line: &String| line.starts_with("SERIAL_GATE_");
    assert!(!told.is_empty() && !told.iter().any(is_ours));
}
