//! Writes of many rows that exist in one statement, with an outcome for each.

use sqlx::{
    Connection, PgConnection, SqlStr,
    postgres::{PgArguments, PgBindIterExt, PgRow},
};

use super::{
    PgRepository, add,
    guarded::counted,
    outcome::WriteOutcome,
    outcomes::{Call, Outcomes, is_written, place},
    unencodable,
};
use crate::{
    Attempt, Version,
    postgres::{
        classify::is_stale_plan,
        error::{Error, ErrorKind},
        row::PgVersioned,
        transaction::{READ_COMMITTED, attempt},
    },
    retry::Operation,
};

/// What [`update_all`](PgRepository::update_all) and [`delete_all`](PgRepository::delete_all) do if some of
/// their rows can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bulk {
    /// Writes every row or none. Rows that could have been written are [`WriteOutcome::Skipped`].
    AllOrNothing,
    /// Writes every row that is current, whatever the outcome of the others.
    Each,
}

impl<T: PgVersioned> PgRepository<T> {
    /// The maximum number of rows in one call of [`update_all`](Self::update_all), [`insert_all`](Self::insert_all),
    /// [`upsert_all`](Self::upsert_all) or [`delete_all`](Self::delete_all).
    pub const MAX_ROWS: usize = 10_000;

    /// Writes many rows in one statement, each if the database still has it at its version. Returns one
    /// [`WriteOutcome`] per row, in the order given.
    ///
    /// Rows are locked in the order of their ids, so that calls with overlapping rows wait for each
    /// other and do not deadlock. If the database aborts the statement because of the session's isolation
    /// level, it runs again at READ COMMITTED.
    ///
    /// ```no_run
    /// use optilock::postgres::{Bulk, PgRepository, WriteOutcome};
    /// # use optilock::{Version, sqlx, versioned_row};
    /// # #[derive(sqlx::FromRow)]
    /// # struct Account { id: i64, cents: i64, version: Version }
    /// # versioned_row! { Account in "accounts" { entity: "account", id: id: i64, version: version, columns: [cents] } }
    ///
    /// # async fn doc(accounts: PgRepository<Account>, changed: Vec<Account>) -> Result<(), optilock::postgres::Error> {
    /// for outcome in accounts.update_all(&changed, Bulk::Each).await? {
    ///     match outcome {
    ///         WriteOutcome::Written(account) => println!("{}: version {}", account.id, account.version),
    ///         WriteOutcome::Stale(current) => println!("{}: another writer was faster", current.id),
    ///         other => println!("{other:?}"),
    ///     }
    /// }
    /// # Ok(()) }
    /// # impl std::fmt::Debug for Account { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::TooManyRows`];
    /// - [`ErrorKind::RepeatedId`], also for ids that only the database compares as equal (`ana` and `ANA` under
    ///   a case-insensitive collation);
    /// - [`ErrorKind::Suppressed`] with [`Bulk::AllOrNothing`] if a trigger suppressed one of the writes, and in
    ///   either mode if a trigger left the version of a row unchanged;
    /// - [`ErrorKind::SchemaMismatch`] if an id names several rows;
    /// - [`ErrorKind::AlreadyExists`] if a row would take the unique key of another row;
    /// - [`ErrorKind::VersionExhausted`] if a row is at the last version;
    /// - [`ErrorKind::Unknown`] if the connection was lost during the write. With all other errors, nothing is
    ///   written.
    pub async fn update_all(&self, rows: &[T], mode: Bulk) -> Result<Vec<WriteOutcome<T>>, Error> {
        let batch = self.updates(rows, mode);
        self.write_all(&batch).await
    }

    /// Runs [`update_all`](Self::update_all) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of [`update_all`](Self::update_all). Above READ COMMITTED, [`ErrorKind::Serialization`] if a row
    /// was written since the transaction's snapshot.
    pub async fn update_all_in(
        &self,
        conn: &mut PgConnection,
        rows: &[T],
        mode: Bulk,
    ) -> Result<Vec<WriteOutcome<T>>, Error> {
        let batch = self.updates(rows, mode);
        self.write_all_in(conn, &batch).await
    }

