//! The layers around every handler.

use std::time::{Duration, Instant};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tokio::time::timeout;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use crate::{
    language::Language, limits, problem::Problem, request_id, running, shop::Shop, telemetry,
};

/// The largest body, in bytes.
const BODY: usize = 64 * 1_024;

/// How long a handler may take that changes something. After that the outcome of the request is unknown.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// How long a handler may take that only reads: a page learns soon that the database does not answer.
const READ_LIMIT: Duration = Duration::from_secs(3);

const SECURITY: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
];

/// Puts the layers around the routes. The last layer is the outermost.
pub(crate) fn around(router: Router<Shop>, shop: Shop) -> Router {
    router
        .layer(middleware::from_fn(limit_time))
        .layer(CatchPanicLayer::custom(|_| {
            Problem::internal(&"a handler panicked").into_response()
        }))
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn_with_state(shop.clone(), limits::limit))
        .layer(middleware::from_fn(telemetry::count))
        .layer(middleware::from_fn(identify))
        .layer(middleware::from_fn_with_state(
            shop.clone(),
            close_when_stopping,
        ))
        .layer(middleware::from_fn_with_state(shop.clone(), running::count))
        .with_state(shop)
}

/// Closes the client's connection after the response if the shop is shutting down.
async fn close_when_stopping(State(shop): State<Shop>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if shop.is_stopping() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// Gives the request an id and a span, and the response its id and the headers of every response. A caller may bring an
/// id of its own, and the trace that the request belongs to.
async fn identify(request: Request, next: Next) -> Response {
    let id = request_id::of(request.headers());
    let trace = request_id::trace(request.headers()).unwrap_or_default();
    let language = Language::of(request.headers());
    // The texts of the pages are chosen in the browser.
    let path = request.uri().path();
    let has_texts = path.starts_with("/api/") || path.starts_with("/problems/");
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", %id, trace, %method, path);
    let answer = async {
        let start = Instant::now();
        let response = next.run(request).await;
        let (status, took) = (response.status().as_u16(), start.elapsed());
        tracing::debug!(status, ms = took.as_secs_f64() * 1_000.0, "answered");
        response
    };
    let answer = request_id::scope(id.clone(), language.scope(answer));
    let mut response = answer.instrument(span).await;
    let headers = response.headers_mut();
    if has_texts {
        headers.append(header::VARY, HeaderValue::from_static("accept-language"));
        let tag = HeaderValue::from_static(language.tag());
        headers.entry(header::CONTENT_LANGUAGE).or_insert(tag);
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-request-id", id);
    }
    for (name, value) in SECURITY {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn limit_time(request: Request, next: Next) -> Response {
    let (limit, problem) = if request.method().is_safe() {
        (READ_LIMIT, Problem::busy as fn() -> Problem)
    } else {
        (TIME_LIMIT, Problem::unknown_outcome as fn() -> Problem)
    };
    match timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => problem().into_response(),
    }
}
