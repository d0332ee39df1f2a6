//! The page of the policy: the rule in words, its settings, the shadow, its history, and the way
//! back.
//!
//! Owns its template. Leaves the steps to `rollout`, and the button's action to `forms`.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serial_gate::gate::settings_of;
use serial_gate::model::{Settings, Verdict};
use serial_gate::policy::Allowance;
use serial_gate::printable::as_it_is;
use serial_gate::queue::{Queue, reasons};
use serial_gate::store::{Generation, GenerationState};

use super::markup::Markup;
use super::visitor::{Frame, Place, Said, Visitor};
use super::work::{contradictions, sentence};
use crate::http::app::App;
use crate::http::transport::problem::Problem;
use crate::http::transport::reader::Reader;

/// The shown entries of the history, and the shown disagreements of the shadow.
const EVENTS: usize = 50;
const DISAGREEMENTS: usize = 20;

#[derive(Template)]
#[template(path = "policy.html")]
struct PolicyPage {
    frame: Frame,
    generation: i64,
    /// Its name and version; none if no generation was ever activated.
    name: Option<String>,
    /// The rule, in the policy's own words.
    summary: Option<Markup>,
    settings: Option<InWords>,
    pipeline: Option<String>,
    /// Why the rule in force is not the active generation's.
    notes: Vec<Markup>,
    shadow: Option<Shadow>,
    events: Vec<Event>,
    /// What the button would do, if there is a generation to go back to.
    roll_back: Option<String>,
}

/// The settings for people.
struct InWords {
    gate: &'static str,
    scope: String,
    freezes: &'static str,
    rules: Option<String>,
}

struct Shadow {
    generation: i64,
    looks: String,
    failures: String,
    last_failure: Option<String>,
    disagreements: Vec<Disagreement>,
    more: usize,
}

struct Disagreement {
    job: i64,
    active: String,
    shadow: String,
    times: String,
    last: Markup,
}

struct Event {
    at: Markup,
    generation: i64,
    state: &'static str,
    who: String,
    why: String,
}

/// The policy
#[utoipa::path(
    get, path = "/policy", operation_id = "policy_page", tag = "dashboard", security(("token" = ["reader"])),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 304, description = "The page with this mark has not changed"),
    )
)]
pub async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    show(&app, visitor, None).await
}

/// The page, with what became of a form above it.
pub async fn show(app: &App, visitor: Visitor, said: Option<Said>) -> Result<Response, Problem> {
    let frame = Frame {
        said,
        ..visitor.frame("Policy", Place::Policy, "/policy".into())
    };
    let read =
        move |reader: &mut Reader, frame| reader.queue.from_one_state(|queue| read(queue, frame));
    visitor.page(app, frame, read).await
}

fn read(queue: &mut Queue, frame: Frame) -> Result<PolicyPage, Problem> {
    let active = queue.store().generation_in(GenerationState::Active)?;
    let summary = match &active {
        Some(active) => summary_of(queue, active)?,
        None => None,
    };
    let settings = active.as_ref().map(settings_of).transpose()?;
    let in_force = queue.not_in_force().map(|why| sentence(&why.to_string()));
    let notes = in_force.into_iter().chain(contradictions(queue)?);
    let store = queue.store();
    let mut events = store.generation_events(None)?;
    events.truncate(EVENTS);
    let events = events.into_iter().map(|event| Event {
        at: Markup::at_text(&event.at),
        generation: event.generation,
        state: event.state.name(),
        who: event.who,
        why: event.why,
    });
    let shadow = store.shadow_record()?.map(|record| Shadow {
        generation: record.generation,
        looks: record.looks.to_string(),
        failures: record.failures.to_string(),
        last_failure: Some(record.last_failure).filter(|failure| !failure.is_empty()),
        more: record.disagreements.len().saturating_sub(DISAGREEMENTS),
        disagreements: record
            .disagreements
            .iter()
            .take(DISAGREEMENTS)
            .map(|found| Disagreement {
                job: found.job,
                active: verdict_words(found.active.as_ref()),
                shadow: verdict_words(found.shadow.as_ref()),
                times: found.times.to_string(),
                last: Markup::at_text(&found.last_at),
            })
            .collect(),
    });
    Ok(PolicyPage {
        frame,
        generation: active.as_ref().map_or(0, |active| active.id),
        name: active.map(|active| format!("{} {}", active.name, active.version)),
        summary: summary.map(|summary| sentence(&summary)),
        settings: settings.as_ref().map(in_words),
        pipeline: store.pipeline()?.map(|pipeline| pipeline.in_words()),
        notes: notes.collect(),
        shadow,
        events: events.collect(),
        roll_back: match store.generation_before()? {
            Some(before) => {
                let before = store.generation(before)?;
                Some(format!(
                    "Generation {}, {} {}, becomes active again. Every process follows at its \
                     next claim.",
                    before.id, before.name, before.version
                ))
            }
            None => None,
        },
    })
}

/// The rule in the policy's own words. A policy that cannot be loaded has none; the page says so
/// with the rule in force.
fn summary_of(queue: &mut Queue, active: &Generation) -> Result<Option<String>, Problem> {
    let Some(component) = queue.store().component(&active.digest)? else {
        return Ok(None);
    };
    let described = queue.describe(
        &component,
        active.signature.as_deref(),
        Allowance::default(),
    );
    Ok(described.ok().map(|description| description.summary))
}

fn in_words(settings: &Settings) -> InWords {
    InWords {
        gate: match settings.enabled {
            true => "on",
            false => "switched off: every job may be claimed",
        },
        scope: match settings.repos.trim() {
            "" => "all repos".into(),
            repos => repos.into(),
        },
        freezes: match settings.freeze_enabled {
            true => "a freeze holds its repo",
            false => "switched off: a freeze holds nothing",
        },
        rules: settings.rules.clone().filter(|rules| !rules.is_empty()),
    }
}

fn verdict_words(verdict: Option<&Verdict>) -> String {
    match verdict {
        None => "no answer".into(),
        Some(Verdict::Claim) => "may be claimed".into(),
        Some(Verdict::Hold(hold)) => {
            let first = hold
                .earlier_task
                .map(|task| format!("task {task} comes first"));
            format!("held: {}", reasons(hold, first, &[], &as_it_is))
        }
    }
}
