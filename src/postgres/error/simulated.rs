//! Errors of calls that have no database.

use std::{fmt::Display, time::Duration};

use super::{Error, Repr};
use crate::Versioned;

impl Error {
    pub(crate) fn simulated_busy(retry_after: Duration) -> Self {
        Repr::Busy {
            retry_after: Some(retry_after),
            source: sqlx::Error::PoolTimedOut,
        }
        .into()
    }

    pub(crate) fn simulated_already_exists<T: Versioned>(id: impl Display) -> Self {
        Repr::AlreadyExists {
            entity: T::ENTITY,
            id: id.to_string(),
            constraint: "id".to_owned(),
            source: sqlx::Error::Protocol("a row with this id is in memory".to_owned()),
        }
        .into()
    }
}
