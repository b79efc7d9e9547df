//! Events for the log, and metrics for Prometheus.

use std::{
    io::{self, IsTerminal},
    sync::OnceLock,
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request},
    http::{Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use optilock::metrics::{
    ATTEMPTS, CLEANED, CLEANUP_FAILURES, CONFLICTS, TRANSACTION_SECONDS, UNKNOWN_OUTCOMES,
};
use tracing_subscriber::EnvFilter;

pub(crate) const REQUESTS: &str = "http_requests_total";
pub(crate) const REQUEST_SECONDS: &str = "http_request_duration_seconds";
pub(crate) const QUEUE_DEPTH: &str = "storefront_queue_depth";
pub(crate) const REPORTED_AT: &str = "storefront_report_timestamp_seconds";
pub(crate) const CONNECTIONS: &str = "storefront_pool_connections";

const SECONDS: [f64; 12] = [
    0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];

/// Starts the log on standard error: lines of text, or JSON with `LOG_FORMAT=json`. `RUST_LOG` filters the
/// events; `storefront=debug` logs every request.
pub fn log() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,storefront=info,optilock=info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Colours for a terminal, not for a file.
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    if std::env::var("LOG_FORMAT").is_ok_and(|format| format == "json") {
        log.json().init();
    } else {
        log.init();
    }
}

/// Returns the recorder of this process. The first call installs it.
pub(crate) fn metrics() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let attempts = &[1.0, 2.0, 3.0, 5.0, 10.0];
        let builder = PrometheusBuilder::new();
        let builder = [
            (ATTEMPTS, &attempts[..]),
            (TRANSACTION_SECONDS, &SECONDS),
            (REQUEST_SECONDS, &SECONDS),
        ]
        .into_iter()
        .try_fold(builder, |builder, (name, buckets)| {
            builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)
        });
        let handle = builder.and_then(PrometheusBuilder::install_recorder);
        let handle = handle.expect("the only recorder of this process");
        describe();
        handle
    })
}

fn describe() {
    optilock::metrics::describe();
    describe_counter!(REQUESTS, "Answered requests");
    describe_histogram!(REQUEST_SECONDS, "Time to answer a request");
    describe_gauge!(QUEUE_DEPTH, "Checkouts waiting for a batch");
    describe_gauge!(
        REPORTED_AT,
        "Time of the last report, in seconds since 1970"
    );
    describe_gauge!(CONNECTIONS, "Connections to the database");
    // Counters begin at 0: otherwise an alert does not see the first increase.
    for outcome in ["absorbed", "escaped"] {
        counter!(CONFLICTS, "entity" => "checkout", "outcome" => outcome).increment(0);
    }
    counter!(UNKNOWN_OUTCOMES, "entity" => "checkout").increment(0);
    for what in ["orders", "holds", "units", "keys"] {
        counter!(CLEANED, "what" => what).increment(0);
    }
    for what in ["orders", "reservations", "keys"] {
        counter!(CLEANUP_FAILURES, "what" => what).increment(0);
    }
}

/// The label of a method that no route has.
const OTHER_METHOD: &str = "other";

/// Returns the name of the method, one of a few: a client can invent others, and each would be a series of its own.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER_METHOD,
    }
}

/// Counts and times a request by its route, so that an id never becomes a label. A request that has no route or an unknown
/// method is only counted.
pub(crate) async fn count(request: Request, next: Next) -> Response {
    let method = known_method(request.method());
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map(|route| route.as_str().to_owned());
    let route = route.filter(|_| method != OTHER_METHOD);
    let start = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    if let Some(route) = &route {
        histogram!(REQUEST_SECONDS, "method" => method, "route" => route.clone())
            .record(start.elapsed());
    }
    let route = route.unwrap_or_else(|| "none".to_owned());
    counter!(REQUESTS, "method" => method, "route" => route, "status" => status).increment(1);
    response
}

/// Returns the metrics in the text format of Prometheus.
pub(crate) async fn expose() -> Response {
    let text = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (text, metrics().render()).into_response()
}
