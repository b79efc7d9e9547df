//! Problem details of RFC 9457: the body of a response that is not a success.

mod json;

use std::{error::Error, fmt::Display, time::Duration};

use axum_core::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};

pub(crate) use json::Object;

/// The code of an unknown outcome, as on every floor.
pub(crate) const UNKNOWN: &str = "unknown-outcome";

/// A response that is not a success.
///
/// Its facts are what the client needs to decide. The text of a source, which may have SQL, values of other
/// rows or the name of a host, is in none of its members.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    facts: Object,
    retry_after: Option<Duration>,
}

impl Problem {
    pub(crate) fn new(status: u16, code: &'static str, detail: impl Display) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code,
            detail: detail.to_string(),
            facts: Object::default(),
            retry_after: None,
        }
    }

    #[must_use]
    pub(crate) fn with(mut self, facts: Object) -> Self {
        self.facts = facts;
        self
    }

    /// Nothing happened. The client may send the request again after this time, or after a second.
    #[cfg(feature = "postgres")]
    pub(crate) fn busy(code: &'static str, retry_after: Option<Duration>) -> Self {
        let detail = "nothing was changed: send the request again after the seconds in Retry-After";
        Self {
            retry_after: Some(retry_after.unwrap_or_default()),
            ..Self::new(503, code, detail)
        }
    }

    /// The request may have been executed. It has no `Retry-After`, as it must not be sent again unread.
    pub(crate) fn unknown(code: &'static str, error: &(dyn Error + 'static)) -> Self {
        report(code, error);
        let detail =
            "the outcome is unknown: read whether the request was executed before sending it again";
        Self::new(503, code, detail)
    }

    /// Reports the error and returns a response with status 500. The client receives the code, and no text of the
    /// error.
    #[cfg(feature = "postgres")]
    pub(crate) fn internal(code: &'static str, error: &(dyn Error + 'static)) -> Self {
        report(code, error);
        Self::new(500, code, "the request failed for a reason of the server's")
    }
}

/// Reports an error whose text the client does not receive.
fn report(code: &'static str, error: &(dyn Error + 'static)) {
    tracing::error!(target: "optilock::http", code, error, "a request failed");
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // The type is left at what it is by default (section 4.2.1): the code says more, and needs no page.
        let body = Object::default()
            .text("type", "about:blank")
            .text("title", self.status.canonical_reason().unwrap_or_default())
            .number("status", self.status.as_u16().into())
            .text("detail", &self.detail)
            .text("code", self.code)
            .and(&self.facts);
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let media_type = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media_type);
        if let Some(wait) = self.retry_after {
            // In whole seconds, rounded up.
            let seconds = wait
                .as_secs()
                .saturating_add((wait.subsec_nanos() > 0).into());
            headers.insert(header::RETRY_AFTER, seconds.max(1).into());
        }
        response
    }
}
