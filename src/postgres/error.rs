use std::{fmt::Display, time::Duration};

use sqlx::error::BoxDynError;

use super::{
    OfSqlx, PgVersioned, Phase, advice, class_in, class_of_busy, class_of_unknown, is_out_of_range,
    is_unique_violation,
};
use crate::{Class, Classify, Conflict, RetryError, Version, Versioned};

/// Why an operation on versioned rows did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's version is no longer the current one: read again and decide again.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A conflict whose current version can't be known: the database aborted the transaction.
    #[error("another transaction won")]
    Serialization(#[source] sqlx::Error),
    /// There is no such row, or it is hidden from this role.
    #[error("no {entity} {id}")]
    NotFound {
        /// What was looked for.
        entity: &'static str,
        /// Under which id.
        id: String,
    },
    /// A unique key of the table is taken, that of the id or another one.
    #[error("{entity} {id} can't be written: what {constraint} keeps unique is taken")]
    AlreadyExists {
        /// What was to be written.
        entity: &'static str,
        /// Under which id.
        id: String,
        /// The constraint or index that refused it.
        constraint: String,
        /// The database's error.
        source: sqlx::Error,
    },
    /// The row is there at the expected version and was not written: a trigger returned `NULL`, or left
    /// the version as it was (by returning `OLD`, say), or a row-level policy hides the row from
    /// writers. Nothing is stored, and no retry changes that.
    #[error("the write of {entity} {id} was suppressed by a trigger or a policy")]
    Suppressed {
        /// What was not written.
        entity: &'static str,
        /// Under which id.
        id: String,
    },
    /// The same id twice in one call of `update_all`, or two ids that are equal for the database;
    /// nothing is stored.
    #[error("{entity} {id} is given twice")]
    RepeatedId {
        /// What was given twice.
        entity: &'static str,
        /// Under which id.
        id: String,
    },
    /// More rows than one call of `update_all` takes; nothing was sent.
    #[error("{given} rows of {entity} given, {most} at most")]
    TooManyRows {
        /// What was given.
        entity: &'static str,
        /// How many.
        given: usize,
        /// How many one call takes.
        most: usize,
    },
    /// The row is at [`i64::MAX`], and no version comes after that.
    #[error("{entity} {id} has used up its versions")]
    VersionExhausted {
        /// What can't be written any more.
        entity: &'static str,
        /// Under which id.
        id: String,
    },
    /// The table is not what `versioned_row!` says of it. A write says so when its id names several
    /// rows; nothing is stored then.
    #[error("table {table} doesn't fit: {}", .problems.join("; "))]
    SchemaMismatch {
        /// The table, as it was described.
        table: &'static str,
        /// Everything that was found.
        problems: Vec<String>,
    },
    /// The database was busy, away, or no longer takes writes; nothing happened.
    #[error("the database is busy")]
    Busy {
        /// How long it asks to be left alone, if it says so.
        retry_after: Option<Duration>,
        /// The database's error.
        source: sqlx::Error,
    },
    /// The connection was lost while the write took effect, or did not: look before trying again.
    #[error("the outcome is unknown")]
    Unknown(#[source] BoxDynError),
    /// The database refused for a reason that no retry mends.
    #[error("{}", advice(.0))]
    Database(#[source] sqlx::Error),
}

impl Error {
    /// An sqlx error of a statement that could not yet take effect: a read, or connecting.
    pub(crate) fn before(error: sqlx::Error) -> Self {
        Self::of(error, Phase::Before)
    }

    fn of(error: sqlx::Error, phase: Phase) -> Self {
        match class_in(&error, phase) {
            Class::Conflict => Self::Serialization(error),
            Class::Busy { retry_after } => Self::Busy {
                retry_after,
                source: error,
            },
            Class::Unknown => Self::Unknown(error.into()),
            Class::Permanent => Self::Database(error),
        }
    }

    /// An sqlx error of a write of `T`'s row `id` at `expected`.
    pub(crate) fn of_write<T: Versioned>(
        error: sqlx::Error,
        id: &T::Id,
        expected: Version,
    ) -> Self {
        if expected.next().is_none() && is_out_of_range(&error) {
            let (entity, id) = (T::ENTITY, id.to_string());
            Self::VersionExhausted { entity, id }
        } else {
            Self::or_taken::<T>(error, id)
        }
    }

    /// An sqlx error of a statement that writes `T`'s row `id`: perhaps of a unique key that is taken.
    pub(crate) fn or_taken<T: Versioned>(error: sqlx::Error, id: impl Display) -> Self {
        if !is_unique_violation(&error) {
            return error.into();
        }
        let constraint = error.as_database_error().and_then(|it| it.constraint());
        Self::AlreadyExists {
            entity: T::ENTITY,
            id: id.to_string(),
            constraint: constraint.unwrap_or("an index").to_owned(),
            source: error,
        }
    }

    pub(crate) fn not_found<T: Versioned>(id: &T::Id) -> Self {
        let (entity, id) = (T::ENTITY, id.to_string());
        Self::NotFound { entity, id }
    }

    pub(crate) fn suppressed<T: Versioned>(id: impl Display) -> Self {
        let (entity, id) = (T::ENTITY, id.to_string());
        Self::Suppressed { entity, id }
    }

    pub(crate) fn repeated<T: Versioned>(id: impl Display) -> Self {
        let (entity, id) = (T::ENTITY, id.to_string());
        Self::RepeatedId { entity, id }
    }

    pub(crate) fn several<T: PgVersioned>(id: impl Display) -> Self {
        let problem = format!(
            "id {id} names several rows, so none is written: look for tables that inherit from it, \
             or partitions with the same id"
        );
        Self::SchemaMismatch {
            table: T::TABLE,
            problems: vec![problem],
        }
    }

    /// The same, where the phase of a transaction knows better than the error itself: one that was
    /// lost before `COMMIT` did nothing.
    pub(crate) fn settled(self, class: Class) -> Self {
        match (self, class) {
            (Self::Unknown(source), Class::Busy { retry_after }) => match source.downcast() {
                Ok(source) => Self::Busy {
                    retry_after,
                    source: *source,
                },
                Err(source) => Self::Unknown(source),
            },
            (error, _) => error,
        }
    }

    /// The same, of what came after something had been written and committed: whatever it says of itself,
    /// it must not say that nothing happened.
    pub(crate) fn after(self, wrote: bool) -> Self {
        match self {
            error if wrote && !error.is_unknown() => Self::Unknown(error.into()),
            error => error,
        }
    }

    /// Somebody else won.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::Serialization(_))
    }

    /// There is no such row.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// It may or may not have taken effect.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// The database was busy; nothing happened.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }

    /// The error of sqlx's, if this is one.
    #[must_use]
    pub fn as_sqlx(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Serialization(source)
            | Self::AlreadyExists { source, .. }
            | Self::Busy { source, .. }
            | Self::Database(source) => Some(source),
            Self::Unknown(source) => match source.downcast_ref::<Self>() {
                Some(source) => source.as_sqlx(),
                None => source.downcast_ref(),
            },
            _ => None,
        }
    }

    /// The HTTP status (RFC 9110) that tells a client the same.
    ///
    /// | Status | Error |
    /// |---|---|
    /// | 400 | `RepeatedId`, `TooManyRows` |
    /// | 404 | `NotFound` |
    /// | 409 | `Conflict`, `Serialization`, `AlreadyExists` |
    /// | 503 | `Busy`, `Unknown` |
    /// | 500 | everything else |
    ///
    /// A `Conflict` of a client that sent `If-Match` is 412 instead: see the
    /// [guide](crate::guide::http).
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        match self {
            Self::RepeatedId { .. } | Self::TooManyRows { .. } => 400,
            Self::NotFound { .. } => 404,
            Self::Conflict(_) | Self::Serialization(_) | Self::AlreadyExists { .. } => 409,
            Self::Busy { .. } | Self::Unknown(_) => 503,
            Self::Suppressed { .. }
            | Self::VersionExhausted { .. }
            | Self::SchemaMismatch { .. }
            | Self::Database(_) => 500,
        }
    }
}

