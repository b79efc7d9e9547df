//! One row, inserted, or written at the version that was read.

use sqlx::{
    PgConnection, Row, SqlStr,
    postgres::{PgArguments, PgRow},
};

use super::{
    Error, ErrorKind, PgRepository, PgVersioned, WriteOutcome,
    assertion::Broken,
    repository::{add, unencodable},
};
use crate::Version;

impl<T: PgVersioned> PgRepository<T> {
    /// Inserts `row`, at the version it has, and returns it as the database made it.
    ///
    /// A new row usually has [`Version::FIRST`]. One that takes the place of a deleted row should go
    /// on from that one's version: otherwise who had read the old row at version 1 could write the
    /// new one.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`] when the id or another unique key is taken; [`Error::Suppressed`];
    /// [`Error::Unknown`] when the connection was lost meanwhile.
    pub async fn insert(&self, row: &T) -> Result<T, Error> {
        let insert = async |conn: &mut PgConnection| {
            let inserted = self.insert_row(conn, row).await?;
            T::from_row(&inserted).map_err(|error| Error::from(error).after(true))
        };
        counted::<T, _>(self.run(insert).await, |_| &[])
    }

    /// [`insert`](Self::insert) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// As there. PostgreSQL aborts a transaction in which a key was taken.
    pub async fn insert_in(&self, conn: &mut PgConnection, row: &T) -> Result<T, Error> {
        Ok(T::from_row(&self.insert_row(conn, row).await?)?)
    }

    async fn insert_row(&self, conn: &mut PgConnection, row: &T) -> Result<PgRow, Error> {
        let mut arguments = PgArguments::default();
        if !T::GENERATED_ID {
            add(&mut arguments, row.id())?;
        }
        add(&mut arguments, row.version())?;
        row.bind(&mut arguments).map_err(unencodable)?;
        let inserted = sqlx::query_with(self.sql.insert.clone(), arguments)
            .fetch_optional(conn)
            .await
            .map_err(|error| match T::GENERATED_ID {
                true => Error::or_taken::<T>(error, "(new)"),
                false => Error::or_taken::<T>(error, row.id()),
            })?;
        match inserted {
            Some(inserted) => Ok(inserted),
            None if T::GENERATED_ID => Err(Error::suppressed::<T>("(new)")),
            None => Err(Error::suppressed::<T>(row.id())),
        }
    }

    /// Writes `row` if the database still has it at `row.version()`, and returns it as it is then,
    /// one version later. One round trip when it wins, two when it loses.
    ///
    /// It writes all of its columns, also when nothing changed: the version grows all the same.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when somebody was faster, [`Error::NotFound`] when the row is gone,
    /// [`Error::AlreadyExists`] when it would take another row's unique key, [`Error::Suppressed`],
    /// [`Error::VersionExhausted`], [`Error::SchemaMismatch`] when the id names several rows;
    /// [`Error::Unknown`] when the connection was lost meanwhile. Save for the last, nothing is stored.
    ///
    /// A decode error in [`Error::Unknown`] comes after the write, as it does of every operation that
    /// returns a row: what a trigger or a default made does not fit the struct. In the caller's transaction
    /// it is an [`Error::Database`]. [`verify`](Self::verify) finds such things earlier.
    pub async fn update(&self, row: &T) -> Result<T, Error> {
        let verdict = self.compare_and_set(row).await?;
        verdict.written(row.id(), row.version())
    }

    /// [`update`](Self::update) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// As there. Above READ COMMITTED it is [`Error::Serialization`] when somebody was faster: the
    /// database then aborts the transaction, and its current version can't be asked for.
    ///
    /// [`Error::SchemaMismatch`], [`Error::AlreadyExists`], [`Error::VersionExhausted`], and
    /// [`Error::Suppressed`] of a trigger that left the version as it was, abort the transaction, too:
    /// the statement has failed. Roll back, or write in a savepoint.
    pub async fn update_in(&self, conn: &mut PgConnection, row: &T) -> Result<T, Error> {
        let verdict = self.compare_and_set_in(conn, row).await?;
        verdict.written(row.id(), row.version())
    }

