//! The id of the request that is being answered.

use axum::http::HeaderMap;
use uuid::Uuid;

tokio::task_local! {
    static REQUEST_ID: String;
}

/// Returns the caller's id in `X-Request-Id`, if it has at most 64 letters, digits, `-`, `_` and `.`, or else a new one.
pub(crate) fn of(headers: &HeaderMap) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let brought = headers
        .get("x-request-id")
        .and_then(|value| value.to_str().ok());
    match brought {
        Some(id) if (1..=64).contains(&id.len()) && id.bytes().all(is_plain) => id.to_owned(),
        _ => Uuid::now_v7().to_string(),
    }
}

/// Returns the id of the trace in `traceparent` (W3C Trace Context, version 00).
pub(crate) fn trace(headers: &HeaderMap) -> Option<&str> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let (_version, trace) = (parts.next()?, parts.next()?);
    let is_trace = trace.len() == 32
        && trace
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_trace.then_some(trace)
}

/// Runs `answer` as the request `id`.
pub(crate) async fn scope<F: Future>(id: String, answer: F) -> F::Output {
    REQUEST_ID.scope(id, answer).await
}

/// Returns the id, or `None` outside of a request.
pub(crate) fn current() -> Option<String> {
    REQUEST_ID.try_with(String::clone).ok()
}
