//! The forges' webhooks: a merged branch ends its task.
//!
//! Owns the answers, which the forges keep for people to read. Leaves the signature to `transport`,
//! the bodies to `hook_news`, and the effects to the queue.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serial_gate::printable::hex;
use serial_gate::queue::{self, Queue};
use serial_gate::store::{Hook, HookEffect, News, PullEffect, PullState, PushEffect};
use serial_gate::worker::branch::Forge;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::hook_news::{Event, OTHER_EVENT, event_header, event_name, id_of, read, repo_of};
use crate::http::app::App;
use crate::http::transport::extract::Json;
use crate::http::transport::hooks::admit;
use crate::http::transport::problem::Problem;

/// What came of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// The task is done.
    Ended,
    /// It is recorded, and shown.
    Recorded,
    /// It changes nothing here.
    Nothing,
    /// It came before.
    Seen,
}

/// The answer to a webhook.
#[derive(Serialize, ToSchema)]
pub struct Taken {
    /// What came of it
    outcome: Outcome,
    /// The task that it is about
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<i64>,
    /// Its work item
    #[serde(skip_serializing_if = "Option::is_none")]
    work_item_id: Option<String>,
    /// The same in words
    #[schema(example = "task 7 (A-7) is done: its branch was merged")]
    text: String,
}

impl Taken {
    fn nothing(text: impl Into<String>) -> Taken {
        Taken {
            outcome: Outcome::Nothing,
            task_id: None,
            work_item_id: None,
            text: text.into(),
        }
    }

    /// Names the task at the beginning of the text.
    fn named(self, queue: &mut Queue) -> Result<Taken, queue::Error> {
        let Some(id) = self.task_id else {
            return Ok(self);
        };
        let task = queue.known_task(id)?;
        let name = task.in_words(&|name| name.escape_debug().to_string());
        Ok(Taken {
            text: format!("{name}{}", self.text),
            work_item_id: task.work_item_id,
            ..self
        })
    }
}

/// Take a webhook of GitHub: `ping`, `pull_request` and `push`
#[utoipa::path(
    post, path = "/hooks/github", tag = "hooks", security(()),
    request_body(content = serde_json::Value, description = "As GitHub documents it"),
    responses((status = 200, description = "It was signed, or is of no use", body = Taken))
)]
pub async fn github(State(app): State<App>, request: Request) -> Result<Json<Taken>, Problem> {
    take(app, Forge::GitHub, request).await
}

/// Take a webhook of GitLab: `Merge Request Hook` and `Push Hook`
#[utoipa::path(
    post, path = "/hooks/gitlab", tag = "hooks", security(()),
    request_body(content = serde_json::Value, description = "As GitLab documents it"),
    responses((status = 200, description = "It was signed, or is of no use", body = Taken))
)]
pub async fn gitlab(State(app): State<App>, request: Request) -> Result<Json<Taken>, Problem> {
    take(app, Forge::GitLab, request).await
}

/// Take a webhook of Gitea or Forgejo: `pull_request` and `push`
#[utoipa::path(
    post, path = "/hooks/gitea", tag = "hooks", security(()),
    request_body(content = serde_json::Value, description = "As Gitea documents it"),
    responses((status = 200, description = "It was signed, or is of no use", body = Taken))
)]
pub async fn gitea(State(app): State<App>, request: Request) -> Result<Json<Taken>, Problem> {
    take(app, Forge::Gitea, request).await
}

async fn take(app: App, forge: Forge, request: Request) -> Result<Json<Taken>, Problem> {
    let event = event_name(forge, request.headers()).map(str::to_owned);
    let mut repository = None;
    let taken = taken(&app, forge, request, &mut repository).await;
    let outcome = match &taken {
        Ok(taken) => match taken.outcome {
            Outcome::Ended => "ended",
            Outcome::Recorded => "recorded",
            Outcome::Nothing => "nothing",
            Outcome::Seen => "seen",
        },
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => "refused",
        Err(_) => "failed",
    };
    app.counters.count_hook(forge.name(), outcome);
    let about = format!(
        "webhook of {}: event {}, repository {}: {outcome}",
        forge.name(),
        quoted(event.as_deref()),
        quoted(repository.as_deref())
    );
    match &taken {
        Ok(taken) => tracing::info!("{about}: {}", taken.text),
        Err(problem) => tracing::warn!("{about}: {}", problem.detail()),
    }
    taken.map(Json)
}

/// A text of a request, for the log. The request may come from a stranger.
fn quoted(text: Option<&str>) -> String {
    /// No name of a repository is longer.
    const LONGEST: usize = 200;
    match text {
        Some(text) if text.len() <= LONGEST => format!("`{}`", text.escape_debug()),
        Some(text) => format!("of {} bytes", text.len()),
        None => "unknown".into(),
    }
}

