mod kind;
mod repr;
#[cfg(feature = "testing")]
mod simulated;

use std::{fmt::Display, time::Duration};

use super::{
    OfSqlx, PgVersioned, Phase, class_in, class_of_busy, class_of_unknown, is_out_of_range,
    is_unique_violation,
};
use crate::{Class, Classify, Conflict, Outcome, RetryError, Version, Versioned};

pub use kind::ErrorKind;
pub(crate) use repr::Repr;

/// What an idempotency key is called in an error.
const KEY: &str = "idempotency key";

/// Errors returned by operations on versioned rows, and by transactions that take effect once.
///
/// [`kind`](Self::kind) says what happened and [`outcome`](Self::outcome) whether the operation may have taken
/// effect; the other methods return the facts.
///
/// ```
/// use optilock::postgres::{Error, ErrorKind};
///
/// fn answer(error: &Error) -> String {
///     match error.kind() {
///         ErrorKind::Conflict => format!("{error}: read again"),
///         ErrorKind::NotFound => "no such seat".to_owned(),
///         _ => format!("{}: {error}", error.code()),
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Repr>);

impl From<Repr> for Error {
    fn from(repr: Repr) -> Self {
        Self(Box::new(repr))
    }
}

impl From<Conflict> for Error {
    fn from(conflict: Conflict) -> Self {
        Repr::Conflict(conflict).into()
    }
}

impl Error {
    pub(crate) const fn repr(&self) -> &Repr {
        &self.0
    }

    pub(crate) fn into_repr(self) -> Repr {
        *self.0
    }

    /// An sqlx error of a statement that could not yet take effect: a read, or connecting.
    pub(crate) fn before(error: sqlx::Error) -> Self {
        Self::of(error, Phase::Before)
    }

    fn of(error: sqlx::Error, phase: Phase) -> Self {
        let repr = match class_in(&error, phase) {
            Class::Conflict => Repr::Serialization(error),
            Class::Busy { retry_after } => Repr::Busy {
                retry_after,
                source: error,
            },
            Class::Unknown => Repr::Unknown(error.into()),
            Class::Permanent => Repr::Database(error),
        };
        repr.into()
    }

