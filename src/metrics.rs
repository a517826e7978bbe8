//! Metrics in the Prometheus text format, on a separate listener (`--metrics-listen`), so that they
//! need no key and are not reachable from outside. `server.rs` serves them.
//!
//! Labels are routes, methods, statuses and outcomes: never ids, users or a caller's input.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use switchboard_types::{CompactString, Timestamp};

use crate::error::Result;

/// Upper bounds of the duration buckets, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    route: Route,
    method: &'static str,
    status: u16,
}

/// The pattern of a path.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Route(CompactString);

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.0.as_str().encode(encoder)
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct JobLabels {
    job: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct JobOutcomeLabels {
    job: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct QueueLabels {
    kind: &'static str,
    state: &'static str,
}

/// The metrics of a server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Histogram,
    refreshes: Family<OutcomeLabels, Counter>,
    rate_limited: Family<KindLabels, Counter>,
    job_activations: Family<JobOutcomeLabels, Counter>,
    job_items: Family<JobLabels, Counter>,
    job_durations: Family<JobLabels, Gauge<f64, AtomicU64>>,
    job_successes: Family<JobLabels, Gauge>,
    queue_jobs: Family<QueueLabels, Gauge>,
    queue_oldest: Family<KindLabels, Gauge<f64, AtomicU64>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Family::default();
        let durations = Histogram::new(BUCKETS);
        let refreshes = Family::default();
        let rate_limited = Family::default();
        let mut registry = Registry::with_prefix("switchboard");
        registry.register("http_requests", "Answered requests", requests.clone());
        registry.register("http_request_duration_seconds", "Time until an answer was ready", durations.clone());
        registry.register("token_refreshes", "Refreshes of access tokens, by outcome", refreshes.clone());
        registry.register("rate_limited", "Requests over a rate limit, by what it counts", rate_limited.clone());
        let (job_activations, job_items) = (Family::default(), Family::default());
        let (job_durations, job_successes) = (Family::default(), Family::default());
        registry.register("job_activations", "Activations of background jobs, by outcome", job_activations.clone());
        registry.register("job_items", "Items that background jobs did, or began", job_items.clone());
        let help = "How long the last activation of a background job took";
        registry.register("job_last_duration_seconds", help, job_durations.clone());
        let help = "When a background job last did what was due, in seconds since 1970";
        registry.register("job_last_success_timestamp_seconds", help, job_successes.clone());
        let (queue_jobs, queue_oldest) = (Family::default(), Family::default());
        registry.register("queue_jobs", "Jobs of the queue, by state", queue_jobs.clone());
        let help = "How long the oldest due job of the queue is due";
        registry.register("queue_oldest_due_age_seconds", help, queue_oldest.clone());
        let lost = crate::log::lost_lines();
        registry.register("log_lines_lost", "Log lines that could not be written, or not fast enough", lost);
        Self {
            registry,
            requests,
            durations,
            refreshes,
            rate_limited,
            job_activations,
            job_items,
            job_durations,
            job_successes,
            queue_jobs,
            queue_oldest,
        }
    }
}

impl Metrics {
    /// Counts a request. `route` is the route's pattern, never the path.
    pub fn request(&self, route: CompactString, method: &Method, status: u16, took: Duration) {
        // Callers can send arbitrary methods; the number of label values must stay bounded.
        let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
        let method = known.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER");
        let labels = RequestLabels { route: Route(route), method, status };
        self.requests.get_or_create(&labels).inc();
        self.durations.observe(took.as_secs_f64());
    }

    /// Counts a refresh: `refreshed`, `later` or `expired`.
    pub fn refresh(&self, outcome: &'static str) {
        self.refreshes.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Counts a request over a limit: of a `key`, an `address`, an `account` or a `link`.
    pub fn rate_limited(&self, kind: &'static str) {
        self.rate_limited.get_or_create(&KindLabels { kind }).inc();
    }

    /// Notes an activation of a background job: how many items it did or began, or that it failed. `now` is when it ended.
    pub fn job_activated(&self, job: &'static str, outcome: &Result<usize>, took: Duration, now: Timestamp) {
        let word = if outcome.is_ok() { "ok" } else { "failed" };
        self.job_activations.get_or_create(&JobOutcomeLabels { job, outcome: word }).inc();
        self.job_durations.get_or_create(&JobLabels { job }).set(took.as_secs_f64());
        if let Ok(items) = outcome {
            self.job_items.get_or_create(&JobLabels { job }).inc_by(u64::try_from(*items).unwrap_or(u64::MAX));
            self.job_successes.get_or_create(&JobLabels { job }).set(now.as_secs());
        }
    }

    /// Sets the number of queued jobs of a kind in each state, and how long the oldest due one is due; 0 if
    /// none is.
    pub fn queue(&self, kind: &'static str, states: [(&'static str, i64); 3], oldest_age: Duration) {
        for (state, jobs) in states {
            self.queue_jobs.get_or_create(&QueueLabels { kind, state }).set(jobs);
        }
        let seconds = oldest_age.as_secs_f64();
        self.queue_oldest.get_or_create(&KindLabels { kind }).set(seconds);
    }

    /// Removes the numbers of the queue, because they are not known now.
    pub fn forget_queue(&self) {
        self.queue_jobs.clear();
        self.queue_oldest.clear();
    }

    /// All metrics as an answer to a collector.
    pub fn response(&self) -> Response {
        let mut text = String::new();
        if prometheus_client::encoding::text::encode(&mut text, &self.registry).is_err() {
            text.clear();
        }
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        ([(header::CONTENT_TYPE, kind)], text).into_response()
    }
}
