//! Errors as clients see them: problem details of RFC 9457.

use std::{error::Error as _, time::Duration};

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use optilock::inventory::{Error, ErrorKind, InvalidValue, OrderId};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{language::Language, problem_codes, request_id};

/// The body of a response that is not a success. Clients decide by `code`, which never changes.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    more: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// A wrong field of a body.
#[derive(Debug, Serialize)]
pub(crate) struct FieldError {
    pub(crate) field: &'static str,
    /// In the language of the request.
    pub(crate) why: String,
}

impl Problem {
    pub(crate) fn new(
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

    pub(crate) fn with(mut self, name: &str, value: impl Serialize) -> Self {
        let value =
            serde_json::to_value(value).expect("a value of the shop that is written as JSON");
        self.more.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Sets `Retry-After`, rounded up to whole seconds.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs_f64().ceil().max(1.0);
        self.with_header(header::RETRY_AFTER, &seconds.to_string())
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid",
            "Invalid request",
            detail,
        )
    }

    pub(crate) fn unprocessable(why: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "unprocessable",
            "Unexpected fields",
            why,
        )
    }

    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        let list = errors.iter().map(|it| format!("{} {}", it.field, it.why));
        let detail = list.collect::<Vec<_>>().join("; ");
        Self::invalid(detail).with("errors", errors)
    }

    pub(crate) fn empty_cart() -> Self {
        let detail = "Add an item to the cart first.";
        Self::new(
            StatusCode::BAD_REQUEST,
            "empty-cart",
            "The cart is empty",
            detail,
        )
    }

    pub(crate) fn unauthorized() -> Self {
        let detail = "Send the header Authorization: Bearer <token>.";
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "Authentication required",
            detail,
        )
        .with_header(header::WWW_AUTHENTICATE, "Bearer")
    }

    pub(crate) fn forbidden() -> Self {
        let detail = "Only an admin may send this request.";
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden", detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let detail = "This address does not allow this method.";
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method not allowed",
            detail,
        )
    }

    pub(crate) fn idempotency_mismatch() -> Self {
        let detail = "This Idempotency-Key was used before for another request. Use a new key.";
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-mismatch",
            "The key was used before",
            detail,
        )
    }

    /// The cart is not the one that the client has read, or not the one that the server had read.
    pub(crate) fn stale_cart(with_if_match: bool) -> Self {
        let title = "The cart has changed";
        if with_if_match {
            let detail = "Nothing was changed. current is the cart now: show what changed, and send its ETag as \
                If-Match if the shopper agrees.";
            return Self::new(
                StatusCode::PRECONDITION_FAILED,
                "precondition-failed",
                title,
                detail,
            );
        }
        let detail = "Another request changed the cart during this one, which changed nothing. current is the cart now.";
        Self::new(StatusCode::CONFLICT, "conflict", title, detail)
    }

    /// Another request has bought this version of the cart, for another address.
    pub(crate) fn cart_bought(order: OrderId) -> Self {
        let detail = "This cart was bought by another request, for another address. Nothing was changed: look at the order.";
        Self::new(
            StatusCode::CONFLICT,
            "cart-bought",
            "The cart was bought",
            detail,
        )
        .with("order", order)
    }

    pub(crate) fn too_many_requests(wait: Duration) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "Too many requests",
            "Wait as long as Retry-After says.",
        )
        .retry_after(wait)
    }

    /// Nothing was changed, and the client may try again.
    pub(crate) fn busy() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "Too busy",
            "Nothing was changed. Send the request again after Retry-After.",
        )
        .retry_after(Duration::from_secs(1))
    }

    /// The request may have been executed.
    pub(crate) fn unknown_outcome() -> Self {
        let detail = "The outcome is not known yet. Send the same request again: with the same If-Match or the \
            same Idempotency-Key it is executed once.";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unknown-outcome",
            "Unknown outcome",
            detail,
        )
    }

    /// The body did not arrive in time.
    pub(crate) fn request_timeout() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "request-timeout",
            "The request did not arrive in time",
            "Nothing was changed. Send the request again.",
        )
    }

    /// Logs the error, and tells the client only the id of the request.
    pub(crate) fn internal(error: &dyn std::fmt::Debug) -> Self {
        tracing::error!(
            ?error,
            request_id = request_id::current(),
            "a request failed"
        );
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal error",
            "The error was logged under the request_id.",
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
        let code = error.code();
        let title = match code {
            "insufficient-stock" => "Insufficient stock",
            "price-changed" => "The price has changed",
            "conflict" => "Conflict with another request",
            "not-found" => "Not found",
            "product-paused" => "The product is not for sale",
            "invalid-order-state" | "reservation-closed" => "Not possible in this state",
            "archived" => "In the archive",
            "busy" => "Too busy",
            "idempotency-mismatch" => return Self::idempotency_mismatch(),
            "unknown-outcome" => return Self::unknown_outcome(),
            _ => "Invalid request",
        };
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let wait = error.retry_after();
            let detail = "Nothing was changed. Send the request again after Retry-After.";
            let problem = Self::new(status, code, title, detail);
            return problem.retry_after(wait.unwrap_or(Duration::from_secs(1)));
        }
        // Of several attempts, the last one's error is the one that matters to the client.
        let detail = match error.exhausted().and(error.source()) {
            Some(last) => last.to_string(),
            None => error.to_string(),
        };
        let problem = Self::new(status, code, title, detail);
        if let Some(prices) = error.price_change() {
            return problem
                .with("sku", error.sku())
                .with("expected", prices.expected)
                .with("actual", prices.actual);
        }
        match (error.kind(), error.conflict()) {
            (ErrorKind::ProductPaused, _) => problem.with("sku", error.sku()),
            (ErrorKind::InsufficientStock, _) => problem.with("short", error.shortages()),
            (_, Some(conflict)) => problem.with_all(json!(conflict)),
            _ => problem,
        }
    }
}

