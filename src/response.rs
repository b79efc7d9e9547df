//! The core's types in handlers of axum: an extractor, a header, and responses.

use std::convert::Infallible;

use axum_core::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
};
use http::{HeaderValue, header, request::Parts};

use crate::{
    Conflict, IfMatch, ParseIfMatchError, PreconditionFailed, Version,
    problem::{Object, Problem},
};

/// Sets the header `ETag` of a response to the [tag](Version::etag) of a version.
///
/// A handler returns it with the row, or with a status:
///
/// ```
/// use axum_core::response::IntoResponse;
/// use optilock::{ETag, Version};
///
/// let response = (ETag(Version::FIRST), "the row").into_response();
/// assert_eq!(response.headers()["etag"], "\"1\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub struct ETag(pub Version);

#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl IntoResponseParts for ETag {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        // Digits between quotes are the value of a header.
        if let Ok(tag) = HeaderValue::try_from(self.0.etag()) {
            parts.headers_mut().insert(header::ETAG, tag);
        }
        Ok(parts)
    }
}

/// The error of a handler that takes an [`IfMatch`], for a request without a valid one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
#[non_exhaustive]
pub enum IfMatchRejection {
    /// The request has no `If-Match`: 428 Precondition Required (RFC 6585).
    #[error("the header If-Match is missing: read the resource, and send its ETag as If-Match")]
    Missing,
    /// The header's value is neither `*` nor a list of entity tags: 400 Bad Request.
    #[error(transparent)]
    Invalid(ParseIfMatchError),
}

impl IfMatchRejection {
    /// Returns the HTTP status: 428 or 400.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        match self {
            Self::Missing => 428,
            Self::Invalid(_) => 400,
        }
    }

    /// Returns a stable name in kebab case: `precondition-required` or `invalid-if-match`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "precondition-required",
            Self::Invalid(_) => "invalid-if-match",
        }
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl IntoResponse for IfMatchRejection {
    fn into_response(self) -> Response {
        Problem::new(self.http_status(), self.code(), self).into_response()
    }
}

/// Returns the versions in the header, or `None` if the request has no such header.
fn if_match(parts: &Parts) -> Result<Option<IfMatch>, ParseIfMatchError> {
    // A tag may have bytes that are not UTF-8. It is valid, and none of ours.
    let values = parts.headers.get_all(header::IF_MATCH).iter();
    let values: Vec<_> = values
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    if values.is_empty() {
        return Ok(None);
    }
    // Several headers are one list (RFC 9110, section 5.3).
    values.join(",").parse().map(Some)
}

/// Requires the header: without it the response is 428, and 400 for an invalid one.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = IfMatchRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, IfMatchRejection> {
        let found = if_match(parts).map_err(IfMatchRejection::Invalid)?;
        found.ok_or(IfMatchRejection::Missing)
    }
}

/// Takes a request without the header too. For an invalid one the response is 400.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Sync> OptionalFromRequestParts<S> for IfMatch {
    type Rejection = IfMatchRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &S,
    ) -> Result<Option<Self>, IfMatchRejection> {
        if_match(parts).map_err(IfMatchRejection::Invalid)
    }
}

/// 412, with the current version as `current` and as `ETag`, and those that the client named as `named`.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl IntoResponse for PreconditionFailed {
    fn into_response(self) -> Response {
        let named: Vec<i64> = self.named.iter().map(|version| version.get()).collect();
        let facts = Object::default()
            .number("current", self.current.get())
            .numbers("named", &named);
        let problem = Problem::new(self.http_status(), self.code(), &self).with(facts);
        (ETag(self.current), problem).into_response()
    }
}

/// 409, with the facts as members: `entity`, `id`, `expected`, `actual`.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl IntoResponse for Conflict {
    fn into_response(self) -> Response {
        conflict(&self).into_response()
    }
}

pub(crate) fn conflict(conflict: &Conflict) -> Problem {
    let facts = Object::default()
        .text("entity", conflict.entity)
        .text("id", &conflict.id)
        .number("expected", conflict.expected.get())
        .number("actual", conflict.actual.get());
    Problem::new(409, "conflict", conflict).with(facts)
}
