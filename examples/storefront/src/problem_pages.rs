//! The pages that describe the codes of problems, at the address that a problem has as its `type`.

use axum::response::Html;

use crate::{body::Path, problem::Problem};

/// Every code, and what it means.
const CODES: &[(&str, &str)] = &[
    (
        "invalid",
        "The request is not valid. The detail says why, errors lists the wrong fields.",
    ),
    (
        "empty-cart",
        "The cart is empty, so there is nothing to buy.",
    ),
    (
        "insufficient-stock",
        "Less is in stock than was requested: short lists what is available. Nothing was sold.",
    ),
    (
        "unauthorized",
        "The request has no bearer token, or an unknown one.",
    ),
    (
        "request-timeout",
        "The body of the request did not arrive in time. Nothing was changed.",
    ),
    ("forbidden", "Only an admin may send this request."),
    (
        "not-found",
        "The resource does not exist, or belongs to another user.",
    ),
    (
        "method-not-allowed",
        "The address exists, but does not allow this method.",
    ),
    (
        "conflict",
        "Another request changed the data in between. Read again, then decide again.",
    ),
    (
        "cart-bought",
        "Another request has bought this cart, for another address. Nothing was changed: order is its id.",
    ),
    (
        "price-changed",
        "The price is no longer the expected one. Nothing was sold.",
    ),
    (
        "product-paused",
        "The product is not for sale at the moment. Nothing was sold.",
    ),
    (
        "invalid-order-state",
        "The state of the order does not allow this step.",
    ),
    (
        "reservation-closed",
        "The reservation was consumed or released, or has expired.",
    ),
    (
        "archived",
        "The order was archived long ago. The request took effect once.",
    ),
    ("already-exists", "The name is in use."),
    (
        "stock-held",
        "Reservations hold more units than the new stock has.",
    ),
    (
        "return-exceeds-order",
        "The return request has more units than are left in the order.",
    ),
    (
        "precondition-failed",
        "The product has changed since it was read: current is its state now.",
    ),
    (
        "precondition-required",
        "Read the product first, and send its ETag as If-Match.",
    ),
    (
        "too-large",
        "The body is larger than any valid request of the shop.",
    ),
    (
        "unsupported-media-type",
        "The Content-Type of the body must be application/json.",
    ),
    (
        "unprocessable",
        "The body is JSON, but does not have the expected fields.",
    ),
    (
        "idempotency-mismatch",
        "The Idempotency-Key was used before for another request. Use a new key.",
    ),
    (
        "too-many-requests",
        "The user has sent too many requests. Wait as long as Retry-After says.",
    ),
    (
        "internal",
        "The server failed. The error is in its log, under the request_id.",
    ),
    (
        "busy",
        "The shop is too busy. Nothing was changed: send the request again after Retry-After.",
    ),
    (
        "unknown-outcome",
        "The outcome is unknown. Send the same request with the same key to learn it.",
    ),
    (
        "not-ready",
        "The shop is shutting down, or its database does not answer.",
    ),
];

/// Returns the page of a code.
pub(crate) async fn page(Path(code): Path<String>) -> Result<Html<String>, Problem> {
    let found = CODES.iter().find(|(known, _)| *known == code);
    let (code, meaning) = found.ok_or_else(|| Problem::not_found("No problem has this code."))?;
    Ok(Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{code}</title>\
         <h1>{code}</h1><p>{meaning}</p></html>"
    )))
}
