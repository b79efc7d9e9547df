use super::Error;
use crate::{Conflict, Version, Versioned};

/// What became of one row of a compare-and-set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum WriteOutcome<T> {
    /// The row as it is now, one version later.
    Written(T),
    /// Somebody else was faster: the current row.
    Stale(T),
    /// Current itself, but another row of the batch was not, and all were to be written or none.
    Skipped(T),
    /// The row is not there, or hidden from this role.
    NotFound,
    /// The row is there at the expected version, and a trigger or a row-level policy swallowed the
    /// write.
    Suppressed,
}

impl<T> WriteOutcome<T> {
    /// Whether the row was written.
    #[must_use]
    pub const fn is_written(&self) -> bool {
        matches!(self, Self::Written(_))
    }

    /// The row as the database has it, if it is there: written, stale or held.
    #[must_use]
    pub fn into_row(self) -> Option<T> {
        match self {
            Self::Written(row) | Self::Stale(row) | Self::Skipped(row) => Some(row),
            Self::NotFound | Self::Suppressed => None,
        }
    }
}

impl<T: Versioned> WriteOutcome<T> {
    /// The row that was written, or the error that says why it was not.
    pub(super) fn written(self, id: &T::Id, expected: Version) -> Result<T, Error> {
        match self {
            Self::Written(row) => Ok(row),
            Self::Stale(current) | Self::Skipped(current) => {
                Err(Conflict::new(T::ENTITY, id, expected, current.version()).into())
            }
            Self::NotFound => Err(Error::not_found::<T>(id)),
            Self::Suppressed => Err(Error::suppressed::<T>(id)),
        }
    }
}
