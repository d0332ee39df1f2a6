//! Figures for Prometheus.
//!
//! Owns their names. What happened in this process is counted here; what the queue is like is read when somebody asks.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use serial_gate::model::{Hold, Verdict};
use serial_gate::queue::State as QueueState;
use serial_gate::store::from_sql_time;

use super::App;
use super::problem::Problem;
use super::reader::Reader;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: String,
    path: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InRepo {
    repo: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HeldBy {
    reason: &'static str,
}

/// What this process counts.
pub struct Metrics {
    pub claimed: Counter,
    pub found_nothing: Counter,
    answered: Family<Answered, Counter>,
    took: Histogram,
}

impl Metrics {
    pub fn new() -> Metrics {
        Metrics {
            claimed: Counter::default(),
            found_nothing: Counter::default(),
            answered: Family::default(),
            took: Histogram::new([
                0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0,
            ]),
        }
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "claims",
            "Jobs that were given to workers",
            self.claimed.clone(),
        );
        registry.register(
            "claims_empty",
            "Claims that found nothing, at once or after their wait",
            self.found_nothing.clone(),
        );
        registry.register(
            "http_requests",
            "Requests that were answered",
            self.answered.clone(),
        );
        registry.register(
            "http_request_seconds",
            "How long requests took, but for those that wait: claims and events",
            self.took.clone(),
        );
    }
}

/// Counts a request.
pub async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().to_string();
    // Not the path itself: anybody can make up as many as he likes.
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let response = next.run(request).await;
    if !matches!(path.as_str(), "/claim" | "/events") {
        app.metrics.took.observe(begun.elapsed().as_secs_f64());
    }
    let status = response.status().as_u16();
    let answered = Answered {
        method,
        path,
        status,
    };
    app.metrics.answered.get_or_create(&answered).inc();
    response
}

/// Figures for Prometheus
#[utoipa::path(
    get, path = "/metrics", tag = "service", security(("token" = ["reader"])),
    responses(
        (status = 200, description = "In the format of OpenMetrics", body = String, content_type = "application/openmetrics-text"),
    )
)]
pub async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let mut registry = Registry::with_prefix("serial_gate");
    app.metrics.register(&mut registry);
    let waiting = app.writer.run(|writer| writer.waiting()).await?;
    gauge(
        &mut registry,
        "waiting_workers",
        "Workers that wait for a job",
        waiting,
    );
    let (state, generation, failures) = app.reader.run(read).await??;
    gauge(
        &mut registry,
        "generation",
        "The active generation of the policy",
        generation,
    );
    gauge(
        &mut registry,
        "policy_failures",
        "Failures of the active generation that count towards its rollback",
        failures,
    );
    describe(&state, &mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| Problem::inside(&error))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, kind)], text))
}

fn read(reader: &mut Reader) -> Result<(QueueState, i64, i64), serial_gate::queue::Error> {
    let state = reader.state()?;
    let store = reader.queue.store();
    let generation = store.active_generation_id()?.unwrap_or(0);
    let failures = store.failures(generation)?;
    Ok((state, generation, failures))
}

fn describe(state: &QueueState, registry: &mut Registry) {
    let waiting = Family::<InRepo, Gauge>::default();
    let held = Family::<InRepo, Gauge>::default();
    let frozen = Family::<InRepo, Gauge>::default();
    let reasons = Family::<HeldBy, Gauge>::default();
    let now = Timestamp::now();
    for (repo, found) in &state.per_repo {
        let repo = || InRepo { repo: repo.clone() };
        waiting
            .get_or_create(&repo())
            .set(amount(found.waiting.len()));
        for hold in found
            .waiting
            .iter()
            .filter_map(|job| hold(job.verdict.as_ref()))
        {
            held.get_or_create(&repo()).inc();
            count_reasons(&reasons, hold);
        }
        if found.frozen {
            let since = found.frozen_at.as_deref().and_then(from_sql_time);
            let age = since.map_or(0, |since| now.as_second() - since.as_second());
            frozen.get_or_create(&repo()).set(age);
        }
    }
    for other in &state.others.held {
        if let Some(hold) = hold(other.verdict.as_ref()) {
            count_reasons(&reasons, hold);
        }
    }
    registry.register(
        "waiting_jobs",
        "Queued jobs for analysts, of each repo",
        waiting,
    );
    registry.register("held_jobs", "Those of them that may not be claimed", held);
    registry.register(
        "holds",
        "Queued jobs that may not be claimed, by reason; one may have several",
        reasons,
    );
    registry.register(
        "frozen_seconds",
        "For how long a repo has been frozen",
        frozen,
    );
}

fn hold(verdict: Option<&Verdict>) -> Option<&Hold> {
    match verdict {
        Some(Verdict::Hold(hold)) => Some(hold),
        _ => None,
    }
}

fn count_reasons(reasons: &Family<HeldBy, Gauge>, hold: &Hold) {
    for (reason, is_given) in [
        ("earlier_task", hold.earlier_task.is_some()),
        ("freeze", hold.freeze.is_some()),
        ("rule", hold.rule.is_some()),
    ] {
        if is_given {
            reasons.get_or_create(&HeldBy { reason }).inc();
        }
    }
}

fn gauge<T: TryInto<i64>>(registry: &mut Registry, name: &str, help: &str, value: T) {
    let gauge = Gauge::<i64>::default();
    gauge.set(amount(value));
    registry.register(name, help, gauge);
}

fn amount<T: TryInto<i64>>(value: T) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