    /// Deletes many rows in one statement, each if the database still has it at its version. Returns one
    /// [`WriteOutcome`] per row, in the order given; [`WriteOutcome::Written`] has the row as it was.
    ///
    /// Rows are locked in the order of their ids, as by [`update_all`](Self::update_all). The role needs the
    /// right to update them as well, and a row-level policy for `UPDATE` has to permit it.
    ///
    /// ```no_run
    /// use optilock::postgres::{Bulk, PgRepository};
    /// # use optilock::{Version, sqlx, versioned_row};
    /// # #[derive(sqlx::FromRow)]
    /// # struct Account { id: i64, cents: i64, version: Version }
    /// # versioned_row! { Account in "accounts" { entity: "account", id: id: i64, version: version, columns: [cents] } }
    ///
    /// # async fn doc(accounts: PgRepository<Account>, read: Vec<Account>) -> Result<(), optilock::postgres::Error> {
    /// let closed: Vec<_> = read.iter().map(|account| (account.id, account.version)).collect();
    /// let outcomes = accounts.delete_all(&closed, Bulk::AllOrNothing).await?;
    /// let deleted = outcomes.iter().all(|outcome| outcome.is_written());
    /// # let _ = deleted;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::TooManyRows`]; [`ErrorKind::RepeatedId`]; [`ErrorKind::SchemaMismatch`] if an id names
    ///   several rows;
    /// - [`ErrorKind::Suppressed`] with [`Bulk::AllOrNothing`] if a trigger suppressed one of the deletions;
    /// - [`ErrorKind::Unknown`] if the connection was lost during the write. With all other errors, nothing is
    ///   deleted.
    pub async fn delete_all(
        &self,
        rows: &[(T::Id, Version)],
        mode: Bulk,
    ) -> Result<Vec<WriteOutcome<T>>, Error> {
        let batch = self.deletions(rows, mode);
        self.write_all(&batch).await
    }

    /// Runs [`delete_all`](Self::delete_all) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of [`delete_all`](Self::delete_all). Above READ COMMITTED, [`ErrorKind::Serialization`] if a row
    /// was written since the transaction's snapshot.
    pub async fn delete_all_in(
        &self,
        conn: &mut PgConnection,
        rows: &[(T::Id, Version)],
        mode: Bulk,
    ) -> Result<Vec<WriteOutcome<T>>, Error> {
        let batch = self.deletions(rows, mode);
        self.write_all_in(conn, &batch).await
    }

    fn updates<'a>(&'a self, rows: &'a [T], mode: Bulk) -> Batch<'a, T> {
        let rows: Vec<&T> = rows.iter().collect();
        Batch {
            statement: &self.sql.update_all,
            call: Call::of_rows(&rows),
            rows: Some(rows),
            mode,
        }
    }

    fn deletions<'a>(&'a self, rows: &'a [(T::Id, Version)], mode: Bulk) -> Batch<'a, T> {
        Batch {
            statement: &self.sql.delete_all,
            call: Call::of(rows.iter().map(|(id, expected)| (id, *expected))),
            rows: None,
            mode,
        }
    }

    async fn write_all(&self, batch: &Batch<'_, T>) -> Result<Vec<WriteOutcome<T>>, Error> {
        let write = async |conn: &mut PgConnection| self.write_all_directly(conn, batch).await;
        let result = self.run(write).await;
        let write = async |conn: &mut PgConnection, _| self.write_all_in(conn, batch).await;
        counted::<T, _>(self.or_locked(result, write).await, Vec::as_slice)
    }

    /// Returns the result of a call that commits directly. If the database aborted it because of the session's
    /// isolation level, runs the call in a transaction at READ COMMITTED.
    pub(super) async fn or_locked<R, F>(
        &self,
        result: Result<R, Error>,
        mut op: F,
    ) -> Result<R, Error>
    where
        F: for<'c> Operation<&'c mut PgConnection, Result<R, Error>>,
    {
        match result {
            Err(error) if error.kind() == ErrorKind::Serialization => {
                attempt(&self.pool, READ_COMMITTED, Attempt::FIRST, &mut op)
                    .await
                    .map_err(|failed| failed.error.settled(failed.class))
            }
            result => result,
        }
    }