impl OfSqlx for Error {
    fn before(error: sqlx::Error) -> Self {
        Self::before(error)
    }

    fn refusal(&self) -> Option<&sqlx::Error> {
        self.as_sqlx().filter(|_| !self.is_unknown())
    }
}

/// As for a statement that commits directly: see [`Classify`] for [`sqlx::Error`].
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::of(error, Phase::Commit)
    }
}

/// What a [`transact`](super::transact()) or a [`modify`](super::PgRepository::modify) that gave up means to
/// a function that returns this error: an unknown outcome stays one.
impl From<RetryError<Self>> for Error {
    fn from(gave_up: RetryError<Self>) -> Self {
        match gave_up.try_into_inner() {
            // A connection that was lost before COMMIT: known by its transaction, and not by the error.
            Ok(error) => error.settled(Class::Busy { retry_after: None }),
            Err(unknown) if unknown.error.is_unknown() => unknown.error,
            Err(unknown) => Self::Unknown(unknown.into()),
        }
    }
}

/// The same, of a transaction whose operation's errors are sqlx's. A connection that was lost before
/// `COMMIT` is [`Busy`](Self::Busy): nothing happened.
impl From<RetryError<sqlx::Error>> for Error {
    fn from(gave_up: RetryError<sqlx::Error>) -> Self {
        match gave_up.try_into_inner() {
            Ok(error) => Self::before(error),
            Err(unknown) => Self::Unknown(unknown.error.into()),
        }
    }
}

impl Classify for Error {
    fn class(&self) -> Class {
        match self {
            Self::Conflict(_) | Self::Serialization(_) => Class::Conflict,
            Self::Busy {
                retry_after,
                source,
            } => class_of_busy(source, *retry_after),
            // By what is known of its connection where it is asked.
            Self::Unknown(source) => match source.downcast_ref::<sqlx::Error>() {
                Some(source) => class_of_unknown(source),
                None => Class::Unknown,
            },
            Self::Database(source) => source.class(),
            _ => Class::Permanent,
        }
    }
}
