//! Reads of one row, with and without a lock.

#[cfg(doc)]
use crate::postgres::ErrorKind;
use sqlx::{
    PgConnection, Row, SqlStr,
    postgres::{PgArguments, PgRow},
};

use super::{PgRepository, add_id};
use crate::{
    Conflict, Version,
    postgres::{error::Error, row::PgVersioned},
};

impl<T: PgVersioned> PgRepository<T> {
    /// Returns the row, or `None` if there is none with this id.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] and [`ErrorKind::Database`].
    pub async fn find(&self, id: &T::Id) -> Result<Option<T>, Error> {
        self.run(async |conn: &mut PgConnection| self.find_in(conn, id).await)
            .await
    }

    /// Runs [`find`](Self::find) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of [`find`](Self::find).
    pub async fn find_in(&self, conn: &mut PgConnection, id: &T::Id) -> Result<Option<T>, Error> {
        let found = fetch::<T>(conn, &self.sql.find, id).await?;
        Ok(found.map(|found| T::from_row(&found)).transpose()?)
    }

    /// Returns the row.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], and those of [`find`](Self::find).
    pub async fn get(&self, id: &T::Id) -> Result<T, Error> {
        let found = self.find(id).await?;
        found.ok_or_else(|| Error::not_found::<T>(id))
    }

    /// Runs [`get`](Self::get) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    pub async fn get_in(&self, conn: &mut PgConnection, id: &T::Id) -> Result<T, Error> {
        let found = self.find_in(conn, id).await?;
        found.ok_or_else(|| Error::not_found::<T>(id))
    }

    /// Returns the row if it is still at `expected`: the version that a client has seen.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if the row has moved on, and those of [`get`](Self::get).
    pub async fn get_at(&self, id: &T::Id, expected: Version) -> Result<T, Error> {
        let row = self.get(id).await?;
        check_current::<T>(id, expected, row.version())?;
        Ok(row)
    }

    /// Runs [`get_at`](Self::get_at) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of [`get_at`](Self::get_at).
    pub async fn get_at_in(
        &self,
        conn: &mut PgConnection,
        id: &T::Id,
        expected: Version,
    ) -> Result<T, Error> {
        let row = self.get_in(conn, id).await?;
        check_current::<T>(id, expected, row.version())?;
        Ok(row)
    }

    /// Returns the row and locks it until the caller's transaction ends: other writers of the row wait.
    /// Inserts of rows that reference it do not wait (`FOR NO KEY UPDATE`).
    ///
    /// To avoid deadlocks, lock several rows in the same order everywhere, for instance by id.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Suppressed`] if a policy lets this role read the row and not
    /// write it; above READ COMMITTED [`ErrorKind::Serialization`] if the row was written since the
    /// transaction's snapshot.
    pub async fn lock_in(&self, conn: &mut PgConnection, id: &T::Id) -> Result<T, Error> {
        let locked = self.locked(conn, &self.sql.lock, id).await?;
        Ok(T::from_row(&locked)?)
    }

    /// Asserts that the row is at `expected`, and keeps it there until the caller's transaction ends.
    ///
    /// For a row that a decision depends on and does not change, such as the price list behind an order.
    /// Writers of the row wait. Several transactions may assert the same row at the same time
    /// (`FOR SHARE`). If the same transaction writes the row later, use [`lock_in`](Self::lock_in) or
    /// [`touch_in`](Self::touch_in) instead: two transactions that share a row and then write it deadlock.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if the row has moved on, and those of [`lock_in`](Self::lock_in).
    pub async fn assert_current_in(
        &self,
        conn: &mut PgConnection,
        id: &T::Id,
        expected: Version,
    ) -> Result<(), Error> {
        let locked = self.locked(conn, &self.sql.share, id).await?;
        check_current::<T>(id, expected, locked.try_get(0)?)
    }

    /// Returns the answer of a statement that locks a row. If it has found no row, a second statement reads
    /// it: a row that can be read and not locked is protected by a policy. Twice, as the row may have been
    /// inserted between the two statements.
    async fn locked(
        &self,
        conn: &mut PgConnection,
        statement: &SqlStr,
        id: &T::Id,
    ) -> Result<PgRow, Error> {
        for _ in 0..2 {
            if let Some(locked) = fetch::<T>(conn, statement, id).await? {
                return Ok(locked);
            }
            if self.find_in(conn, id).await?.is_none() {
                return Err(Error::not_found::<T>(id));
            }
        }
        Err(Error::suppressed::<T>(id))
    }
}

async fn fetch<T: PgVersioned>(
    conn: &mut PgConnection,
    statement: &SqlStr,
    id: &T::Id,
) -> Result<Option<PgRow>, Error> {
    let mut arguments = PgArguments::default();
    add_id::<T>(&mut arguments, id)?;
    sqlx::query_with(statement.clone(), arguments)
        .fetch_optional(conn)
        .await
        .map_err(Error::before)
}

fn check_current<T: PgVersioned>(
    id: &T::Id,
    expected: Version,
    actual: Version,
) -> Result<(), Error> {
    if actual == expected {
        return Ok(());
    }
    Err(Conflict::new(T::ENTITY, id, expected, actual).into())
}
