//! The outcomes of a call for many rows, one per row, and the errors of the call as a whole.

use std::{collections::HashSet, fmt::Display};

use sqlx::{Row, postgres::PgRow};

use super::{PgRepository, outcome::WriteOutcome};
use crate::{
    Version,
    postgres::{assertion::Broken, error::Error, row::PgVersioned},
};

/// The ids of a call and their versions, in the order given.
pub(super) struct Call<'r, T: PgVersioned> {
    pub(super) ids: Vec<&'r T::Id>,
    pub(super) versions: Vec<Version>,
}

impl<'r, T: PgVersioned> Call<'r, T> {
    pub(super) fn of(rows: impl IntoIterator<Item = (&'r T::Id, Version)>) -> Self {
        let (ids, versions) = rows.into_iter().unzip();
        Self { ids, versions }
    }

    pub(super) fn of_rows(rows: &[&'r T]) -> Self {
        Self::of(rows.iter().map(|row| (row.id(), row.version())))
    }

    /// Checks the number of the rows.
    pub(super) fn check_count(&self) -> Result<(), Error> {
        let most = PgRepository::<T>::MAX_ROWS;
        match self.ids.len() {
            given if given > most => Err(Error::too_many_rows::<T>(given, most)),
            _ => Ok(()),
        }
    }

    /// Checks the number of the rows, and that no id is repeated.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.check_count()?;
        let mut seen = HashSet::with_capacity(self.ids.len());
        match self.ids.iter().find(|id| !seen.insert(**id)) {
            Some(twice) => Err(Error::repeated::<T>(twice)),
            None => Ok(()),
        }
    }

    /// Returns the error of the whole statement: that of a row whose assertion failed or that is at the last
    /// version, or that of the database.
    pub(super) fn failed(&self, error: sqlx::Error) -> Error {
        let at = |place: i64| {
            let place = usize::try_from(place).ok()?.checked_sub(1)?;
            let id: &dyn Display = *self.ids.get(place)?;
            Some(id)
        };
        if let Some((broken, place)) = Broken::of(&error) {
            let id = at(place).unwrap_or(&"(new)");
            match broken {
                Broken::Suppressed | Broken::Missed => return Error::suppressed::<T>(id),
                Broken::Exhausted => return Error::exhausted::<T>(id),
                Broken::Several => return Error::several::<T>(id),
                Broken::Repeated => return Error::repeated::<T>(id),
                Broken::Renamed => {
                    return Error::suppressed::<T>("with an id that a trigger changed");
                }
            }
        }
        let last = T::VERSION.int.last();
        let mut rows = self.ids.iter().zip(&self.versions);
        if let Some((id, version)) = rows.find(|(_, version)| version.get() >= last) {
            return Error::of_write::<T>(error, id, *version);
        }
        match &*self.ids {
            _ if T::GENERATED_ID => Error::or_taken::<T>(error, "(new)"),
            [only] => Error::or_taken::<T>(error, only),
            // The database does not state which row it was.
            _ => Error::or_taken::<T>(error, format_args!("(one of {})", self.ids.len())),
        }
    }
}

/// The outcomes of a call. `None` for a row of which nothing is known yet.
pub(super) struct Outcomes<T>(Vec<Option<WriteOutcome<T>>>);

impl<T: PgVersioned> Outcomes<T> {
    pub(super) fn new(rows: usize) -> Self {
        Self(std::iter::repeat_with(|| None).take(rows).collect())
    }

    /// Sets the outcomes that a statement for the rows at these `places` has returned.
    pub(super) fn read(&mut self, places: &[usize], answers: &[PgRow]) -> Result<(), Error> {
        for answer in answers {
            if let Some(&place) = places.get(place(answer)?) {
                self.set(place, outcome_of(answer)?);
            }
        }
        Ok(())
    }

    pub(super) fn set(&mut self, place: usize, outcome: WriteOutcome<T>) {
        self.0[place] = Some(outcome);
    }

    /// Returns the places of the rows without an outcome.
    pub(super) fn missing(&self) -> Vec<usize> {
        let places = 0..self.0.len();
        places.filter(|&place| self.0[place].is_none()).collect()
    }

    /// Returns the outcomes, with `rest` for a row that has none.
    pub(super) fn finish(self, rest: fn() -> WriteOutcome<T>) -> Vec<WriteOutcome<T>> {
        let outcomes = self.0.into_iter();
        outcomes
            .map(|outcome| outcome.unwrap_or_else(rest))
            .collect()
    }
}

/// Returns the place in a statement's input of a row of its answer.
pub(super) fn place(answer: &PgRow) -> Result<usize, Error> {
    let place: i64 = answer.try_get("optilock.ord")?;
    Ok(usize::try_from(place - 1).unwrap_or(usize::MAX))
}

/// Returns whether a row of an answer was written.
pub(super) fn is_written(answer: &PgRow) -> bool {
    letter(answer).ok() == Some(b'w')
}

/// Reads the letter by which the statement states the outcome of a row.
fn letter(answer: &PgRow) -> Result<u8, Error> {
    let letter: i8 = answer.try_get("optilock.outcome")?;
    Ok(letter.cast_unsigned())
}

fn outcome_of<T: PgVersioned>(answer: &PgRow) -> Result<WriteOutcome<T>, Error> {
    let (letter, row) = (letter(answer)?, T::from_row(answer)?);
    Ok(match letter {
        b'w' => WriteOutcome::Written(row),
        b's' => WriteOutcome::Stale(row),
        b'k' => WriteOutcome::Skipped(row),
        _ => WriteOutcome::Suppressed,
    })
}
