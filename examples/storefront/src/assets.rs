//! The pages, which are in the program: there is no file to be lost.

use axum::{
    http::header,
    response::{Html, IntoResponse, Response},
};

use super::{body::Path, problem::Problem};

/// Name, media type and content of everything below `/assets/`.
macro_rules! assets {
    ($($name:literal: $media_type:literal),* $(,)?) => {
        &[$(($name, $media_type, include_str!(concat!("web/", $name)))),*]
    };
}

const ASSETS: &[(&str, &str, &str)] = assets! {
    "api.js": "text/javascript",
    "attempt.js": "text/javascript",
    "cart.js": "text/javascript",
    "charts.js": "text/javascript",
    "checkout.js": "text/javascript",
    "dashboard.js": "text/javascript",
    "dom.js": "text/javascript",
    "failures.js": "text/javascript",
    "message.js": "text/javascript",
    "orders.js": "text/javascript",
    "pictures.js": "text/javascript",
    "products.js": "text/javascript",
    "race.js": "text/javascript",
    "shop.js": "text/javascript",
    "style.css": "text/css",
    "words.js": "text/javascript",
};

/// What each code of a problem means, for whoever follows its `type`.
const PROBLEMS: &[(&str, &str)] = &[
    (
        "invalid",
        "The request can't be right. detail says why, errors which fields.",
    ),
    ("empty-cart", "There is nothing in the cart to be bought."),
    (
        "insufficient-stock",
        "There is less than was asked for: short lists what is left. Nothing was sold.",
    ),
    ("unauthorized", "There is no token, or nobody has it."),
    ("forbidden", "Only whoever runs the shop may do this."),
    (
        "not-found",
        "There is no such thing, or it is somebody else's.",
    ),
    (
        "method-not-allowed",
        "The address is right, the method is not.",
    ),
    (
        "conflict",
        "Somebody else changed it in between: look again, then try again.",
    ),
    (
        "price-changed",
        "The price is no longer the one that was seen. Nothing was sold.",
    ),
    (
        "invalid-order-state",
        "The order stands where this can't be done any more.",
    ),
    (
        "reservation-closed",
        "The reservation was used up, released, or has run out.",
    ),
    ("already-exists", "The name is in use."),
    ("stock-held", "Reservations hold more than was counted."),
    (
        "return-exceeds-order",
        "More was returned than the order has.",
    ),
    (
        "precondition-failed",
        "It is no longer the one that was read: current is how it is now.",
    ),
    (
        "precondition-required",
        "Read it first, and send its ETag as If-Match.",
    ),
    (
        "too-large",
        "The body is larger than any request of the shop needs to be.",
    ),
    (
        "unsupported-media-type",
        "The body has to be application/json.",
    ),
    (
        "unprocessable",
        "The body is JSON, and not of the shape that is asked for.",
    ),
    (
        "idempotency-mismatch",
        "The Idempotency-Key was used before, for something else. Use a new one.",
    ),
    (
        "too-many-requests",
        "Slow down: Retry-After says for how long.",
    ),
    (
        "internal",
        "Something is broken. It was written down under the request_id.",
    ),
    (
        "busy",
        "The shop is too busy. Nothing was done: try again after Retry-After.",
    ),
    (
        "unknown-outcome",
        "It may have been done, or not. The same request with the same key finds out.",
    ),
    (
        "not-ready",
        "The shop is closing, or its database does not answer.",
    ),
];

pub async fn shop() -> Html<&'static str> {
    Html(include_str!("web/index.html"))
}

pub async fn dashboard() -> Html<&'static str> {
    Html(include_str!("web/dashboard.html"))
}

pub async fn asset(Path(file): Path<String>) -> Result<Response, Problem> {
    let found = ASSETS.iter().find(|(name, ..)| *name == file);
    let (_, media_type, content) =
        found.ok_or_else(|| Problem::not_found("There is no such file."))?;
    let headers = [
        (header::CONTENT_TYPE, format!("{media_type}; charset=utf-8")),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    Ok((headers, *content).into_response())
}

pub async fn openapi() -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, include_str!("openapi.json")).into_response()
}

pub async fn problem(Path(code): Path<String>) -> Result<Html<String>, Problem> {
    let found = PROBLEMS.iter().find(|(known, _)| *known == code);
    let (code, meaning) = found.ok_or_else(|| Problem::not_found("There is no such problem."))?;
    Ok(Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{code}</title>\
         <h1>{code}</h1><p>{meaning}</p></html>"
    )))
}