    /// [`update`](Self::update), with the answer as data: who loses gets the current row.
    ///
    /// # Errors
    ///
    /// As there, save what is a [`WriteOutcome`].
    pub async fn compare_and_set(&self, row: &T) -> Result<WriteOutcome<T>, Error> {
        let set = async |conn: &mut PgConnection| {
            self.set_alone(conn, row.id(), row.version(), row).await
        };
        counted::<T, _>(self.run(set).await, std::slice::from_ref)
    }

    /// [`compare_and_set`](Self::compare_and_set) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// As for [`update_in`](Self::update_in), save what is a [`WriteOutcome`]. A trigger that left the
    /// version as it was makes it [`Error::Suppressed`] and no verdict: the transaction is aborted.
    pub async fn compare_and_set_in(
        &self,
        conn: &mut PgConnection,
        row: &T,
    ) -> Result<WriteOutcome<T>, Error> {
        self.set(conn, row.id(), row.version(), row).await
    }

    /// Deletes the row if it is still at `expected`.
    ///
    /// Of a row that is inserted again later, see [`insert`](Self::insert).
    ///
    /// # Errors
    ///
    /// As for [`update`](Self::update).
    pub async fn delete(&self, id: &T::Id, expected: Version) -> Result<(), Error> {
        let deleted = self.version_alone(&self.sql.delete, id, expected);
        deleted.await.map(drop)
    }

    /// [`delete`](Self::delete) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// As for [`update_in`](Self::update_in).
    pub async fn delete_in(
        &self,
        conn: &mut PgConnection,
        id: &T::Id,
        expected: Version,
    ) -> Result<(), Error> {
        let statement = &self.sql.delete;
        let deleted = self.write(conn, statement, id, expected, None).await?;
        deleted.version(id, expected).map(drop)
    }

    /// Counts the row's version up and writes none of its columns, if it is still at `expected`;
    /// returns the new version. What `on_update` sets is set.
    ///
    /// It guards an aggregate: whoever writes an order's lines touches the order in the same
    /// transaction, and two that do so at once meet there. See the
    /// [guide](crate::guide::rows).
    ///
    /// # Errors
    ///
    /// As for [`update`](Self::update).
    pub async fn touch(&self, id: &T::Id, expected: Version) -> Result<Version, Error> {
        self.version_alone(&self.sql.touch, id, expected).await
    }

    /// [`touch`](Self::touch) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// As for [`update_in`](Self::update_in).
    pub async fn touch_in(
        &self,
        conn: &mut PgConnection,
        id: &T::Id,
        expected: Version,
    ) -> Result<Version, Error> {
        let statement = &self.sql.touch;
        let touched = self.write(conn, statement, id, expected, None).await?;
        touched.version(id, expected)
    }

    /// One compare-and-set of `row` at `expected`.
    pub(super) async fn set(
        &self,
        conn: &mut PgConnection,
        id: &T::Id,
        expected: Version,
        row: &T,
    ) -> Result<WriteOutcome<T>, Error> {
        let statement = &self.sql.update;
        let written = self.write(conn, statement, id, expected, Some(row));
        written.await?.verdict()
    }

    /// [`set`](Self::set) that commits by itself.
    pub(super) async fn set_alone(
        &self,
        conn: &mut PgConnection,
        id: &T::Id,
        expected: Version,
        row: &T,
    ) -> Result<WriteOutcome<T>, Error> {
        let statement = &self.sql.update;
        let written = self.write_alone(conn, statement, id, expected, Some(row));
        // Only a row that was written can fail to be read here.
        let written = written.await?.verdict();
        written.map_err(|error| error.after(true))
    }

    /// A [`write`](Self::write) that commits by itself. Above READ COMMITTED the database only says that
    /// it aborted the statement; who won is asked for in a transaction of its own.
    async fn write_alone(
        &self,
        conn: &mut PgConnection,
        statement: &SqlStr,
        id: &T::Id,
        expected: Version,
        row: Option<&T>,
    ) -> Result<Written<T>, Error> {
        match self.write(conn, statement, id, expected, row).await {
            Err(error) if error.kind() == ErrorKind::Serialization => {
                match self.look(conn, id, expected).await? {
                    Some(outcome) => Ok(Written::Not(outcome)),
                    None => Err(error),
                }
            }
            // The statement failed, and with it nothing else.
            Err(error) if error.kind() == ErrorKind::Suppressed => {
                Ok(Written::Not(WriteOutcome::Suppressed))
            }
            result => result,
        }
    }

