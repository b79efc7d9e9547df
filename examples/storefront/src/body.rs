//! Extractors of what a request brings. Their rejections are problems.

use std::time::Duration;

use axum::{
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::sleep;

use crate::{auth, names, problem::Problem, shop::Shop};

/// How long a body may take to arrive. The rest of the time limit is the handler's.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// A body that is a JSON object. serde alone would also accept an array for a struct.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Shop> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shop: &Shop) -> Result<Self, Problem> {
        let body = axum::Json::<Map<String, Value>>::from_request(json_of(request), shop);
        let body = tokio::select! {
            body = body => body,
            () = sleep(TIME_LIMIT) => return Err(Problem::request_timeout()),
            () = shortly_after_the_end(shop) => return Err(Problem::request_timeout()),
        };
        let axum::Json(body) = body.map_err(|rejection| refused(&rejection))?;
        let body = T::deserialize(Value::Object(names::to_snake(body)?));
        body.map(Self)
            .map_err(|error| Problem::unprocessable(error.to_string()))
    }
}

/// Returns some time after the shop has begun to stop: a body that is under way may still arrive.
async fn shortly_after_the_end(shop: &Shop) {
    let mut stopped = shop.stopped.clone();
    // An error means that the sender is gone, which ends the program as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
    sleep(Duration::from_secs(1)).await;
}

/// Takes a body without a media type as JSON, and also one of the type that `curl -d` sets, if the request has a bearer
/// token: the form of another site could send such a body, but no such header.
fn json_of(mut request: Request) -> Request {
    let media_type = request.headers().get(header::CONTENT_TYPE);
    let is_none = media_type.is_none_or(|it| it.as_bytes() == b"application/x-www-form-urlencoded");
    if is_none && auth::token(request.headers()).is_some() {
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
    }
    request
}

fn refused(rejection: &JsonRejection) -> Problem {
    let status = rejection.status();
    let (code, title) = match status {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported-media-type", "JSON expected"),
        StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "Body too large"),
        StatusCode::UNPROCESSABLE_ENTITY => return Problem::unprocessable(rejection.body_text()),
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
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let wrong = || Problem::invalid("Idempotency-Key: once, 1 to 200 visible characters of ASCII");
    if values.next().is_some() {
        return Err(wrong());
    }
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
