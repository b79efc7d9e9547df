//! The compare-and-set behind every write of one row.

use sqlx::{
    PgConnection, Row, SqlStr,
    postgres::{PgArguments, PgRow},
};

use super::{PgRepository, add, add_id, outcome::WriteOutcome, unencodable};
use crate::{
    Version, metrics,
    postgres::{
        assertion::Broken,
        error::{Error, ErrorKind},
        row::PgVersioned,
    },
};

/// A write of one row whose guard is the id and the expected version.
pub(super) struct Write<'a, T: PgVersioned> {
    statement: &'a SqlStr,
    id: &'a T::Id,
    expected: Version,
    /// The row whose columns are written, if any are.
    row: Option<&'a T>,
}

impl<T: PgVersioned> Clone for Write<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: PgVersioned> Copy for Write<'_, T> {}

impl<'a, T: PgVersioned> Write<'a, T> {
    pub(super) const fn without_row(
        statement: &'a SqlStr,
        id: &'a T::Id,
        expected: Version,
    ) -> Self {
        Self {
            statement,
            id,
            expected,
            row: None,
        }
    }

    fn arguments(&self) -> Result<PgArguments, Error> {
        let mut arguments = PgArguments::default();
        add_id::<T>(&mut arguments, self.id)?;
        add(&mut arguments, self.expected)?;
        if let Some(row) = self.row {
            row.bind(&mut arguments).map_err(unencodable)?;
        }
        Ok(arguments)
    }

    fn failed(&self, error: sqlx::Error) -> Error {
        match Broken::of(&error) {
            Some((Broken::Suppressed, _)) => Error::suppressed::<T>(self.id),
            Some((Broken::Several, _)) => Error::several::<T>(self.id),
            _ => Error::of_write::<T>(error, self.id, self.expected),
        }
    }
}

impl<T: PgVersioned> PgRepository<T> {
    /// Runs a write that returns the row.
    pub(super) async fn set(
        &self,
        conn: &mut PgConnection,
        write: Write<'_, T>,
    ) -> Result<WriteOutcome<T>, Error> {
        self.write(conn, write).await?.outcome()
    }

    /// Runs a [`set`](Self::set) that commits directly.
    pub(super) async fn set_directly(
        &self,
        conn: &mut PgConnection,
        write: Write<'_, T>,
    ) -> Result<WriteOutcome<T>, Error> {
        let written = self.write_directly(conn, write).await?;
        // Only a row that was written can fail to be read here.
        let outcome = written.outcome();
        outcome.map_err(|error| error.after(true))
    }

    /// Runs a write that returns the version.
    pub(super) async fn version(
        &self,
        conn: &mut PgConnection,
        write: Write<'_, T>,
    ) -> Result<Version, Error> {
        self.write(conn, write).await?.version(write)
    }

    /// Runs a write that returns the version and commits directly.
    pub(super) async fn version_directly(&self, write: Write<'_, T>) -> Result<Version, Error> {
        let write =
            async |conn: &mut PgConnection| self.write_directly(conn, write).await?.version(write);
        counted::<T, _>(self.run(write).await, |_| &[])
    }

    /// Returns the compare-and-set of `row` at `expected`.
    pub(super) fn update_of<'a>(
        &'a self,
        id: &'a T::Id,
        expected: Version,
        row: &'a T,
    ) -> Write<'a, T> {
        Write {
            statement: &self.sql.update,
            id,
            expected,
            row: Some(row),
        }
    }

    /// Runs a [`write`](Self::write) that commits directly. Above READ COMMITTED the database only reports
    /// that it aborted the statement; a transaction of its own reads the current row.
    async fn write_directly(
        &self,
        conn: &mut PgConnection,
        write: Write<'_, T>,
    ) -> Result<Written<T>, Error> {
        match self.write(conn, write).await {
            Err(error) => match error.kind() {
                ErrorKind::Serialization => match self.explain_miss(conn, write).await? {
                    Some(outcome) => Ok(Written::Not(outcome)),
                    None => Err(error),
                },
                // The statement failed, and nothing else with it.
                ErrorKind::Suppressed => Ok(Written::Not(WriteOutcome::Suppressed)),
                _ => Err(error),
            },
            written => written,
        }
    }

    /// Sends a guarded write. A miss is explained by a second statement: a single statement would answer
    /// from the snapshot in which it lost.
    async fn write(
        &self,
        conn: &mut PgConnection,
        write: Write<'_, T>,
    ) -> Result<Written<T>, Error> {
        // Twice, before a row at the expected version counts as suppressed: it may have been inserted
        // between the two statements.
        for _ in 0..2 {
            let written = sqlx::query_with(write.statement.clone(), write.arguments()?)
                .fetch_optional(&mut *conn)
                .await
                .map_err(|error| write.failed(error))?;
            if let Some(written) = written {
                return Ok(Written::Row(written));
            }
            if let Some(outcome) = self.explain_miss(conn, write).await? {
                return Ok(Written::Not(outcome));
            }
        }
        Ok(Written::Not(WriteOutcome::Suppressed))
    }

    /// Returns why a write found no row: stale or not found, or `None` if the row is at the expected version.
    async fn explain_miss(
        &self,
        conn: &mut PgConnection,
        write: Write<'_, T>,
    ) -> Result<Option<WriteOutcome<T>>, Error> {
        Ok(match self.find_in(conn, write.id).await? {
            None => Some(WriteOutcome::NotFound),
            Some(current) if current.version() != write.expected => {
                Some(WriteOutcome::Stale(current))
            }
            Some(_) => None,
        })
    }
}

/// The answer of a guarded statement, or the reason why it wrote nothing.
enum Written<T> {
    Row(PgRow),
    Not(WriteOutcome<T>),
}

impl<T: PgVersioned> Written<T> {
    /// Reads the answer of a statement that returns the row.
    fn outcome(self) -> Result<WriteOutcome<T>, Error> {
        match self {
            Self::Row(row) => Ok(WriteOutcome::Written(T::from_row(&row)?)),
            Self::Not(outcome) => Ok(outcome),
        }
    }

    /// Reads the answer of a statement that returns the version.
    fn version(self, write: Write<'_, T>) -> Result<Version, Error> {
        match self {
            Self::Row(row) => Ok(row.try_get(0)?),
            Self::Not(outcome) => outcome
                .written(write.id, write.expected)
                .map(|row| row.version()),
        }
    }
}

/// Counts the conflicts and unknown outcomes of an operation that makes one attempt.
pub(super) fn counted<T: PgVersioned, R>(
    result: Result<R, Error>,
    outcomes: fn(&R) -> &[WriteOutcome<T>],
) -> Result<R, Error> {
    match &result {
        Ok(answer) => {
            let stale = |outcome: &&WriteOutcome<T>| matches!(outcome, WriteOutcome::Stale(_));
            for _ in outcomes(answer).iter().filter(stale) {
                metrics::conflict(T::ENTITY, true);
            }
        }
        Err(error) if error.is_conflict() => metrics::conflict(T::ENTITY, true),
        Err(error) if error.is_unknown() => metrics::unknown_outcome(T::ENTITY),
        Err(_) => {}
    }
    result
}
