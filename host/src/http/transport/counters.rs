//! The counts of this process: requests by their answers, and claims.
//!
//! Owns the names of these metrics. Callers rely on this: a client cannot create time series,
//! because its method and its path are replaced by known ones.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the buckets of `http_request_seconds`.
const SECONDS: [f64; 10] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    path: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Hook {
    forge: &'static str,
    outcome: &'static str,
}

pub struct Counters {
    pub claimed: Counter,
    pub found_nothing: Counter,
    answered: Family<Answered, Counter>,
    took: Histogram,
    hooks: Family<Hook, Counter>,
}

impl Counters {
    pub fn new() -> Counters {
        Counters {
            claimed: Counter::default(),
            found_nothing: Counter::default(),
            answered: Family::default(),
            took: Histogram::new(SECONDS),
            hooks: Family::default(),
        }
    }

    /// Counts a webhook of a forge.
    pub fn count_hook(&self, forge: &'static str, outcome: &'static str) {
        self.hooks.get_or_create(&Hook { forge, outcome }).inc();
    }

    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "claims",
            "Jobs that were given to workers by this service; `serial-gate work` and `claim` are not \
             counted",
            self.claimed.clone(),
        );
        registry.register(
            "claims_empty",
            "Claims that found nothing, at once or after their wait",
            self.found_nothing.clone(),
        );
        registry.register(
            "hooks",
            "Webhooks of forges, by what came of them",
            self.hooks.clone(),
        );
        registry.register(
            "http_requests",
            "Requests that were answered",
            self.answered.clone(),
        );
        registry.register(
            "http_request_seconds",
            "How long requests took, except those that wait: claims and events",
            self.took.clone(),
        );
    }
}

/// Counts a request.
pub async fn count(
    State(counters): State<Arc<Counters>>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let method = known(request.method());
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let response = next.run(request).await;
    if !matches!(path.as_str(), "/v1/claim" | "/v1/events") {
        counters.took.observe(begun.elapsed().as_secs_f64());
    }
    let status = response.status().as_u16();
    let answered = Answered {
        method,
        path,
        status,
    };
    counters.answered.get_or_create(&answered).inc();
    response
}

fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}

/// A number as a gauge's value.
pub fn amount<T: TryInto<i64>>(value: T) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
