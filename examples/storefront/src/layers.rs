//! What surrounds every handler.

use std::{num::NonZeroU32, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};
use tokio::time::timeout;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use uuid::Uuid;

use super::{Shop, problem::Problem, telemetry};

/// No request of the shop needs more.
const BODY: usize = 64 * 1_024;

/// Then the client is told that nobody knows.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Requests per second of one user.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(100).unwrap();

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

tokio::task_local! {
    static REQUEST_ID: Uuid;
}

/// Of the request that is being answered.
pub fn request_id() -> Option<String> {
    REQUEST_ID.try_with(Uuid::to_string).ok()
}

/// How much one user may ask for.
#[derive(Debug)]
pub struct Limits(DefaultKeyedRateLimiter<String>);

impl Limits {
    pub fn new() -> Self {
        Self(RateLimiter::keyed(Quota::per_second(PER_SECOND)))
    }

    pub fn check(&self, user: &str) -> Result<(), Problem> {
        let clock = governor::clock::DefaultClock::default();
        self.0
            .check_key(&user.to_owned())
            .map_err(|not_until| Problem::too_many_requests(not_until.wait_time_from(clock.now())))
    }

    /// Forgets who was not here lately.
    pub fn run_once(&self) {
        self.0.retain_recent();
    }
}

/// The last one is the outermost.
pub fn around(router: Router<Shop>, shop: Shop) -> Router {
    router
        .layer(middleware::from_fn(within_time))
        .layer(CatchPanicLayer::custom(|_| {
            Problem::internal(&"a handler panicked").into_response()
        }))
        .layer(DefaultBodyLimit::max(BODY))
        .route_layer(middleware::from_fn(telemetry::count))
        .layer(middleware::from_fn(identify))
        .layer(middleware::from_fn_with_state(
            shop.clone(),
            close_when_stopped,
        ))
        .with_state(shop)
}

/// Once the shop is closing, clients open no new requests on the connections that they have.
async fn close_when_stopped(State(shop): State<Shop>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if *shop.stopped.borrow() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

async fn identify(request: Request, next: Next) -> Response {
    let id = Uuid::now_v7();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", %id, %method, path);
    let answered = async {
        let response = next.run(request).await;
        tracing::debug!(status = response.status().as_u16(), "answered");
        response
    };
    let mut response = REQUEST_ID.scope(id, answered).instrument(span).await;
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
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

async fn within_time(request: Request, next: Next) -> Response {
    match timeout(ANSWER_WITHIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unknown_outcome().into_response(),
    }
}
