//! Extractors of what a request brings. Their rejections are problems.

use axum::{
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::problem::Problem;

/// A body that is a JSON object. serde alone would also accept an array for a struct.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = axum::Json::<Map<String, Value>>::from_request(request, state).await;
        let axum::Json(body) = body.map_err(|rejection| refused(&rejection))?;
        let body = T::deserialize(Value::Object(body));
        body.map(Self)
            .map_err(|error| unprocessable(error.to_string()))
    }
}

fn unprocessable(why: String) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "unprocessable",
        "Unexpected fields",
        why,
    )
}

fn refused(rejection: &JsonRejection) -> Problem {
    let status = rejection.status();
    let (code, title) = match status {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported-media-type", "JSON expected"),
        StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "Body too large"),
        StatusCode::UNPROCESSABLE_ENTITY => return unprocessable(rejection.body_text()),
        _ => return Problem::invalid(rejection.body_text()),
    };
    Problem::new(status, code, title, rejection.body_text())
}

/// Parameters of the path. If one has the wrong type, the resource does not exist.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        let path =
            path.map_err(|rejection: PathRejection| Problem::not_found(rejection.body_text()));
        path.map(|axum::extract::Path(path)| Self(path))
    }
}

/// Parameters of the query.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        let query =
            query.map_err(|rejection: QueryRejection| Problem::invalid(rejection.body_text()));
        query.map(|axum::extract::Query(query)| Self(query))
    }
}

/// Returns the header `Idempotency-Key`, without its quotes if it has any.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let wrong = || Problem::invalid("Idempotency-Key: 1 to 200 visible characters of ASCII");
    let key = value.to_str().map_err(|_| wrong())?.trim();
    let key = match key.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').ok_or_else(wrong)?,
        None => key,
    };
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if !visible || key.is_empty() || key.len() > 200 {
        return Err(wrong());
    }
    Ok(Some(key.to_owned()))
}
