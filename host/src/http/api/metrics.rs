//! Figures for Prometheus.
//!
//! Owns the scrape: it reads the state of the queue now. Leaves the counts of this process to
//! `counters` and `connections`, and the tables of figures to `figures`.

use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serial_gate::queue::{Error, State as QueueState};
use serial_gate::store::{Backlog, Outbox};

use super::figures::{counter, gauge, of_calls, of_outbox, of_queue};
use crate::http::app::App;
use crate::http::transport::access::Viewer;
use crate::http::transport::problem::Problem;
use crate::http::transport::reader::Reader;

/// Figures for Prometheus
#[utoipa::path(
    get, path = "/metrics", tag = "service", security(("token" = ["reader"])),
    responses(
        (
            status = 200, body = String, content_type = "application/openmetrics-text",
            description = "In the format of OpenMetrics"
        ),
    )
)]
pub async fn metrics(State(app): State<App>, _: Viewer) -> Result<impl IntoResponse, Problem> {
    app.answers.check()?;
    let mut registry = Registry::with_prefix("serial_gate");
    let registry = &mut registry;
    app.counters.register(registry);
    app.connections.register(registry);
    let waiting = app.writer.standing().await?.waiting;
    gauge(
        registry,
        "waiting_workers",
        "Workers that wait for a job",
        waiting,
    );
    let found = app.reader.run(read).await??;
    gauge(
        registry,
        "generation",
        "The active generation of the policy",
        found.generation,
    );
    gauge(
        registry,
        "policy_failures",
        "Failures of the active generation that count towards its rollback",
        found.failures,
    );
    counter(
        registry,
        "policy_contradictions",
        "How often a policy's `decide` and its clause differed about a queued job",
        u64::try_from(found.contradictions).unwrap_or_default(),
    );
    match found.backlog {
        Backlog::Log(bytes) => gauge(
            registry,
            "wal_bytes",
            "Size of the database's log (-wal); a long-running reader keeps it growing",
            bytes,
        ),
        Backlog::Snapshot(age) => gauge(
            registry,
            "oldest_snapshot_transactions",
            "Transactions of the server since its oldest open snapshot; a long one slows claims",
            age,
        ),
    }
    if let Some(late) = found.late_tasks {
        counter(
            registry,
            "late_tasks",
            "Tasks that appeared after a later one of their repo had been started",
            u64::try_from(late).unwrap_or_default(),
        );
    }
    of_queue(&found.state, registry);
    // Without a channel nothing is sent, and nothing is late.
    if !app.service.alerts.channels.is_empty() {
        of_outbox(&found.outbox, registry);
    }
    of_calls(app.options.runtime.calls(), registry);
    counter(
        registry,
        "log_lines_dropped",
        "Lines of the log that could not be written",
        app.service.log_lines_dropped.load(Ordering::Relaxed),
    );
    let mut text = String::new();
    encode(&mut text, registry).map_err(Problem::bug)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, kind)], app.answers.hold(text)))
}

struct Found {
    state: QueueState,
    generation: i64,
    failures: i64,
    contradictions: i64,
    outbox: Outbox,
    backlog: Backlog,
    late_tasks: Option<i64>,
}

fn read(reader: &mut Reader) -> Result<Found, Error> {
    let state = reader.state()?;
    let store = reader.queue.store();
    let generation = store.active_generation_id()?.unwrap_or(0);
    Ok(Found {
        state,
        generation,
        failures: store.failures(generation)?,
        contradictions: store.contradictions_of_all()?,
        outbox: store.outbox(Timestamp::now())?,
        backlog: store.backlog()?,
        late_tasks: store.late_tasks()?,
    })
}
