//! The environment of git.
//!
//! Owns the variables that are removed: those that lead git to another repository, change what it
//! writes, make it trace, or make it ask a question; and all `SERIAL_GATE_` variables, because they
//! may hold the claim of an outer job. Those for ssh, certificates, proxies and credential helpers
//! stay as the user has set them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use super::plain::{self, GitSettings};

/// Prefixes of the removed variables.
const BEGINNINGS: [&str; 9] = [
    "SERIAL_GATE_",
    "GIT_AUTHOR_",
    "GIT_COMMITTER_",
    "GIT_INDEX_",
    "GIT_INTERNAL_",
    "GIT_PUSH_",
    "GIT_REDIRECT_",
    "GIT_TEST_",
    "GIT_TRACE",
];

/// Further removed variables.
const NAMES: &str = "\
    GIT_ADVICE GIT_ALLOC_LIMIT GIT_ALLOW_NULL_SHA1 GIT_ALTERNATE_OBJECT_DIRECTORIES \
    GIT_ATTR_GLOBAL GIT_ATTR_NOSYSTEM GIT_ATTR_SOURCE GIT_ATTR_SYSTEM GIT_CEILING_DIRECTORIES \
    GIT_CHERRY_PICK_HELP GIT_CLONE_PROTECTION_ACTIVE GIT_COMMIT_GRAPH_PARANOIA GIT_COMMON_DIR \
    GIT_CONFIG GIT_CURL_VERBOSE GIT_DEFAULT_BRANCH GIT_DEFAULT_REF_FORMAT GIT_DIFF_OPTS GIT_DIR \
    GIT_DISCOVERY_ACROSS_FILESYSTEM GIT_EDITOR GIT_EXEC_PATH GIT_EXTERNAL_DIFF GIT_FLUSH \
    GIT_FORCE_THREADS GIT_GLOB_PATHSPECS GIT_GRAFT_FILE GIT_ICASE_PATHSPECS \
    GIT_IMPLICIT_WORK_TREE GIT_LITERAL_PATHSPECS GIT_MMAP_LIMIT GIT_NAMESPACE \
    GIT_NOGLOB_PATHSPECS GIT_NO_REPLACE_OBJECTS GIT_OBJECT_DIRECTORY GIT_OPTIONAL_LOCKS GIT_PAGER \
    GIT_PAGER_IN_USE GIT_PREFIX GIT_PROGRESS_DELAY GIT_PROTOCOL GIT_PROTOCOL_FROM_USER \
    GIT_QUARANTINE_PATH GIT_REFLOG_ACTION GIT_REF_PARANOIA GIT_REPLACE_REF_BASE \
    GIT_SEQUENCE_EDITOR GIT_SHALLOW_FILE GIT_SMART_HTTP GIT_TEMPLATE_DIR GIT_TRANSLOOP_DEBUG \
    GIT_TRANSPORT_HELPER_DEBUG GIT_WORK_TREE";

/// Removes these variables. Those that name the user's settings stay, so that they can be read.
pub(super) fn clear(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let is_left_out = name.to_str().is_some_and(|name| {
            NAMES.split(' ').any(|other| other == name)
                || BEGINNINGS
                    .iter()
                    .any(|beginning| name.starts_with(beginning))
        });
        if is_left_out {
            command.env_remove(name);
        }
    }
    command
        // `said` parses its messages.
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        // Git reads the settings for these before any file, so only variables switch them off.
        .env("GIT_TRACE2", "0")
        .env("GIT_TRACE2_PERF", "0")
        .env("GIT_TRACE2_EVENT", "0")
        // Set but empty, it keeps git from using other programs that ask.
        .env("GIT_ASKPASS", "")
        .env("GCM_INTERACTIVE", "never")
        // `false` gives no answer, and keeps ssh from asking at the terminal.
        .env("SSH_ASKPASS", "false")
        .env("SSH_ASKPASS_REQUIRE", "force");
}

/// Replaces the user's settings by those that `plain` has kept.
pub(super) fn configure(command: &mut Command, settings: &GitSettings, file: &Path, remote: &str) {
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("GIT_CONFIG"))
        {
            command.env_remove(name);
        }
    }
    command
        .env("GIT_CONFIG_GLOBAL", file)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_COUNT", settings.given.len().to_string());
    for (number, (key, value)) in settings.given.iter().enumerate() {
        command
            .env(format!("GIT_CONFIG_KEY_{number}"), key)
            .env(format!("GIT_CONFIG_VALUE_{number}"), value);
    }
    if let (Some(allowed), Some(scheme)) = (std::env::var_os(ALLOWED), plain::scheme(remote)) {
        // This variable overrides every `protocol.*` setting.
        let mut allowed = allowed;
        allowed.push(OsStr::new(":"));
        allowed.push(OsStr::new(scheme));
        command.env(ALLOWED, allowed);
    }
    let is_given = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !settings.has_ssh && !SSH.iter().any(is_given) {
        command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
    }
}

const ALLOWED: &str = "GIT_ALLOW_PROTOCOL";

/// With these, the user sets how ssh is run.
const SSH: [&str; 3] = ["GIT_SSH_COMMAND", "GIT_SSH", "GIT_SSH_VARIANT"];