async fn taken(
    app: &App,
    forge: Forge,
    request: Request,
    repository: &mut Option<String>,
) -> Result<Taken, Problem> {
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    let event = Event::of(forge, &headers);
    if event == Some(Event::Other) {
        // Its body is not received, so its signature cannot be checked.
        return Ok(Taken::nothing(OTHER_EVENT));
    }
    let body = app.hooks.receive(&headers, body).await?;
    let id = id_of(forge, &headers).map(str::to_owned);
    let (projects, body) = admit(&app.hooks, forge, headers, body, repo_of, repository).await?;
    let event = event.ok_or_else(|| {
        Problem::invalid(format!(
            "the header `{}` is missing: it says which event this is",
            event_header(forge)
        ))
    })?;
    let told = read(forge, event, &body).map_err(|error| {
        Problem::invalid(format!("this is not the body of such an event: {error}"))
    })?;
    if let Err(why) = told.news() {
        return Ok(Taken::nothing(why));
    }
    let digest = hex(&Sha256::digest(&body));
    drop(body);
    let step = move |queue: &mut Queue| {
        let mut best: Option<Taken> = None;
        // Two repos of a queue may be one repository of the forge.
        for project in &projects {
            let news = match told.news() {
                Ok(news) => news,
                Err(why) => return Ok(Taken::nothing(why)),
            };
            let hook = Hook {
                forge: forge.name(),
                repo: &project.repo,
                id: id.as_deref(),
                digest: &digest,
                news,
            };
            let effect = queue.take_hook(Timestamp::now(), hook)?;
            let taken = in_words(news, effect).named(queue)?;
            if best
                .as_ref()
                .is_none_or(|best| best.outcome == Outcome::Nothing)
            {
                best = Some(taken);
            }
        }
        Ok::<Taken, queue::Error>(best.unwrap_or_else(|| Taken::nothing("")))
    };
    Ok(app.writer.change(step).await??)
}

fn in_words(news: News<'_>, effect: HookEffect) -> Taken {
    let about = |outcome, task, text: String| Taken {
        outcome,
        task_id: Some(task),
        work_item_id: None,
        text,
    };
    let (pull, effect) = match (news, effect) {
        (_, HookEffect::SeenAlready) => {
            return Taken {
                outcome: Outcome::Seen,
                ..Taken::nothing("this was seen already, and changes nothing")
            };
        }
        (News::Pull(pull), HookEffect::Pull(effect)) => (pull, effect),
        (News::Push(push), HookEffect::Push(effect)) => return of_push(push.branch, effect),
        _ => return Taken::nothing(""),
    };
    let branch = pull.branch.escape_debug();
    match effect {
        PullEffect::NoTask => {
            Taken::nothing(format!("`{branch}` is not the branch of a task here"))
        }
        PullEffect::Over { task } => about(Outcome::Nothing, task, " is finished already".into()),
        PullEffect::OtherBase { task, base } => {
            let (base, other) = (base.escape_debug(), pull.base.escape_debug());
            let text = format!(": its branch was cut from `{base}`, and this is for `{other}`");
            about(Outcome::Nothing, task, text)
        }
        PullEffect::Older { task } => {
            let text = ": something newer is known of its branch".into();
            about(Outcome::Nothing, task, text)
        }
        PullEffect::Noted { task } => {
            let text = match pull.state {
                PullState::Closed => ": its pull request was closed without a merge",
                PullState::Open | PullState::Merged => ": its pull request is open",
            };
            about(Outcome::Recorded, task, text.into())
        }
        PullEffect::EndsLater { task } => {
            let text = ": its branch was merged, and it ends when no job of it runs".into();
            about(Outcome::Recorded, task, text)
        }
        PullEffect::Ended { task } => about(
            Outcome::Ended,
            task,
            " is done: its branch was merged".into(),
        ),
    }
}

fn of_push(branch: &str, effect: PushEffect) -> Taken {
    let branch = branch.escape_debug();
    let (outcome, text) = match effect {
        PushEffect::NoBase => (Outcome::Nothing, "no task's branch was cut from it"),
        PushEffect::Unsure => (Outcome::Nothing, "a worker's next look tells where it is"),
        PushEffect::Known => (Outcome::Nothing, "that is known"),
        PushEffect::Moved => (Outcome::Recorded, "it has moved"),
        PushEffect::Deleted => (Outcome::Recorded, "it was deleted"),
    };
    Taken {
        outcome,
        ..Taken::nothing(format!("`{branch}`: {text}"))
    }
}
