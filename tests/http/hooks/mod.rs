//! Webhooks, as the forges document them, sent to the real service.
//!
//! The `.json` files are whole bodies; each case changes what it is about. `answers` has what is
//! answered, `merges` what becomes of a task, `pushes` what is said of its base, `at_once` what
//! happens with two changes at the same time, `killed` a service that is killed at each statement.

mod answers;
mod at_once;
mod killed;
mod merges;
mod pushes;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use serial_gate::store::{Claimed, NewBranch, NewTask};

use crate::support::Gate;
use crate::support::hmac::hmac;
use crate::support::look::value;
use crate::support::service::{Answer, Asking, Service};

pub const PULL: &str = include_str!("github_pull_request.json");
pub const PUSH: &str = include_str!("github_push.json");
const PING: &str = include_str!("github_ping.json");
const MERGE_REQUEST: &str = include_str!("gitlab_merge_request.json");
const GITLAB_PUSH: &str = include_str!("gitlab_push.json");
const GITEA_PULL: &str = include_str!("gitea_pull_request.json");
const GITEA_PUSH: &str = include_str!("gitea_push.json");

const SECRET: &str = "It's a Secret to Everybody";
const OTHER_SECRET: &str = "beta's secret";

/// The commit of the base at which each branch was cut.
const CUT_AT: &str = "6113728f27ae82c7b1a177c8d03f9e96e0adf246";

const PROJECTS: &str = r#"
[[project]]
repo = "alpha"
remote = "remote.git"
forge = "github"
forge_repo = "acme/alpha"
hook_secret = "alpha.secret"
[[project]]
repo = "beta"
remote = "remote.git"
forge = "github"
forge_repo = "acme/beta"
hook_secret = "beta.secret"
[[project]]
repo = "gamma"
remote = "remote.git"
forge = "gitlab"
forge_repo = "acme/tools/gamma"
hook_secret = "alpha.secret"
[[project]]
repo = "delta"
remote = "remote.git"
forge = "gitea"
forge_repo = "acme/delta"
hook_secret = "alpha.secret"
"#;

/// A queue whose projects take webhooks.
pub fn gate() -> Gate {
    let gate = Gate::new();
    gate.write("serial-gate.toml", PROJECTS);
    gate.write("alpha.secret", format!("{SECRET}\n"));
    gate.write("beta.secret", OTHER_SECRET);
    gate
}

/// Adds a task whose branch was cut from `main`, and whose job runs.
pub fn running(gate: &Gate, repo: &str, branch: &str) -> Claimed {
    let mut queue = gate.queue();
    let now = Timestamp::now();
    let task = NewTask {
        repo,
        work_item: branch.strip_prefix("task/"),
        stage: "analysis",
        agent: "analyst",
        label: None,
    };
    let added = queue.store_mut().add_task(now, task).unwrap();
    let claimed = queue.claim(now, "w-1", Duration::from_secs(3600));
    let claimed = claimed.unwrap().unwrap();
    assert_eq!(claimed.id, added.job_id);
    let branch = NewBranch {
        task: added.task_id,
        name: branch,
        base: "main",
        base_commit: CUT_AT,
    };
    let store = queue.store_mut();
    store.plan_branch(claimed.claim(), branch).unwrap();
    store
        .confirm_branch(now, claimed.claim(), added.task_id)
        .unwrap();
    store
        .saw_base(now, repo, "main", Some(CUT_AT), &[])
        .unwrap();
    claimed
}

/// The same, and its job is done.
pub fn finished(gate: &Gate, repo: &str, branch: &str) -> i64 {
    let claimed = running(gate, repo, branch);
    let job = claimed.id.to_string();
    gate.run(&["job", "finish", &job, "--token", &claimed.token])
        .succeeds();
    claimed.task_id.unwrap()
}

/// A body with other values at some places.
pub fn changed(body: &str, changes: &[(&str, Value)]) -> Value {
    let mut body: Value = serde_json::from_str(body).unwrap();
    for (place, value) in changes {
        *body.pointer_mut(place).expect(place) = value.clone();
    }
    body
}

/// A webhook that is being built.
pub struct Sent<'a> {
    service: &'a Service,
    pub forge: &'a str,
    pub event: &'a str,
    pub body: Vec<u8>,
    pub secret: &'a str,
    pub id: Option<&'a str>,
    pub kind: &'a str,
}

impl<'a> Sent<'a> {
    /// Of GitHub's repository `acme/alpha`.
    pub fn github(service: &'a Service, event: &'a str, body: &Value) -> Sent<'a> {
        Sent {
            service,
            forge: "github",
            event,
            body: body.to_string().into_bytes(),
            secret: SECRET,
            id: None,
            kind: "application/json",
        }
    }

    pub fn of(forge: &'a str, service: &'a Service, event: &'a str, body: &Value) -> Sent<'a> {
        Sent {
            forge,
            ..Sent::github(service, event, body)
        }
    }

    /// The request without a signature.
    pub fn unsigned(&self) -> Asking<'a> {
        let path = format!("/hooks/{}", self.forge);
        let asking = self.service.request("POST", &path);
        let asking = asking.body(self.kind, self.body.clone());
        let (event, id) = match self.forge {
            "github" => ("X-GitHub-Event", "X-GitHub-Delivery"),
            "gitlab" => ("X-Gitlab-Event", "X-Gitlab-Event-UUID"),
            _ => ("X-Gitea-Event", "X-Gitea-Delivery"),
        };
        let asking = asking.header(event, self.event);
        match self.id {
            Some(value) => asking.header(id, value),
            None => asking,
        }
    }

    pub fn send(&self) -> Answer {
        let signature = hmac(self.secret, &self.body);
        let asking = self.unsigned();
        let asking = match self.forge {
            "github" => asking.header("X-Hub-Signature-256", &format!("sha256={signature}")),
            "gitlab" => asking.header("X-Gitlab-Token", self.secret),
            _ => asking.header("X-Gitea-Signature", &signature),
        };
        asking.send()
    }

    /// The text of an answer.
    #[track_caller]
    pub fn said(&self) -> String {
        text(&self.send())
    }
}

/// An answer in a line.
pub fn text(answer: &Answer) -> String {
    let document = answer.json();
    let (outcome, text) = match answer.status {
        200 => (document["outcome"].as_str().unwrap(), &document["text"]),
        _ => ("", &document["detail"]),
    };
    let text = text.as_str().unwrap();
    format!("{} {outcome}: {text}", answer.status)
}

/// A task's stage, and whether it is cancelled.
pub fn stage(gate: &Gate, task: i64) -> String {
    value(gate, &format!("SELECT stage FROM tasks WHERE id = {task}")).unwrap()
}
