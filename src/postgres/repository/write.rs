//! Writes of one row: insert, update, delete, touch.

#[cfg(doc)]
use crate::postgres::ErrorKind;
use sqlx::{
    PgConnection,
    postgres::{PgArguments, PgRow},
};

use super::{
    PgRepository, add, add_id,
    guarded::{Write, counted},
    outcome::WriteOutcome,
    unencodable,
};
use crate::{
    Version,
    postgres::{error::Error, row::PgVersioned},
};

impl<T: PgVersioned> PgRepository<T> {
    /// Inserts `row` at the version that it has, and returns it as the database made it.
    ///
    /// A new row usually has [`Version::FIRST`], or [`Version::ZERO`] in a table whose versions begin at 0. If the row takes the place of a deleted one, its version
    /// should continue that of the deleted row: otherwise a writer that read the old row at version 1 could
    /// write the new one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] if the id or another unique key is taken; [`ErrorKind::Suppressed`];
    /// [`ErrorKind::Unknown`] if the connection was lost during the insert.
    pub async fn insert(&self, row: &T) -> Result<T, Error> {
        let insert = async |conn: &mut PgConnection| {
            let inserted = self.insert_row(conn, row).await?;
            T::from_row(&inserted).map_err(|error| Error::from(error).after(true))
        };
        counted::<T, _>(self.run(insert).await, |_| &[])
    }

    /// Runs [`insert`](Self::insert) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of [`insert`](Self::insert). If a key was taken, PostgreSQL aborts the transaction.
    pub async fn insert_in(&self, conn: &mut PgConnection, row: &T) -> Result<T, Error> {
        Ok(T::from_row(&self.insert_row(conn, row).await?)?)
    }

    async fn insert_row(&self, conn: &mut PgConnection, row: &T) -> Result<PgRow, Error> {
        let mut arguments = PgArguments::default();
        if !T::GENERATED_ID {
            add_id::<T>(&mut arguments, row.id())?;
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

    /// Writes `row` if the database still has it at `row.version()`, and returns the written row, one
    /// version later. A write takes one round trip, a conflict two.
    ///
    /// All columns are written and the version grows, also if nothing has changed.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Conflict`] if another writer was faster, [`ErrorKind::NotFound`] if the row does not exist;
    /// - [`ErrorKind::AlreadyExists`] if the row would take the unique key of another row;
    /// - [`ErrorKind::Suppressed`]; [`ErrorKind::VersionExhausted`];
    /// - [`ErrorKind::SchemaMismatch`] if the id names several rows;
    /// - [`ErrorKind::Unknown`] if the connection was lost during the write. With all other errors, nothing is
    ///   stored.
    ///
    /// A decode error in [`ErrorKind::Unknown`] occurred after the write: a value that a trigger or a default
    /// made does not fit the struct. This holds for every operation that returns a row. In the caller's
    /// transaction it is an [`ErrorKind::Database`]. [`verify`](Self::verify) finds such columns at start-up.
    pub async fn update(&self, row: &T) -> Result<T, Error> {
        let outcome = self.compare_and_set(row).await?;
        outcome.written(row.id(), row.version())
    }

    /// Runs [`update`](Self::update) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of [`update`](Self::update). Above READ COMMITTED, [`ErrorKind::Serialization`] if another writer
    /// was faster: the database then aborts the transaction, and the current version can't be read.
    ///
    /// [`ErrorKind::SchemaMismatch`], [`ErrorKind::AlreadyExists`], [`ErrorKind::VersionExhausted`], and an
    /// [`ErrorKind::Suppressed`] by a trigger that left the version unchanged, abort the transaction as well:
    /// the statement has failed. Roll back, or write in a savepoint.
    pub async fn update_in(&self, conn: &mut PgConnection, row: &T) -> Result<T, Error> {
        let outcome = self.compare_and_set_in(conn, row).await?;
        outcome.written(row.id(), row.version())
    }

    /// Runs an [`update`](Self::update) and returns its outcome as a value: after a conflict, the current
    /// row.
    ///
    /// # Errors
    ///
    /// Those of [`update`](Self::update) that are not a [`WriteOutcome`].
    pub async fn compare_and_set(&self, row: &T) -> Result<WriteOutcome<T>, Error> {
        let set = async |conn: &mut PgConnection| {
            let write = self.update_of(row.id(), row.version(), row);
            self.set_directly(conn, write).await
        };
        counted::<T, _>(self.run(set).await, std::slice::from_ref)
    }

    /// Runs [`compare_and_set`](Self::compare_and_set) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of [`update_in`](Self::update_in) that are not a [`WriteOutcome`]. If a trigger left the
    /// version unchanged, the result is [`ErrorKind::Suppressed`] and no outcome: the transaction is aborted.
    pub async fn compare_and_set_in(
        &self,
        conn: &mut PgConnection,
        row: &T,
    ) -> Result<WriteOutcome<T>, Error> {
        let write = self.update_of(row.id(), row.version(), row);
        self.set(conn, write).await
    }

    /// Deletes the row if it is still at `expected`.
    ///
    /// If the row is inserted again later, see [`insert`](Self::insert).
    ///
    /// # Errors
    ///
    /// Those of [`update`](Self::update).
    pub async fn delete(&self, id: &T::Id, expected: Version) -> Result<(), Error> {
        let delete = Write::without_row(&self.sql.delete, id, expected);
        self.version_directly(delete).await.map(drop)
    }

    /// Runs [`delete`](Self::delete) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of [`update_in`](Self::update_in).
    pub async fn delete_in(
        &self,
        conn: &mut PgConnection,
        id: &T::Id,
        expected: Version,
    ) -> Result<(), Error> {
        let delete = Write::without_row(&self.sql.delete, id, expected);
        self.version(conn, delete).await.map(drop)
    }

    /// Increments the row's version without writing its columns, if it is still at `expected`, and returns
    /// the new version. Columns in `on_update` are set.
    ///
    /// It guards an aggregate: a transaction that writes the lines of an order also touches the order, and
    /// two such transactions conflict there. See the [guide](crate::guide::rows).
    ///
    /// # Errors
    ///
    /// Those of [`update`](Self::update).
    pub async fn touch(&self, id: &T::Id, expected: Version) -> Result<Version, Error> {
        let touch = Write::without_row(&self.sql.touch, id, expected);
        self.version_directly(touch).await
    }

    /// Runs [`touch`](Self::touch) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of [`update_in`](Self::update_in).
    pub async fn touch_in(
        &self,
        conn: &mut PgConnection,
        id: &T::Id,
        expected: Version,
    ) -> Result<Version, Error> {
        let touch = Write::without_row(&self.sql.touch, id, expected);
        self.version(conn, touch).await
    }
}
