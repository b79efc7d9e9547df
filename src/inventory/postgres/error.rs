//! Conversion of sqlx's errors to the inventory's: the one place of the inventory that reads them.

use std::fmt::Display;

use crate::{
    Class, Classify, RetryError,
    inventory::model::error::{Error, Repr},
    postgres::{
        self, OfSqlx, Phase, class_in, class_of_busy, class_of_unknown, is_cancelled,
        is_ledger_key, is_lock_timeout, is_of_statement, is_out_of_range, is_refused_row,
        is_unique_violation, suppressed_table,
    },
};

impl Error {
    /// Converts the error of a statement that could not take effect yet: a read, or a statement before
    /// `COMMIT`.
    pub(crate) fn before(error: sqlx::Error) -> Self {
        Self::of(error, Phase::Before)
    }

    /// Converts the error of a statement that writes a key of the crate. If the key is taken, another attempt
    /// or another process has stored it, and the next attempt finds it.
    pub(crate) fn own_key(error: sqlx::Error) -> Self {
        if is_ledger_key(&error) {
            Repr::VersionSetBack(error).into()
        } else if is_unique_violation(&error) {
            Repr::Serialization(error).into()
        } else {
            error.into()
        }
    }

    /// Converts the error of a statement that asserts what it wrote.
    pub(crate) fn of_several(error: sqlx::Error, entity: &'static str, id: impl Display) -> Self {
        match suppressed_table(&error) {
            Some(table) => Self::suppressed_in(table, entity, id),
            None => Self::own_key(error),
        }
    }

    fn of(error: sqlx::Error, phase: Phase) -> Self {
        match class_in(&error, phase) {
            Class::Conflict => Repr::Serialization(error).into(),
            Class::Busy { retry_after } => Repr::Busy {
                retry_after,
                source: Some(error),
            }
            .into(),
            Class::Unknown => Self::from(Repr::Database(error)).into_unknown(),
            Class::Permanent if is_out_of_range(&error) => Self::out_of_range(),
            Class::Permanent if is_ledger_key(&error) => Repr::VersionSetBack(error).into(),
            Class::Permanent => Repr::Database(error).into(),
        }
    }

    /// Returns whether another transaction holds a lock for longer than the statement waits.
    pub(crate) fn is_lock_timeout(&self) -> bool {
        matches!(self.repr(), Repr::Busy { source: Some(source), .. } if is_lock_timeout(source))
    }

    /// Returns whether the database refused a row, while it may accept others of the batch.
    pub(crate) fn is_refused_row(&self) -> bool {
        match self.root() {
            Repr::Suppressed { .. } | Repr::Invalid { .. } => true,
            Repr::Database(source) | Repr::Serialization(source) => is_refused_row(source),
            _ => false,
        }
    }

    /// Returns whether the server refused the statement and the connection is alive.
    pub(crate) fn is_of_statement(&self) -> bool {
        !self.is_unknown() && self.as_sqlx().is_some_and(is_of_statement)
    }

    /// Returns whether another attempt may succeed, or may find that this one did.
    pub(crate) fn is_retried(&self) -> bool {
        self.class() != Class::Permanent
    }

    /// Returns whether the statement was cancelled, for example by a timeout.
    pub(crate) fn is_cancelled(&self) -> bool {
        matches!(self.root(), Repr::Database(source) if is_cancelled(source))
    }
}

/// Converts the error of a statement that commits directly: see [`Classify`] for [`sqlx::Error`].
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::of(error, Phase::Commit)
    }
}

/// Converts the error of an operation on the host's own rows, in a transaction with the inventory's.
impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Self {
        use postgres::Repr as Row;
        match error.into_repr() {
            Row::Conflict(conflict) => conflict.into(),
            Row::Serialization(source) => Repr::Serialization(source).into(),
            Row::NotFound { entity, id } => Self::not_found(entity, id),
            Row::AlreadyExists { entity, id, .. } => Self::already_exists(entity, id),
            Row::Suppressed { entity, id } => Self::suppressed(entity, id),
            Row::Busy {
                retry_after,
                source,
            } => Repr::Busy {
                retry_after,
                source: Some(source),
            }
            .into(),
            Row::Unknown(source) => match source.downcast() {
                Ok(source) => Self::from(Repr::Database(*source)).into_unknown(),
                Err(other) => Self::from(Repr::Row(Row::Unknown(other).into())).into_unknown(),
            },
            Row::Database(source) => Self::before(source),
            other => Repr::Row(other.into()).into(),
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

/// Converts the error of a transaction whose operation returns errors of versioned rows.
impl From<RetryError<postgres::Error>> for Error {
    fn from(gave_up: RetryError<postgres::Error>) -> Self {
        gave_up.map(Self::from).into()
    }
}

/// Converts the error of a transaction whose operation returns sqlx's errors.
impl From<RetryError<sqlx::Error>> for Error {
    fn from(gave_up: RetryError<sqlx::Error>) -> Self {
        gave_up.map(Self::from).into()
    }
}

/// The class in a transaction of the host's: a conflict is retried.
impl Classify for Error {
    fn class(&self) -> Class {
        match self.repr() {
            Repr::Conflict(_) | Repr::Serialization(_) => Class::Conflict,
            Repr::Busy {
                retry_after,
                source,
            } => match source {
                Some(source) => class_of_busy(source, *retry_after),
                None => Class::Busy {
                    retry_after: *retry_after,
                },
            },
            // By the state of the connection, where it is asked.
            Repr::Unknown(source) => match source.repr() {
                Repr::Database(source) => class_of_unknown(source),
                _ => Class::Unknown,
            },
            Repr::Database(source) => source.class(),
            Repr::Hook { source, .. } => source.class(),
            Repr::Row(error) => error.class(),
            _ => Class::Permanent,
        }
    }
}
