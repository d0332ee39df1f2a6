//! What the body of a webhook tells, by the forges' documentation.
//!
//! Owns the fields that are read of each forge's bodies, and their limits. Forges add fields, so
//! unknown ones are ignored. Callers rely on this: a text from here has a bounded length and no
//! control characters, and an address is a link.

use axum::http::HeaderMap;
use serde::Deserialize;
use serial_gate::store::{PullNews, PullState, PushNews};
use serial_gate::worker::branch::{Forge, is_link};

use crate::http::transport::signature::only;

/// The longest name of a branch, in bytes.
const REF: usize = 255;
/// The longest name of a user, in letters.
const USER: usize = 100;
/// The longest address, in bytes.
const URL: usize = 1_000;

const HEADS: &str = "refs/heads/";

/// The events that are used, and all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Ping,
    Pull,
    Push,
    Other,
}

impl Event {
    /// The event of a request, by its headers; none if it has no header for that.
    pub fn of(forge: Forge, headers: &HeaderMap) -> Option<Event> {
        Some(match (forge, event_name(forge, headers)?) {
            (Forge::GitHub, "ping") => Event::Ping,
            (Forge::GitHub | Forge::Gitea, "pull_request")
            | (Forge::GitLab, "Merge Request Hook") => Event::Pull,
            (Forge::GitHub | Forge::Gitea, "push") | (Forge::GitLab, "Push Hook") => Event::Push,
            _ => Event::Other,
        })
    }
}

/// The event of a request, as the forge calls it.
pub fn event_name(forge: Forge, headers: &HeaderMap) -> Option<&str> {
    match forge {
        Forge::GitHub => only(headers, "x-github-event"),
        Forge::GitLab => only(headers, "x-gitlab-event"),
        Forge::Gitea => only(headers, "x-forgejo-event").or(only(headers, "x-gitea-event")),
    }
}

/// The header with the event.
pub fn event_header(forge: Forge) -> &'static str {
    match forge {
        Forge::GitHub => "X-GitHub-Event",
        Forge::GitLab => "X-Gitlab-Event",
        Forge::Gitea => "X-Gitea-Event",
    }
}

/// The forge's id of a delivery.
pub fn id_of(forge: Forge, headers: &HeaderMap) -> Option<&str> {
    let names: &[&str] = match forge {
        Forge::GitHub => &["x-github-delivery"],
        // The same for each try.
        Forge::GitLab => &["idempotency-key", "webhook-id", "x-gitlab-event-uuid"],
        Forge::Gitea => &["x-forgejo-delivery", "x-gitea-delivery"],
    };
    let id = names.iter().find_map(|name| only(headers, name))?;
    (1..=200).contains(&id.len()).then_some(id)
}

/// What a body tells.
#[derive(Debug)]
pub enum Told {
    Pull {
        branch: String,
        base: String,
        state: PullState,
        who: String,
        url: Option<String>,
        merge_commit: Option<String>,
    },
    Push {
        branch: String,
        before: String,
        after: Option<String>,
        keeps_history: bool,
    },
    /// Nothing for a queue, and why.
    Nothing(&'static str),
}

impl Told {
    /// The news of a pull request or a push, for the store.
    pub fn news(&self) -> Result<serial_gate::store::News<'_>, &'static str> {
        use serial_gate::store::News;
        Ok(match self {
            Told::Pull {
                branch,
                base,
                state,
                who,
                url,
                merge_commit,
            } => News::Pull(PullNews {
                branch,
                base,
                state: *state,
                who,
                url: url.as_deref(),
                merge_commit: merge_commit.as_deref(),
            }),
            Told::Push {
                branch,
                before,
                after,
                keeps_history,
            } => News::Push(PushNews {
                branch,
                before,
                after: after.as_deref(),
                keeps_history: *keeps_history,
            }),
            Told::Nothing(why) => return Err(why),
        })
    }
}

/// The repository that a body names, which is not trusted yet.
pub fn repo_of(forge: Forge, body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        repository: Repository,
    }
    #[derive(Deserialize)]
    struct Repository {
        full_name: String,
    }
    #[derive(Deserialize)]
    struct OfGitLab {
        project: Project,
    }
    #[derive(Deserialize)]
    struct Project {
        path_with_namespace: String,
    }
    match forge {
        Forge::GitHub | Forge::Gitea => {
            let body: Body = serde_json::from_slice(body).ok()?;
            Some(body.repository.full_name)
        }
        Forge::GitLab => {
            let body: OfGitLab = serde_json::from_slice(body).ok()?;
            Some(body.project.path_with_namespace)
        }
    }
}

/// Reads the body of a pull request or a push.
pub fn read(forge: Forge, event: Event, body: &[u8]) -> Result<Told, serde_json::Error> {
    Ok(match (forge, event) {
        (_, Event::Ping) => Told::Nothing("the webhook works"),
        (_, Event::Other) => Told::Nothing(OTHER_EVENT),
        (Forge::GitLab, Event::Pull) => serde_json::from_slice::<MergeRequest>(body)?.told(),
        (_, Event::Pull) => serde_json::from_slice::<PullRequest>(body)?.told(forge),
        (_, Event::Push) => serde_json::from_slice::<Push>(body)?.told(),
    })
}

