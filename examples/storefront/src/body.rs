//! What comes in a request, with our own words when it can't be right.

use axum::{
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::Problem;

/// A body of JSON: an object. By itself serde takes an array for one as well.
#[derive(Debug)]
pub struct Json<T>(pub T);

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
        "The body is not as it should be",
        why,
    )
}

fn refused(rejection: &JsonRejection) -> Problem {
    let status = rejection.status();
    let (code, title) = match status {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported-media-type", "JSON, please"),
        StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "Too large"),
        StatusCode::UNPROCESSABLE_ENTITY => return unprocessable(rejection.body_text()),
        _ => return Problem::invalid(rejection.body_text()),
    };
    Problem::new(status, code, title, rejection.body_text())
}

/// Parts of the address. What is not of their type is nowhere.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        let path =
            path.map_err(|rejection: PathRejection| Problem::not_found(rejection.body_text()));
        path.map(|axum::extract::Path(path)| Self(path))
    }
}

/// What follows the question mark.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        let query =
            query.map_err(|rejection: QueryRejection| Problem::invalid(rejection.body_text()));
        query.map(|axum::extract::Query(query)| Self(query))
    }
}

/// The header `Idempotency-Key`, quoted or bare.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
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
