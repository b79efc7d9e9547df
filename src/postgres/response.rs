//! The responses of a handler that fails with an error of this floor.

use std::fmt::Display;

use axum_core::response::{IntoResponse, Response};

use super::{Error, Repr};
use crate::{
    problem::{Object, Problem},
    response,
};

/// The [status](Error::http_status) and, as problem details (RFC 9457), the [code](Error::code) and the facts.
///
/// | Kind | Members |
/// |---|---|
/// | `Conflict` | `entity`, `id`, `expected`, `actual` |
/// | `NotFound`, `AlreadyExists`, `RepeatedId` | `entity`, `id` |
/// | `TooManyRows` | `entity` |
/// | `Busy` | none; the header `Retry-After`, with a second if the error has no time |
/// | all others | none |
///
/// The text of a database's error is in no response. A 500 and an unknown outcome are reported as an event of
/// `optilock::http` with their sources.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        problem(&self).into_response()
    }
}

pub(crate) fn problem(error: &Error) -> Problem {
    let code = error.code();
    let refused = |detail: &dyn Display| Problem::new(error.http_status(), code, detail);
    let row = |entity: &str, id: &str| Object::default().text("entity", entity).text("id", id);
    match error.repr() {
        Repr::Conflict(conflict) => response::conflict(conflict),
        Repr::Serialization(_) | Repr::Invalid { .. } => refused(error),
        // The key may have a part that the host puts in front of the client's.
        Repr::IdempotencyMismatch { .. } => refused(
            &"the idempotency key was used before, by another request: send that request again, or use a new key",
        ),
        Repr::NotFound { entity, id } | Repr::RepeatedId { entity, id } => {
            refused(error).with(row(entity, id))
        }
        // The error's own text names the constraint, which is a part of the schema.
        Repr::AlreadyExists { entity, id, .. } => {
            let detail = format!("{entity} {id} can't be written: a value that is unique is taken");
            refused(&detail).with(row(entity, id))
        }
        Repr::TooManyRows { entity, .. } => {
            refused(error).with(Object::default().text("entity", entity))
        }
        Repr::Busy { retry_after, .. } => Problem::busy(code, *retry_after),
        Repr::Unknown(_) => Problem::unknown(code, error),
        Repr::Suppressed { .. }
        | Repr::VersionExhausted { .. }
        | Repr::SchemaMismatch { .. }
        | Repr::Database(_) => Problem::internal(code, error),
    }
}
