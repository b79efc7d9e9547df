//! The responses of a handler that fails with an error of the inventory.

use std::fmt::Display;

use axum_core::response::{IntoResponse, Response};

use crate::{
    inventory::model::{
        Money, Shortage,
        error::{Error, Repr},
    },
    postgres,
    problem::{Object, Problem},
    response,
};

/// The [status](Error::http_status) and, as problem details (RFC 9457), the [code](Error::code) and the facts.
///
/// | Kind | Members |
/// |---|---|
/// | `Conflict` | `entity`, `id`, `expected`, `actual` |
/// | `NotFound`, `AlreadyExists`, `IdempotencyMismatch`, `Archived` | `entity`, `id` |
/// | `InsufficientStock`, `ReturnExceedsOrder` | `shortages`: for each line `sku`, `requested`, `available` |
/// | `PriceChanged` | `sku`, `expected`, `actual`: for each price `minor`, `currency` |
/// | `StockHeld` | `sku`, `counted`, `reserved` |
/// | `ProductPaused` | `sku` |
/// | `InvalidOrderState`, `ReservationClosed` | `entity`, `id`, `state` |
/// | `Invalid` | `what`, `why` |
/// | `Busy` | none; the header `Retry-After`, with a second if the error has no time |
/// | rows of the host's own | as for a [`postgres::Error`] |
/// | all others | none |
///
/// The text of a database's error is in no response, nor is that of a hook. A 500 and an unknown outcome are
/// reported as an event of `optilock::http` with their sources.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        problem(&self).into_response()
    }
}

fn problem(error: &Error) -> Problem {
    let (status, code) = (error.http_status(), error.code());
    if error.is_busy() {
        return Problem::busy(code, error.retry_after());
    }
    if error.is_unknown() {
        return Problem::unknown(code, error);
    }
    // Of several attempts, the error of the last one is what the client can decide by.
    let refused = |facts| Problem::new(status, code, error.root()).with(facts);
    match error.root() {
        Repr::Conflict(conflict) => response::conflict(conflict),
        Repr::Row(error) => postgres::problem(error),
        Repr::NotFound { entity, id }
        | Repr::AlreadyExists { entity, id }
        | Repr::IdempotencyMismatch { entity, id }
        | Repr::Archived { entity, id } => refused(thing(entity, id)),
        Repr::InsufficientStock(lines) | Repr::ReturnExceedsOrder(lines) => {
            let lines: Vec<Object> = lines.iter().map(shortage).collect();
            refused(Object::default().objects("shortages", &lines))
        }
        Repr::PriceChanged {
            sku,
            expected,
            actual,
        } => {
            let facts = Object::default().text("sku", sku.as_str());
            let facts = facts.object("expected", &amount(*expected));
            refused(facts.object("actual", &amount(*actual)))
        }
        Repr::StockHeld {
            sku,
            counted,
            reserved,
        } => {
            let facts = Object::default().text("sku", sku.as_str());
            refused(
                facts
                    .number("counted", *counted)
                    .number("reserved", *reserved),
            )
        }
        Repr::ProductPaused { sku } => refused(Object::default().text("sku", sku.as_str())),
        Repr::InvalidOrderState { id, status } => {
            refused(thing("order", id).text("state", status.as_str()))
        }
        Repr::ReservationClosed { id, state } => {
            refused(thing("reservation", id).text("state", state.as_str()))
        }
        Repr::Invalid(invalid) => {
            let facts = Object::default().text("what", invalid.what());
            refused(facts.text("why", invalid.why()))
        }
        Repr::Serialization(_) => refused(Object::default()),
        // After a conflict of the hook's.
        Repr::Hook { .. } if status < 500 => refused(Object::default()),
        _ => Problem::internal(code, error),
    }
}

fn thing(entity: &str, id: impl Display) -> Object {
    let object = Object::default().text("entity", entity);
    object.text("id", &id.to_string())
}

fn shortage(line: &Shortage) -> Object {
    let object = Object::default().text("sku", line.sku.as_str());
    let object = object.number("requested", line.requested.get());
    object.number("available", line.available)
}

fn amount(money: Money) -> Object {
    let object = Object::default().number("minor", money.minor());
    object.text("currency", money.currency().as_str())
}