impl Problem {
    /// Returns title and detail. The facts of a problem are in its members; its detail has them in English only, so that
    /// in Spanish it says what the code means, and for a request that is not valid the English reason besides.
    fn texts(&self, language: Language) -> (&'static str, String) {
        match (language, problem_codes::find(self.code)) {
            (Language::Spanish, Some(code)) => {
                let meaning = code.meaning(language);
                let needs_reason = matches!(self.code, "invalid" | "unprocessable")
                    && !self.more.contains_key("errors");
                let detail = if needs_reason {
                    format!("{meaning} [en: {}]", self.detail)
                } else {
                    meaning.to_owned()
                };
                (code.spanish_title, detail)
            }
            _ => (self.title, self.detail.clone()),
        }
    }

    fn with_all(mut self, object: Value) -> Self {
        if let Value::Object(members) = object {
            self.more.extend(members);
        }
        self
    }
}

impl From<InvalidValue> for Problem {
    fn from(invalid: InvalidValue) -> Self {
        Self::from(Error::from(invalid))
    }
}

/// An error of the shop's own tables, classified like those of the inventory: 503 if the database is busy or
/// unreachable, else 500.
impl From<optilock::sqlx::Error> for Problem {
    fn from(error: optilock::sqlx::Error) -> Self {
        match optilock::postgres::Error::from(error) {
            // These are reads, and writes that change nothing when they are repeated.
            error if error.kind() == optilock::postgres::ErrorKind::Unknown => Self::busy(),
            error => Self::from(error),
        }
    }
}

impl From<optilock::postgres::Error> for Problem {
    fn from(error: optilock::postgres::Error) -> Self {
        Self::from(Error::from(error))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (title, detail) = self.texts(Language::current());
        let mut body = self.more;
        body.insert("type".to_owned(), json!(format!("/problems/{}", self.code)));
        body.insert("title".to_owned(), json!(title));
        body.insert("status".to_owned(), json!(self.status.as_u16()));
        body.insert("detail".to_owned(), json!(detail));
        body.insert("code".to_owned(), json!(self.code));
        body.insert("request_id".to_owned(), json!(request_id::current()));
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
