use std::time::Duration;

use sqlx::error::BoxDynError;

use crate::{Conflict, postgres::advice};

/// The facts of an [`Error`](super::Error), one variant for each [`ErrorKind`](super::ErrorKind).
#[derive(Debug, thiserror::Error)]
pub(crate) enum Repr {
    #[error(transparent)]
    Conflict(Conflict),
    #[error("another transaction won")]
    Serialization(#[source] sqlx::Error),
    #[error("no {entity} {id}")]
    NotFound { entity: &'static str, id: String },
    #[error("{entity} {id} can't be written: what {constraint} keeps unique is taken")]
    AlreadyExists {
        entity: &'static str,
        id: String,
        constraint: String,
        source: sqlx::Error,
    },
    #[error("the write of {entity} {id} was suppressed by a trigger or a policy")]
    Suppressed { entity: &'static str, id: String },
    #[error("{entity} {id} is given twice")]
    RepeatedId { entity: &'static str, id: String },
    #[error("{given} rows of {entity} given, {most} at most")]
    TooManyRows {
        entity: &'static str,
        given: usize,
        most: usize,
    },
    #[error(
        "idempotency key {key} was used before, by another request: send that request again, or use a new key"
    )]
    IdempotencyMismatch { key: String },
    #[error("{what} {problem}")]
    Invalid { what: &'static str, problem: String },
    #[error("{entity} {id} has used up its versions")]
    VersionExhausted { entity: &'static str, id: String },
    #[error("table {table} doesn't fit: {}", .problems.join("; "))]
    SchemaMismatch {
        table: &'static str,
        problems: Vec<String>,
    },
    #[error("the database is busy")]
    Busy {
        retry_after: Option<Duration>,
        source: sqlx::Error,
    },
    #[error("the outcome is unknown")]
    Unknown(#[source] BoxDynError),
    #[error("{}", advice(.0))]
    Database(#[source] sqlx::Error),
}
