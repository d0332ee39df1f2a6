//! Figures for Prometheus.
//!
//! Owns their names. What happened in this process is counted here; what the queue is like is read
//! when somebody asks.

use std::collections::BTreeMap;
use std::iter::zip;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
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
use serial_gate::policy::Calls;
use serial_gate::queue::State as QueueState;
use serial_gate::store::Outbox;

use super::App;
use super::age::{age, age_of};
use super::problem::Problem;
use super::reader::Reader;
use super::work_metrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    path: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct InRepo {
    pub repo: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HeldBy {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Function {
    function: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    function: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Told {
    state: &'static str,
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
    // Neither the method nor the path itself: anybody can make up as many as he likes.
    let method = known(request.method());
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

fn known(method: &Method) -> &'static str {
    let all = [
        Method::GET,
        Method::POST,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
    ];
    let names = ["GET", "POST", "PATCH", "DELETE", "HEAD"];
    let found = zip(&all, names).find(|(known, _)| *known == method);
    found.map_or("other", |(_, name)| name)
}

/// Figures for Prometheus
#[utoipa::path(
    get, path = "/metrics", tag = "service", security(("token" = ["reader"])),
    responses(
        (status = 200, description = "In the format of OpenMetrics", body = String, content_type = "application/openmetrics-text"),
    )
)]
pub async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    app.answers.check()?;
    let mut registry = Registry::with_prefix("serial_gate");
    app.metrics.register(&mut registry);
    app.connections.register(&mut registry);
    let waiting = app.writer.standing().await?.waiting;
    gauge(
        &mut registry,
        "waiting_workers",
        "Workers that wait for a job",
        waiting,
    );
    let found = app.reader.run(read).await??;
    gauge(
        &mut registry,
        "generation",
        "The active generation of the policy",
        found.generation,
    );
    gauge(
        &mut registry,
        "policy_failures",
        "Failures of the active generation that count towards its rollback",
        found.failures,
    );
    let contradictions = Counter::<u64>::default();
    contradictions.inc_by(u64::try_from(found.contradictions).unwrap_or_default());
    registry.register(
        "policy_contradictions",
        "How often a policy's `decide` and its clause differed about a queued job",
        contradictions,
    );
    gauge(
        &mut registry,
        "wal_bytes",
        "How long the database's log (-wal) is; one reader that takes long keeps it growing",
        found.log_bytes,
    );
    describe_queue(&found.state, &mut registry);
    work_metrics::describe(&found.state, &mut registry);
    // Without a channel nothing is sent, and nothing is late.
    if !app.service.alerts.channels.is_empty() {
        describe_outbox(&found.outbox, &mut registry);
    }
    if let Some(runtime) = &app.options.runtime {
        describe_calls(runtime.calls(), &mut registry);
    }
    let dropped = Counter::<u64>::default();
    dropped.inc_by(app.service.log_lines_dropped.load(Ordering::Relaxed));
    registry.register(
        "log_lines_dropped",
        "Lines of the log that could not be written",
        dropped,
    );
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| Problem::inside(&error))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, kind)], app.answers.hold(text)))
}

/// What the database tells.
struct Found {
    state: QueueState,
    generation: i64,
    failures: i64,
    contradictions: i64,
    outbox: Outbox,
    log_bytes: u64,
}

fn read(reader: &mut Reader) -> Result<Found, serial_gate::queue::Error> {
    let state = reader.state()?;
    let store = reader.queue.store();
    let generation = store.active_generation_id()?.unwrap_or(0);
    Ok(Found {
        state,
        generation,
        failures: store.failures(generation)?,
        contradictions: store.contradictions_of_all()?,
        outbox: store.outbox(Timestamp::now())?,
        log_bytes: store.log_bytes(),
    })
}

