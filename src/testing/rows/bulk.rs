//! Calls for many rows.

use std::collections::{HashMap, HashSet};

use super::{MemoryRows, current};
use crate::{
    Version, Versioned,
    postgres::{Bulk, Error, WriteOutcome},
};

/// As `PgRepository::MAX_ROWS`.
const MAX_ROWS: usize = 10_000;

impl<T: Versioned + Clone> MemoryRows<T> {
    /// See [`PgRepository::update_all`](crate::postgres::PgRepository::update_all).
    ///
    /// # Errors
    ///
    /// That of a fault, or of the kind `TooManyRows`, `RepeatedId` or `VersionExhausted`.
    pub async fn update_all(&self, rows: &[T], mode: Bulk) -> Result<Vec<WriteOutcome<T>>, Error> {
        let written = async {
            check::<T>(rows.iter().map(T::id))?;
            let versions = rows.iter().map(|row| (row.id(), row.version()));
            let mut stored = self.rows();
            let mut outcomes = judge(&stored, versions, mode);
            let mut new = Vec::new();
            for (row, outcome) in rows.iter().zip(&mut outcomes) {
                if outcome.is_written() {
                    let next = self.next(row, row.version())?;
                    *outcome = WriteOutcome::Written(next.clone());
                    new.push(next);
                }
            }
            stored.extend(new.into_iter().map(|row| (row.id().clone(), row)));
            Ok(outcomes)
        };
        self.faults.call("update_all", written).await
    }

    /// See [`PgRepository::delete_all`](crate::postgres::PgRepository::delete_all).
    ///
    /// # Errors
    ///
    /// That of a fault, or of the kind `TooManyRows` or `RepeatedId`.
    pub async fn delete_all(
        &self,
        rows: &[(T::Id, Version)],
        mode: Bulk,
    ) -> Result<Vec<WriteOutcome<T>>, Error> {
        let deleted = async {
            check::<T>(rows.iter().map(|(id, _)| id))?;
            let versions = rows.iter().map(|(id, expected)| (id, *expected));
            let mut stored = self.rows();
            let outcomes = judge(&stored, versions, mode);
            for ((id, _), outcome) in rows.iter().zip(&outcomes) {
                if outcome.is_written() {
                    stored.remove(id);
                }
            }
            Ok(outcomes)
        };
        self.faults.call("delete_all", deleted).await
    }

    /// See [`PgRepository::insert_all`](crate::postgres::PgRepository::insert_all). As by
    /// [`insert`](Self::insert), a new row begins at [`Version::FIRST`].
    ///
    /// # Errors
    ///
    /// That of a fault, or of the kind `TooManyRows` or `RepeatedId`.
    pub async fn insert_all(&self, rows: &[T]) -> Result<Vec<WriteOutcome<T>>, Error> {
        let inserted = async {
            check::<T>(rows.iter().map(T::id))?;
            let mut stored = self.rows();
            let outcomes = rows.iter().map(|row| {
                if stored.contains_key(row.id()) {
                    return WriteOutcome::AlreadyExists;
                }
                let new = self.at(row, Version::FIRST);
                stored.insert(new.id().clone(), new.clone());
                WriteOutcome::Written(new)
            });
            Ok(outcomes.collect())
        };
        self.faults.call("insert_all", inserted).await
    }

    /// See [`PgRepository::upsert`](crate::postgres::PgRepository::upsert). A new row begins at
    /// [`Version::FIRST`].
    ///
    /// # Errors
    ///
    /// That of a fault, or of the kind `VersionExhausted`.
    pub async fn upsert(&self, row: &T) -> Result<T, Error> {
        let written = async {
            let mut stored = self.rows();
            let new = self.over(row, stored.get(row.id()))?;
            stored.insert(new.id().clone(), new.clone());
            Ok(new)
        };
        self.faults.call("upsert", written).await
    }

    /// See [`PgRepository::upsert_all`](crate::postgres::PgRepository::upsert_all).
    ///
    /// # Errors
    ///
    /// That of a fault, or of the kind `TooManyRows`, `RepeatedId` or `VersionExhausted`.
    pub async fn upsert_all(&self, rows: &[T]) -> Result<Vec<WriteOutcome<T>>, Error> {
        let written = async {
            check::<T>(rows.iter().map(T::id))?;
            let mut stored = self.rows();
            let new = rows.iter().map(|row| self.over(row, stored.get(row.id())));
            let new = new.collect::<Result<Vec<_>, _>>()?;
            stored.extend(new.iter().map(|row| (row.id().clone(), row.clone())));
            Ok(new.into_iter().map(WriteOutcome::Written).collect())
        };
        self.faults.call("upsert_all", written).await
    }

    /// Returns the row that an upsert writes.
    fn over(&self, row: &T, stored: Option<&T>) -> Result<T, Error> {
        match stored {
            Some(stored) => self.next(row, stored.version()),
            None => Ok(self.at(row, Version::FIRST)),
        }
    }

    fn at(&self, row: &T, version: Version) -> T {
        let mut new = row.clone();
        (self.set_version)(&mut new, version);
        new
    }

    fn next(&self, row: &T, version: Version) -> Result<T, Error> {
        let next = version.next();
        let next = next.ok_or_else(|| Error::exhausted::<T>(row.id()))?;
        Ok(self.at(row, next))
    }
}

/// Checks the ids of a call.
fn check<'i, T: Versioned>(ids: impl ExactSizeIterator<Item = &'i T::Id>) -> Result<(), Error> {
    if ids.len() > MAX_ROWS {
        return Err(Error::too_many_rows::<T>(ids.len(), MAX_ROWS));
    }
    let mut seen = HashSet::with_capacity(ids.len());
    for id in ids {
        if !seen.insert(id) {
            return Err(Error::repeated::<T>(id));
        }
    }
    Ok(())
}

/// Returns the outcome of each row of a call, with the stored row in each that is to be written.
fn judge<'i, T: Versioned + Clone>(
    stored: &HashMap<T::Id, T>,
    rows: impl Iterator<Item = (&'i T::Id, Version)>,
    mode: Bulk,
) -> Vec<WriteOutcome<T>> {
    let outcomes = rows.map(|(id, expected)| match stored.get(id) {
        None => WriteOutcome::NotFound,
        Some(row) if current(row, expected).is_err() => WriteOutcome::Stale(row.clone()),
        Some(row) => WriteOutcome::Written(row.clone()),
    });
    let mut outcomes: Vec<_> = outcomes.collect();
    if mode == Bulk::AllOrNothing && !outcomes.iter().all(WriteOutcome::is_written) {
        for outcome in &mut outcomes {
            if let WriteOutcome::Written(row) = outcome {
                *outcome = WriteOutcome::Skipped(row.clone());
            }
        }
    }
    outcomes
}
