//! The outcome of a versioned write.

use crate::{Conflict, Version, Versioned, postgres::error::Error};

/// The outcome of a compare-and-set of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum WriteOutcome<T> {
    /// The row was written. It is returned as it is now, one version later.
    Written(T),
    /// Another writer was faster. The current row.
    Stale(T),
    /// The row was current, and another row of the batch was not: all were to be written or none.
    Skipped(T),
    /// The row does not exist, or is hidden from this role.
    NotFound,
    /// The row is at the expected version, and a trigger or a row-level policy suppressed the write.
    Suppressed,
    /// A row with this id already exists, so the row was not inserted.
    AlreadyExists,
}

impl<T> WriteOutcome<T> {
    /// Returns whether the row was written.
    #[must_use]
    pub const fn is_written(&self) -> bool {
        matches!(self, Self::Written(_))
    }

    /// Returns the row as the database has it: written, stale or skipped.
    #[must_use]
    pub fn into_row(self) -> Option<T> {
        match self {
            Self::Written(row) | Self::Stale(row) | Self::Skipped(row) => Some(row),
            Self::NotFound | Self::Suppressed | Self::AlreadyExists => None,
        }
    }
}

impl<T: Versioned> WriteOutcome<T> {
    /// Returns the row that was written, or the error that says why it was not.
    pub(super) fn written(self, id: &T::Id, expected: Version) -> Result<T, Error> {
        match self {
            Self::Written(row) => Ok(row),
            Self::Stale(current) | Self::Skipped(current) => {
                Err(Conflict::new(T::ENTITY, id, expected, current.version()).into())
            }
            Self::NotFound => Err(Error::not_found::<T>(id)),
            // Only an insert finds that a row already exists, and it has no expected version.
            Self::Suppressed | Self::AlreadyExists => Err(Error::suppressed::<T>(id)),
        }
    }
}