    /// A write alone that returns the version.
    async fn version_alone(
        &self,
        statement: &SqlStr,
        id: &T::Id,
        expected: Version,
    ) -> Result<Version, Error> {
        let write = async |conn: &mut PgConnection| {
            let written = self.write_alone(conn, statement, id, expected, None);
            written.await?.version(id, expected)
        };
        counted::<T, _>(self.run(write).await, |_| &[])
    }

    /// A write whose guard is `$1` id and `$2` expected. A miss is asked after in a second
    /// statement: one statement alone would answer from the snapshot in which it lost.
    async fn write(
        &self,
        conn: &mut PgConnection,
        statement: &SqlStr,
        id: &T::Id,
        expected: Version,
        row: Option<&T>,
    ) -> Result<Written<T>, Error> {
        // Twice, before a row at the expected version is called suppressed: it may have been
        // inserted between the two statements.
        for _ in 0..2 {
            let mut arguments = PgArguments::default();
            add(&mut arguments, id)?;
            add(&mut arguments, expected)?;
            if let Some(row) = row {
                row.bind(&mut arguments).map_err(unencodable)?;
            }
            let written = sqlx::query_with(statement.clone(), arguments)
                .fetch_optional(&mut *conn)
                .await
                .map_err(|error| match Broken::of(&error) {
                    Some((Broken::Suppressed, _)) => Error::suppressed::<T>(id),
                    Some((Broken::Several, _)) => Error::several::<T>(id),
                    _ => Error::of_write::<T>(error, id, expected),
                })?;
            if let Some(written) = written {
                return Ok(Written::Row(written));
            }
            if let Some(verdict) = self.look(conn, id, expected).await? {
                return Ok(Written::Not(verdict));
            }
        }
        Ok(Written::Not(WriteOutcome::Suppressed))
    }

    /// Why a write at `expected` found no row: stale or gone, or `None` when it is there as expected.
    async fn look(
        &self,
        conn: &mut PgConnection,
        id: &T::Id,
        expected: Version,
    ) -> Result<Option<WriteOutcome<T>>, Error> {
        Ok(match self.find_in(conn, id).await? {
            None => Some(WriteOutcome::NotFound),
            Some(current) if current.version() != expected => Some(WriteOutcome::Stale(current)),
            Some(_) => None,
        })
    }
}

/// What a guarded statement returned, or why it wrote nothing.
enum Written<T> {
    Row(PgRow),
    Not(WriteOutcome<T>),
}

impl<T: PgVersioned> Written<T> {
    /// Of a statement that returns the row.
    fn verdict(self) -> Result<WriteOutcome<T>, Error> {
        match self {
            Self::Row(row) => Ok(WriteOutcome::Written(T::from_row(&row)?)),
            Self::Not(verdict) => Ok(verdict),
        }
    }

    /// Of a statement that returns the version.
    fn version(self, id: &T::Id, expected: Version) -> Result<Version, Error> {
        match self {
            Self::Row(row) => Ok(row.try_get(0)?),
            Self::Not(verdict) => verdict.written(id, expected).map(|row| row.version()),
        }
    }
}

/// Counts the conflicts and unknown outcomes that a single attempt, alone, hands to its caller.
pub(super) fn counted<T: PgVersioned, R>(
    result: Result<R, Error>,
    verdicts: fn(&R) -> &[WriteOutcome<T>],
) -> Result<R, Error> {
    #[cfg(feature = "metrics")]
    match &result {
        Ok(answer) => {
            let stale = |verdict: &&WriteOutcome<T>| matches!(verdict, WriteOutcome::Stale(_));
            for _ in verdicts(answer).iter().filter(stale) {
                crate::metrics::conflict(T::ENTITY, true);
            }
        }
        Err(error) if error.is_conflict() => crate::metrics::conflict(T::ENTITY, true),
        Err(error) if error.is_unknown() => crate::metrics::unknown_outcome(T::ENTITY),
        Err(_) => {}
    }
    #[cfg(not(feature = "metrics"))]
    let _ = verdicts;
    result
}