/// `pull_request` of GitHub and Gitea.
#[derive(Deserialize)]
struct PullRequest {
    action: String,
    pull_request: PullFields,
    sender: Option<User>,
}

#[derive(Deserialize)]
struct PullFields {
    html_url: Option<String>,
    merged: Option<bool>,
    merged_by: Option<User>,
    merge_commit_sha: Option<String>,
    head: End,
    base: End,
}

#[derive(Deserialize)]
struct End {
    #[serde(rename = "ref")]
    name: String,
    label: Option<String>,
    /// None when the fork is gone.
    repo: Option<Id>,
}

#[derive(Deserialize)]
struct Id {
    id: i64,
}

#[derive(Deserialize)]
struct User {
    login: Option<String>,
    username: Option<String>,
}

impl User {
    fn name(self) -> Option<String> {
        self.login.or(self.username)
    }
}

impl PullRequest {
    fn told(self, forge: Forge) -> Told {
        let PullFields {
            html_url,
            merged,
            merged_by,
            merge_commit_sha,
            head,
            base,
        } = self.pull_request;
        let state = match self.action.as_str() {
            "closed" if merged == Some(true) => PullState::Merged,
            "closed" => PullState::Closed,
            "opened" | "reopened" => PullState::Open,
            _ => return Told::Nothing(OTHER_ACTION),
        };
        let id = |end: &End| end.repo.as_ref().map(|repo| repo.id);
        if id(&head).is_none() || id(&head) != id(&base) {
            return Told::Nothing(FORK);
        }
        let is_gone = forge == Forge::Gitea && head.name.starts_with("refs/pull/");
        let branch = match head.label {
            // Gitea gives another name for a branch that was deleted after the merge.
            Some(label) if is_gone => label,
            _ => head.name,
        };
        let who = merged_by.filter(|_| state == PullState::Merged);
        let who = who.or(self.sender).and_then(User::name);
        told(branch, base.name, state, who, html_url, merge_commit_sha)
    }
}

/// `Merge Request Hook` of GitLab.
#[derive(Deserialize)]
struct MergeRequest {
    user: Option<User>,
    object_attributes: MergeFields,
}

#[derive(Deserialize)]
struct MergeFields {
    action: Option<String>,
    state: String,
    url: Option<String>,
    source_branch: String,
    target_branch: String,
    source_project_id: Option<i64>,
    target_project_id: i64,
    merge_commit_sha: Option<String>,
}

impl MergeRequest {
    fn told(self) -> Told {
        let fields = self.object_attributes;
        let state = match (fields.action.as_deref(), fields.state.as_str()) {
            (Some("merge"), "merged") => PullState::Merged,
            (Some("close"), _) => PullState::Closed,
            (Some("open" | "reopen"), _) => PullState::Open,
            _ => return Told::Nothing(OTHER_ACTION),
        };
        if fields.source_project_id != Some(fields.target_project_id) {
            return Told::Nothing(FORK);
        }
        let who = self
            .user
            .and_then(|User { login, username }| username.or(login));
        told(
            fields.source_branch,
            fields.target_branch,
            state,
            who,
            fields.url,
            fields.merge_commit_sha,
        )
    }
}

/// A push, which the three forges tell in almost the same way.
#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    name: String,
    before: String,
    after: String,
    /// GitHub's only.
    forced: Option<bool>,
}

impl Push {
    fn told(self) -> Told {
        let Some(branch) = self.name.strip_prefix(HEADS).filter(|name| is_ref(name)) else {
            return Told::Nothing("this was not pushed to a branch");
        };
        if !is_commit(&self.before) || !is_commit(&self.after) {
            return Told::Nothing("the push names no commits");
        }
        let is_none = |commit: &str| commit.bytes().all(|digit| digit == b'0');
        Told::Push {
            branch: branch.to_owned(),
            keeps_history: self.forced == Some(false) && !is_none(&self.before),
            after: Some(self.after).filter(|after| !is_none(after)),
            before: self.before,
        }
    }
}

/// Why an event has no effect.
pub const OTHER_EVENT: &str =
    "this event is not used: choose pull requests and pushes at the forge";

const OTHER_ACTION: &str = "only opening, closing and merging are used";

const FORK: &str = "the branch is of another repository";

fn told(
    branch: String,
    base: String,
    state: PullState,
    who: Option<String>,
    url: Option<String>,
    merge_commit: Option<String>,
) -> Told {
    if !is_ref(&branch) || !is_ref(&base) {
        return Told::Nothing("the pull request names no branches");
    }
    let who = who.unwrap_or_default();
    let who: String = who.chars().filter(|c| !c.is_control()).take(USER).collect();
    Told::Pull {
        branch,
        base,
        state,
        who: if who.is_empty() {
            "somebody".into()
        } else {
            who
        },
        url: url.filter(|url| url.len() <= URL && is_link(url)),
        merge_commit: merge_commit.filter(|commit| is_commit(commit)),
    }
}

fn is_ref(name: &str) -> bool {
    (1..=REF).contains(&name.len()) && !name.contains(char::is_control)
}

fn is_commit(name: &str) -> bool {
    (40..=64).contains(&name.len()) && name.bytes().all(|digit| digit.is_ascii_hexdigit())
}