    /// An sqlx error of a write of `T`'s row `id` at `expected`.
    pub(crate) fn of_write<T: PgVersioned>(
        error: sqlx::Error,
        id: &T::Id,
        expected: Version,
    ) -> Self {
        if expected.get() >= T::VERSION.int.last() && is_out_of_range(&error) {
            Self::exhausted::<T>(id)
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
        Repr::AlreadyExists {
            entity: T::ENTITY,
            id: id.to_string(),
            constraint: constraint.unwrap_or("an index").to_owned(),
            source: error,
        }
        .into()
    }

    pub(crate) fn not_found<T: Versioned>(id: &T::Id) -> Self {
        let (entity, id) = (T::ENTITY, id.to_string());
        Repr::NotFound { entity, id }.into()
    }

    pub(crate) fn suppressed<T: Versioned>(id: impl Display) -> Self {
        let (entity, id) = (T::ENTITY, id.to_string());
        Repr::Suppressed { entity, id }.into()
    }

    pub(crate) fn exhausted<T: Versioned>(id: impl Display) -> Self {
        let (entity, id) = (T::ENTITY, id.to_string());
        Repr::VersionExhausted { entity, id }.into()
    }

    pub(crate) fn repeated<T: Versioned>(id: impl Display) -> Self {
        let (entity, id) = (T::ENTITY, id.to_string());
        Repr::RepeatedId { entity, id }.into()
    }

    pub(crate) fn too_many_rows<T: Versioned>(given: usize, most: usize) -> Self {
        let entity = T::ENTITY;
        Repr::TooManyRows {
            entity,
            given,
            most,
        }
        .into()
    }

    pub(crate) fn schema_mismatch<T: PgVersioned>(problems: Vec<String>) -> Self {
        let table = T::TABLE;
        Repr::SchemaMismatch { table, problems }.into()
    }

    pub(crate) fn invalid(what: &'static str, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Repr::Invalid { what, problem }.into()
    }

    pub(crate) fn idempotency_mismatch(key: &str) -> Self {
        let key = key.to_owned();
        Repr::IdempotencyMismatch { key }.into()
    }

    pub(crate) fn key_suppressed(key: &str) -> Self {
        let (entity, id) = (KEY, key.to_owned());
        Repr::Suppressed { entity, id }.into()
    }

    /// An effect that was stored before, and whose answer can't be read.
    pub(crate) fn unreadable(error: sqlx::Error) -> Self {
        Repr::Unknown(error.into()).into()
    }

    pub(crate) fn several<T: PgVersioned>(id: impl Display) -> Self {
        Self::schema_mismatch::<T>(vec![format!(
            "id {id} names several rows, so none is written: look for tables that inherit from it, \
             or partitions with the same id"
        )])
    }

    /// The same, where the phase of a transaction knows better than the error itself: one that was
    /// lost before `COMMIT` did nothing.
    pub(crate) fn settled(self, class: Class) -> Self {
        let Class::Busy { retry_after } = class else {
            return self;
        };
        let repr = match self.into_repr() {
            Repr::Unknown(source) => match source.downcast() {
                Ok(source) => Repr::Busy {
                    retry_after,
                    source: *source,
                },
                Err(source) => Repr::Unknown(source),
            },
            other => other,
        };
        repr.into()
    }

    /// The same, of what came after something had been written and committed: whatever it says of itself,
    /// it must not say that nothing happened.
    pub(crate) fn after(self, wrote: bool) -> Self {
        match self {
            error if wrote && !error.is_unknown() => Repr::Unknown(error.into()).into(),
            error => error,
        }
    }

    /// Returns what the operation failed with.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self.repr() {
            Repr::Conflict(_) => ErrorKind::Conflict,
            Repr::Serialization(_) => ErrorKind::Serialization,
            Repr::NotFound { .. } => ErrorKind::NotFound,
            Repr::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            Repr::Suppressed { .. } => ErrorKind::Suppressed,
            Repr::RepeatedId { .. } => ErrorKind::RepeatedId,
            Repr::TooManyRows { .. } => ErrorKind::TooManyRows,
            Repr::IdempotencyMismatch { .. } => ErrorKind::IdempotencyMismatch,
            Repr::Invalid { .. } => ErrorKind::Invalid,
            Repr::VersionExhausted { .. } => ErrorKind::VersionExhausted,
            Repr::SchemaMismatch { .. } => ErrorKind::SchemaMismatch,
            Repr::Busy { .. } => ErrorKind::Busy,
            Repr::Unknown(_) => ErrorKind::Unknown,
            Repr::Database(_) => ErrorKind::Database,
        }
    }

    /// Returns whether the operation may have taken effect.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self.kind() {
            ErrorKind::Unknown => Outcome::Unknown,
            _ => Outcome::NothingHappened,
        }
    }

    /// Returns the [`code`](ErrorKind::code) of the kind: a stable name in kebab case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.kind().code()
    }

    /// Returns the [`http_status`](ErrorKind::http_status) of the kind.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        self.kind().http_status()
    }

    /// Returns whether another writer won: [`ErrorKind::Conflict`] or [`ErrorKind::Serialization`].
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self.kind(), ErrorKind::Conflict | ErrorKind::Serialization)
    }

    /// Returns whether the row does not exist.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self.kind(), ErrorKind::NotFound)
    }

    /// Returns whether the operation may have taken effect.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self.kind(), ErrorKind::Unknown)
    }

    /// Returns whether the database was busy and nothing happened.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        matches!(self.kind(), ErrorKind::Busy)
    }

    /// Returns the versions of an [`ErrorKind::Conflict`].
    #[must_use]
    pub const fn conflict(&self) -> Option<&Conflict> {
        match self.repr() {
            Repr::Conflict(conflict) => Some(conflict),
            _ => None,
        }
    }

    /// Returns the kind of row that the operation failed for, if it failed for a row.
    #[must_use]
    pub const fn entity(&self) -> Option<&'static str> {
        match self.repr() {
            Repr::Conflict(conflict) => Some(conflict.entity),
            Repr::NotFound { entity, .. }
            | Repr::AlreadyExists { entity, .. }
            | Repr::Suppressed { entity, .. }
            | Repr::RepeatedId { entity, .. }
            | Repr::TooManyRows { entity, .. }
            | Repr::VersionExhausted { entity, .. } => Some(entity),
            Repr::IdempotencyMismatch { .. } => Some(KEY),
            _ => None,
        }
    }

    /// Returns the id of the row that the operation failed for, if it failed for one row.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self.repr() {
            Repr::Conflict(conflict) => Some(&conflict.id),
            Repr::NotFound { id, .. }
            | Repr::AlreadyExists { id, .. }
            | Repr::Suppressed { id, .. }
            | Repr::RepeatedId { id, .. }
            | Repr::VersionExhausted { id, .. }
            | Repr::IdempotencyMismatch { key: id } => Some(id),
            _ => None,
        }
    }

    /// Returns the constraint or index that refused an [`ErrorKind::AlreadyExists`].
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        match self.repr() {
            Repr::AlreadyExists { constraint, .. } => Some(constraint),
            _ => None,
        }
    }

    /// Returns what does not fit, for an [`ErrorKind::SchemaMismatch`]; else nothing.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        match self.repr() {
            Repr::SchemaMismatch { problems, .. } => problems,
            _ => &[],
        }
    }

    /// Returns how long a busy database asks to be left alone, if it says so.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.repr() {
            Repr::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Returns the error of sqlx's, if there is one.
    #[must_use]
    pub fn as_sqlx(&self) -> Option<&sqlx::Error> {
        match self.repr() {
            Repr::Serialization(source)
            | Repr::AlreadyExists { source, .. }
            | Repr::Busy { source, .. }
            | Repr::Database(source) => Some(source),
            Repr::Unknown(source) => match source.downcast_ref::<Self>() {
                Some(source) => source.as_sqlx(),
                None => source.downcast_ref(),
            },
            _ => None,
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
            Err(unknown) => Repr::Unknown(unknown.into()).into(),
        }
    }
}

/// The same, of a transaction whose operation's errors are sqlx's. A connection that was lost before
/// `COMMIT` is [`Busy`](ErrorKind::Busy): nothing happened.
impl From<RetryError<sqlx::Error>> for Error {
    fn from(gave_up: RetryError<sqlx::Error>) -> Self {
        match gave_up.try_into_inner() {
            Ok(error) => Self::before(error),
            Err(unknown) => Repr::Unknown(unknown.error.into()).into(),
        }
    }
}

impl Classify for Error {
    fn class(&self) -> Class {
        match self.repr() {
            Repr::Conflict(_) | Repr::Serialization(_) => Class::Conflict,
            Repr::Busy {
                retry_after,
                source,
            } => class_of_busy(source, *retry_after),
            // By what is known of its connection where it is asked.
            Repr::Unknown(source) => match source.downcast_ref::<sqlx::Error>() {
                Some(source) => class_of_unknown(source),
                None => Class::Unknown,
            },
            Repr::Database(source) => source.class(),
            _ => Class::Permanent,
        }
    }
}