fn describe_calls(calls: BTreeMap<&'static str, Calls>, registry: &mut Registry) {
    let count = Family::<Function, Counter>::default();
    let seconds = Family::<Function, Counter<f64>>::default();
    let failures = Family::<Failed, Counter>::default();
    for (function, calls) in calls {
        let label = Function { function };
        count.get_or_create(&label).inc_by(calls.count);
        seconds
            .get_or_create(&label)
            .inc_by(calls.time.as_secs_f64());
        for (reason, times) in calls.failures {
            let label = Failed { function, reason };
            failures.get_or_create(&label).inc_by(times);
        }
    }
    registry.register("policy_calls", "Calls of policies, by function", count);
    registry.register("policy_call_seconds", "How long they took", seconds);
    registry.register(
        "policy_call_failures",
        "Those that broke a limit or trapped",
        failures,
    );
}

fn describe_outbox(outbox: &Outbox, registry: &mut Registry) {
    let alerts = Family::<Told, Gauge>::default();
    for (state, count) in [("pending", outbox.pending), ("failed", outbox.failed)] {
        alerts.get_or_create(&Told { state }).set(count);
    }
    registry.register(
        "outbox_alerts",
        "Alerts that are to be sent to a channel, and that could not be",
        alerts,
    );
    gauge(
        registry,
        "outbox_oldest_seconds",
        "For how long the oldest alert has been pending",
        seconds_since(outbox.oldest_pending.as_deref()),
    );
}

/// None of them where it is not known.
pub fn seconds_since(since: Option<&str>) -> i64 {
    age(since, Timestamp::now()).map_or(0, |age| age.as_secs())
}

fn describe_queue(state: &QueueState, registry: &mut Registry) {
    let waiting = Family::<InRepo, Gauge>::default();
    let heads = Family::<InRepo, Gauge>::default();
    let held = Family::<InRepo, Gauge>::default();
    let undecided = Family::<InRepo, Gauge>::default();
    let is_frozen = Family::<InRepo, Gauge>::default();
    let frozen = Family::<InRepo, Gauge>::default();
    let now = Timestamp::now();
    let reasons = Family::<HeldBy, Gauge>::default();
    for (repo, found) in &state.per_repo {
        let repo = || InRepo { repo: repo.clone() };
        waiting
            .get_or_create(&repo())
            .set(amount(found.waiting.len()));
        // An age that is not known is no age of 0: there is no figure then.
        let first = found.waiting.first();
        let since = first.and_then(|head| head.since);
        if let Some(age) = age_of(since, now) {
            heads.get_or_create(&repo()).set(age.as_secs());
        }
        for hold in found
            .waiting
            .iter()
            .filter_map(|job| hold(job.verdict.as_ref()))
        {
            held.get_or_create(&repo()).inc();
            count_reasons(&reasons, hold);
        }
        let without = found.waiting.iter().filter(|job| job.verdict.is_none());
        match without.count() {
            0 => {}
            jobs => _ = undecided.get_or_create(&repo()).set(amount(jobs)),
        }
        if found.frozen {
            is_frozen.get_or_create(&repo()).set(1);
            if let Some(age) = age_of(found.frozen_since, now) {
                frozen.get_or_create(&repo()).set(age.as_secs());
            }
        }
    }
    for other in &state.others.held {
        if let Some(hold) = hold(other.verdict.as_ref()) {
            count_reasons(&reasons, hold);
        }
    }
    registry.register(
        "waiting_jobs",
        "Queued jobs of the agents that the policy gates, of each repo",
        waiting,
    );
    registry.register(
        "head_seconds",
        "For how long the first of them has been in the queue, where that is known",
        heads,
    );
    registry.register("held_jobs", "Those of them that may not be claimed", held);
    registry.register(
        "undecided_jobs",
        "Those of them for which the policy gives no verdict",
        undecided,
    );
    registry.register(
        "holds",
        "Queued jobs that may not be claimed, by reason; one may have several",
        reasons,
    );
    registry.register("frozen", "1 for each repo that is frozen", is_frozen);
    registry.register(
        "frozen_seconds",
        "For how long a repo has been frozen, where that is known",
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

pub fn amount<T: TryInto<i64>>(value: T) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