    async fn write_all_in(
        &self,
        conn: &mut PgConnection,
        batch: &Batch<'_, T>,
    ) -> Result<Vec<WriteOutcome<T>>, Error> {
        let answers = batch.send(conn).await?;
        let mut outcomes = batch.read(&answers)?;
        self.explain(conn, batch, &mut outcomes).await?;
        Ok(outcomes.finish(|| WriteOutcome::NotFound))
    }

    /// Runs a [`write_all_in`](Self::write_all_in) that commits directly: once rows are written, no later
    /// error may say that nothing happened.
    async fn write_all_directly(
        &self,
        conn: &mut PgConnection,
        batch: &Batch<'_, T>,
    ) -> Result<Vec<WriteOutcome<T>>, Error> {
        let answers = batch.send(conn).await?;
        let wrote = answers.iter().any(is_written);
        let outcomes = batch.read(&answers);
        let mut outcomes = outcomes.map_err(|error| error.after(wrote))?;
        let mut explained = self.explain(conn, batch, &mut outcomes).await;
        // The schema changed after the batch: only the question is sent again.
        if let Err(error) = &explained
            && error.as_sqlx().is_some_and(is_stale_plan)
            && conn.clear_cached_statements().await.is_ok()
        {
            explained = self.explain(conn, batch, &mut outcomes).await;
        }
        explained.map_err(|error| error.after(wrote))?;
        Ok(outcomes.finish(|| WriteOutcome::NotFound))
    }

    /// Reads the rows that could not be locked. What a second statement does not see either is not found.
    async fn explain(
        &self,
        conn: &mut PgConnection,
        batch: &Batch<'_, T>,
        outcomes: &mut Outcomes<T>,
    ) -> Result<(), Error> {
        let missing = outcomes.missing();
        for found in self
            .of_ids(conn, &self.sql.find_all, &batch.call, &missing)
            .await?
        {
            let current = T::from_row(&found)?;
            let Some(&place) = missing.get(place(&found)?) else {
                continue;
            };
            let outcome = if current.version() == batch.call.versions[place] {
                WriteOutcome::Suppressed
            } else {
                WriteOutcome::Stale(current)
            };
            outcomes.set(place, outcome);
        }
        Ok(())
    }

    /// Sends a read of the rows at these places of a call, if there are any.
    pub(super) async fn of_ids(
        &self,
        conn: &mut PgConnection,
        statement: &SqlStr,
        call: &Call<'_, T>,
        places: &[usize],
    ) -> Result<Vec<PgRow>, Error> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<&T::Id> = places.iter().map(|&place| call.ids[place]).collect();
        let mut arguments = PgArguments::default();
        T::bind_ids(&ids, &mut arguments).map_err(unencodable)?;
        sqlx::query_with(statement.clone(), arguments)
            .fetch_all(conn)
            .await
            .map_err(Error::before)
    }
}

/// A write of many rows that exist.
struct Batch<'a, T: PgVersioned> {
    statement: &'a SqlStr,
    call: Call<'a, T>,
    /// The rows whose columns are written, if any are.
    rows: Option<Vec<&'a T>>,
    mode: Bulk,
}

impl<T: PgVersioned> Batch<'_, T> {
    /// Sends the batch as one statement.
    async fn send(&self, conn: &mut PgConnection) -> Result<Vec<PgRow>, Error> {
        let call = &self.call;
        call.check()?;
        let mut arguments = PgArguments::default();
        T::bind_ids(&call.ids, &mut arguments).map_err(unencodable)?;
        add(&mut arguments, call.versions.iter().bind_iter())?;
        add(&mut arguments, self.mode == Bulk::AllOrNothing)?;
        if let Some(rows) = &self.rows {
            T::bind_all(rows, &mut arguments).map_err(unencodable)?;
        }
        sqlx::query_with(self.statement.clone(), arguments)
            .fetch_all(conn)
            .await
            .map_err(|error| call.failed(error))
    }

    fn read(&self, answers: &[PgRow]) -> Result<Outcomes<T>, Error> {
        let rows = self.call.ids.len();
        let mut outcomes = Outcomes::new(rows);
        let places: Vec<usize> = (0..rows).collect();
        outcomes.read(&places, answers)?;
        Ok(outcomes)
    }
}
