//! Errors as clients see them: RFC 9457.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use optilock::{Class, Classify, inventory::Error};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::layers::request_id;

/// An answer that is no success. `code` says which one, for ever.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    more: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// One field of a body that can't be right.
#[derive(Debug, Serialize)]
pub struct FieldError {
    pub field: &'static str,
    pub why: String,
}

impl Problem {
    pub fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            title,
            detail: detail.into(),
            more: Map::new(),
            headers: Vec::new(),
        }
    }

    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).expect("our own values can be written as JSON");
        self.more.insert(name.to_owned(), value);
        self
    }

    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// In whole seconds, as the header has it: not before that time.
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs_f64().ceil().max(1.0);
        self.with_header(header::RETRY_AFTER, &seconds.to_string())
    }

    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid",
            "This can't be right",
            detail,
        )
    }

    pub fn fields(errors: Vec<FieldError>) -> Self {
        let list = errors.iter().map(|it| format!("{} {}", it.field, it.why));
        let detail = list.collect::<Vec<_>>().join("; ");
        Self::invalid(detail).with("errors", errors)
    }

    pub fn empty_cart() -> Self {
        let detail = "Put something into the cart first.";
        Self::new(
            StatusCode::BAD_REQUEST,
            "empty-cart",
            "The cart is empty",
            detail,
        )
    }

    pub fn unauthorized() -> Self {
        let detail = "Send the header Authorization: Bearer <token>.";
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "Who are you?",
            detail,
        )
        .with_header(header::WWW_AUTHENTICATE, "Bearer")
    }

    pub fn forbidden() -> Self {
        let detail = "This is for whoever runs the shop.";
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not for you", detail)
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    pub fn method_not_allowed() -> Self {
        let detail = "There is something at this address, but not by this method.";
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Not by this method",
            detail,
        )
    }

    pub fn idempotency_mismatch() -> Self {
        let detail = "This Idempotency-Key was used before, for something else. Use a new one.";
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-mismatch",
            "The key was used before",
            detail,
        )
    }

    pub fn too_many_requests(wait: Duration) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "Too many requests",
            "Slow down, please.",
        )
        .retry_after(wait)
    }

    /// Whatever was asked may have happened.
    pub fn unknown_outcome() -> Self {
        let detail = "Nobody knows yet whether it was done. Send the same request again: with the same \
            Idempotency-Key it is done once.";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unknown-outcome",
            "It may have been done",
            detail,
        )
        .retry_after(Duration::from_secs(1))
    }

    /// What went wrong is for the log alone.
    pub fn internal(error: &dyn std::fmt::Debug) -> Self {
        tracing::error!(?error, request_id = request_id(), "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something is broken here",
            "It was written down. Tell us the request_id if you ask about it.",
        )
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status =
            StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            return Self::internal(&error);
        }
        // Whatever it was that did not stop.
        let mut error = error;
        while let Error::Exhausted { source, .. } = error {
            error = *source;
        }
        let code = error.code();
        let title = match code {
            "insufficient-stock" => "There is not enough",
            "price-changed" => "The price has changed",
            "conflict" => "Somebody else was faster",
            "not-found" => "Not found",
            "invalid-order-state" | "reservation-closed" => "Too late for that",
            "busy" => "Too busy",
            "idempotency-mismatch" => return Self::idempotency_mismatch(),
            "unknown-outcome" => return Self::unknown_outcome(),
            _ => "This can't be right",
        };
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let wait = match error.class() {
                Class::Busy { retry_after } => retry_after,
                _ => None,
            };
            let detail = "Nothing was done. Try again a little later.";
            let problem = Self::new(status, code, title, detail);
            return problem.retry_after(wait.unwrap_or(Duration::from_secs(1)));
        }
        let problem = Self::new(status, code, title, error.to_string());
        match error {
            Error::InsufficientStock(short) => problem.with("short", short),
            Error::PriceChanged {
                sku,
                expected,
                actual,
            } => problem
                .with("sku", sku)
                .with("expected", expected)
                .with("actual", actual),
            Error::Conflict(conflict) => problem.with_all(json!(conflict)),
            _ => problem,
        }
    }
}

impl Problem {
    fn with_all(mut self, object: Value) -> Self {
        if let Value::Object(members) = object {
            self.more.extend(members);
        }
        self
    }
}

/// Of the shop's own tables.
impl From<optilock::sqlx::Error> for Problem {
    fn from(error: optilock::sqlx::Error) -> Self {
        // As the crate judges it: the database is busy, gone, or we are wrong.
        Self::from(optilock::postgres::Error::from(error))
    }
}

impl From<optilock::postgres::Error> for Problem {
    fn from(error: optilock::postgres::Error) -> Self {
        Self::from(Error::from(error))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = self.more;
        body.insert("type".to_owned(), json!(format!("/problems/{}", self.code)));
        body.insert("title".to_owned(), json!(self.title));
        body.insert("status".to_owned(), json!(self.status.as_u16()));
        body.insert("detail".to_owned(), json!(self.detail));
        body.insert("code".to_owned(), json!(self.code));
        body.insert("request_id".to_owned(), json!(request_id()));
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.extend(self.headers);
        response
    }
}
