use std::{fmt, marker::PhantomData, sync::Arc};

use sqlx::{
    Arguments, Encode, PgConnection, PgPool, Postgres, Row, SqlStr, Type,
    error::BoxDynError,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
};

use super::{Error, PgVersioned, Verdict, heat::Heat, is_read_only, sql::Statements};
use crate::{Conflict, Version};

/// The rows of one table, each written only by who has read its current version.
///
/// Cheap to clone. Every operation also comes as `.._in`, for the caller's own connection or
/// transaction: it commits nothing there, and its errors of class
/// [`Conflict`](crate::Class::Conflict) want that transaction run again, as
/// [`transact`](super::transact()) does. The others take a connection from the pool and commit by
/// themselves, in whatever isolation level the session has.
///
/// Operations change nothing of what they are given: they return the row as the database has it.
///
/// ```no_run
/// use optilock::{RetryPolicy, Version, postgres::{Error, PgRepository}, sqlx, versioned_row};
///
/// #[derive(Debug, sqlx::FromRow)]
/// struct Account { id: i64, owner: String, cents: i64, version: Version }
///
/// versioned_row! { Account in "bank.accounts" {
///     entity: "account", id: id: i64, version: version, columns: [owner, cents],
/// } }
///
/// # async fn doc(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
/// let accounts = PgRepository::<Account>::new(pool);
/// accounts.verify().await?; // at start-up: does the table fit?
///
/// // Read, decide, write: refused if somebody wrote in between.
/// let mut account = accounts.get(&7).await?;
/// account.owner = "Ana".to_owned();
/// match accounts.update(&account).await {
///     Ok(written) => assert!(written.version > account.version),
///     Err(error) if error.is_conflict() => println!("{error}: read again"),
///     Err(error) => return Err(error.into()),
/// }
///
/// // Or have it read, changed and written until it is through.
/// let (account, _) = accounts
///     .modify(&RetryPolicy::new(), &7, |account| {
///         account.cents += 500;
///         Ok::<_, Error>(())
///     })
///     .await?;
/// # Ok(()) }
/// ```
pub struct PgRepository<T> {
    pub(super) pool: PgPool,
    pub(super) sql: Arc<Statements>,
    pub(super) heat: Arc<Heat>,
    row: PhantomData<fn() -> T>,
}

impl<T> Clone for PgRepository<T> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            sql: Arc::clone(&self.sql),
            heat: Arc::clone(&self.heat),
            row: PhantomData,
        }
    }
}

impl<T: PgVersioned> fmt::Debug for PgRepository<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgRepository")
            .field("table", &T::TABLE)
            .finish_non_exhaustive()
    }
}

impl<T: PgVersioned> PgRepository<T> {
    /// The rows of `T`'s table, through this pool. Asks the database nothing yet.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            sql: Arc::new(Statements::of::<T>()),
            heat: Arc::new(Heat::new()),
            row: PhantomData,
        }
    }

    /// Inserts `row`, at the version it has, and returns it as the database made it.
    ///
    /// A new row usually has [`Version::FIRST`]. One that takes the place of a deleted row should go
    /// on from that one's version: otherwise who had read the old row at version 1 could write the
    /// new one.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`] when the id or another unique key is taken.
    pub async fn insert(&self, row: &T) -> Result<T, Error> {
        let mut conn = self.acquire().await?;
        let result = self.insert_in(&mut conn, row).await;
        counted::<T, _>(released(conn, result), |_| &[])
    }

    /// [`insert`](Self::insert) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// As there. PostgreSQL aborts a transaction in which a key was taken.
    pub async fn insert_in(&self, conn: &mut PgConnection, row: &T) -> Result<T, Error> {
        let mut arguments = PgArguments::default();
        if !T::GENERATED_ID {
            add(&mut arguments, row.id())?;
        }
        add(&mut arguments, row.version())?;
        row.bind(&mut arguments).map_err(unencodable)?;
        let inserted = sqlx::query_with(self.sql.insert.clone(), arguments)
            .fetch_optional(conn)
            .await
            .map_err(|error| Error::of_insert::<T>(error, row.id()))?;
        match inserted {
            Some(inserted) => Ok(T::from_row(&inserted)?),
            None => Err(Error::suppressed::<T>(row.id())),
        }
    }

    /// The row, if it is there.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] and [`Error::Database`].
    pub async fn find(&self, id: &T::Id) -> Result<Option<T>, Error> {
        self.find_in(&mut *self.acquire().await?, id).await
    }

    /// [`find`](Self::find) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn find_in(&self, conn: &mut PgConnection, id: &T::Id) -> Result<Option<T>, Error> {
        let found = fetch(conn, &self.sql.find, id).await?;
        Ok(found.map(|found| T::from_row(&found)).transpose()?)
    }

    /// The row.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    pub async fn get(&self, id: &T::Id) -> Result<T, Error> {
        self.get_in(&mut *self.acquire().await?, id).await
    }

    /// [`get`](Self::get) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn get_in(&self, conn: &mut PgConnection, id: &T::Id) -> Result<T, Error> {
        let found = self.find_in(conn, id).await?;
        found.ok_or_else(|| Error::not_found::<T>(id))
    }

    /// The row, if it is still at `expected`: to go on from what a client saw earlier.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when it moved on, [`Error::NotFound`].
    pub async fn get_at(&self, id: &T::Id, expected: Version) -> Result<T, Error> {
        self.get_at_in(&mut *self.acquire().await?, id, expected)
            .await
    }

    /// [`get_at`](Self::get_at) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn get_at_in(
        &self,
        conn: &mut PgConnection,
        id: &T::Id,
        expected: Version,
    ) -> Result<T, Error> {
        let row = self.get_in(conn, id).await?;
        current::<T>(id, expected, row.version())?;
        Ok(row)
    }

    /// The row, locked until the caller's transaction ends: whoever else wants to write it waits.
    /// Inserts of rows that reference it do not (`FOR NO KEY UPDATE`).
    ///
    /// Lock several rows in one order everywhere, say by id, or deadlocks come of it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; above READ COMMITTED [`Error::Serialization`] when the row was written
    /// since the transaction's snapshot.
    pub async fn lock_in(&self, conn: &mut PgConnection, id: &T::Id) -> Result<T, Error> {
        let found = fetch(conn, &self.sql.lock, id).await?;
        let found = found.ok_or_else(|| Error::not_found::<T>(id))?;
        Ok(T::from_row(&found)?)
    }

    /// Asserts that the row is at `expected` and stays there until the caller's transaction ends.
    ///
    /// For what a decision depends on and does not change: the price list behind an order. Writers
    /// of the row wait; others may assert the same at once (`FOR SHARE`). Who wants to write the row
    /// later in the same transaction uses [`lock_in`](Self::lock_in) or [`touch_in`](Self::touch_in)
    /// instead: two that share a row and then both write it deadlock.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when it moved on, [`Error::NotFound`]; above READ COMMITTED
    /// [`Error::Serialization`].
    pub async fn assert_current_in(
        &self,
        conn: &mut PgConnection,
        id: &T::Id,
        expected: Version,
    ) -> Result<(), Error> {
        let found = fetch(conn, &self.sql.share, id).await?;
        let found = found.ok_or_else(|| Error::not_found::<T>(id))?;
        current::<T>(id, expected, found.try_get(0)?)
    }

    /// Writes `row` if the database still has it at `row.version()`, and returns it as it is then,
    /// one version later. One round trip when it wins, two when it loses.
    ///
    /// It writes all of its columns, also when nothing changed: the version grows all the same.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when somebody was faster, [`Error::NotFound`] when the row is gone,
    /// [`Error::Suppressed`], [`Error::VersionExhausted`]; [`Error::Unknown`] when the connection
    /// was lost meanwhile.
    ///
    /// A decode error in [`Error::Database`] comes after the write: the row that a trigger or a
    /// default made does not fit the struct. [`verify`](Self::verify) finds that earlier.
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
    pub async fn update_in(&self, conn: &mut PgConnection, row: &T) -> Result<T, Error> {
        let verdict = self.compare_and_set_in(conn, row).await?;
        verdict.written(row.id(), row.version())
    }

    /// [`update`](Self::update), with the answer as data: who loses gets the current row.
    ///
    /// # Errors
    ///
    /// As there, save what is a [`Verdict`].
    pub async fn compare_and_set(&self, row: &T) -> Result<Verdict<T>, Error> {
        let mut conn = self.acquire().await?;
        let result = self
            .set_alone(&mut conn, row.id(), row.version(), row)
            .await;
        counted::<T, _>(released(conn, result), std::slice::from_ref)
    }

    /// [`compare_and_set`](Self::compare_and_set) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// As for [`update_in`](Self::update_in), save what is a [`Verdict`].
    pub async fn compare_and_set_in(
        &self,
        conn: &mut PgConnection,
        row: &T,
    ) -> Result<Verdict<T>, Error> {
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
        let mut conn = self.acquire().await?;
        let result = self.delete_in(&mut conn, id, expected).await;
        let result = self.or_look(&mut conn, id, expected, result).await;
        counted::<T, _>(released(conn, result), |_| &[])
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
        match self.write(conn, statement, id, expected, None).await? {
            Written::Row(_) => Ok(()),
            Written::Not(verdict) => verdict.written(id, expected).map(drop),
        }
    }

    /// Counts the row's version up and changes nothing else, if it is still at `expected`; returns
    /// the new version.
    ///
    /// It guards an aggregate: whoever writes an order's lines touches the order in the same
    /// transaction, and two that do so at once meet there. See the
    /// [guide](crate::guide::rows).
    ///
    /// # Errors
    ///
    /// As for [`update`](Self::update).
    pub async fn touch(&self, id: &T::Id, expected: Version) -> Result<Version, Error> {
        let mut conn = self.acquire().await?;
        let result = self.touch_in(&mut conn, id, expected).await;
        let result = self.or_look(&mut conn, id, expected, result).await;
        counted::<T, _>(released(conn, result), |_| &[])
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
        match self.write(conn, statement, id, expected, None).await? {
            Written::Row(row) => Ok(row.try_get(0)?),
            Written::Not(verdict) => verdict.written(id, expected).map(|row| row.version()),
        }
    }

    /// A connection for one operation.
    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>, Error> {
        self.pool.acquire().await.map_err(Error::before)
    }

    /// One compare-and-set of `row` at `expected`.
    pub(super) async fn set(
        &self,
        conn: &mut PgConnection,
        id: &T::Id,
        expected: Version,
        row: &T,
    ) -> Result<Verdict<T>, Error> {
        let statement = &self.sql.update;
        match self.write(conn, statement, id, expected, Some(row)).await? {
            Written::Row(row) => Ok(Verdict::Written(T::from_row(&row)?)),
            Written::Not(verdict) => Ok(verdict),
        }
    }

    /// [`set`](Self::set) that commits by itself.
    pub(super) async fn set_alone(
        &self,
        conn: &mut PgConnection,
        id: &T::Id,
        expected: Version,
        row: &T,
    ) -> Result<Verdict<T>, Error> {
        match self.set(conn, id, expected, row).await {
            Err(Error::Serialization(error)) => match self.look(conn, id, expected).await? {
                Some(verdict) => Ok(verdict),
                None => Err(Error::Serialization(error)),
            },
            result => result,
        }
    }

    /// What a lost race is called, where the database only said that it aborted the statement: above
    /// READ COMMITTED it does not tell who lost to which version. For writes that commit by
    /// themselves, so that asking is a transaction of its own.
    async fn or_look<R>(
        &self,
        conn: &mut PgConnection,
        id: &T::Id,
        expected: Version,
        result: Result<R, Error>,
    ) -> Result<R, Error> {
        if let Err(Error::Serialization(_)) = &result
            && let Some(verdict) = self.look(conn, id, expected).await?
        {
            verdict.written(id, expected)?;
        }
        result
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
                .map_err(|error| Error::of_write::<T>(error, id, expected))?;
            if let Some(written) = written {
                return Ok(Written::Row(written));
            }
            if let Some(verdict) = self.look(conn, id, expected).await? {
                return Ok(Written::Not(verdict));
            }
        }
        Ok(Written::Not(Verdict::Suppressed))
    }

    /// Why a write at `expected` found no row: stale or gone, or `None` when it is there as expected.
    async fn look(
        &self,
        conn: &mut PgConnection,
        id: &T::Id,
        expected: Version,
    ) -> Result<Option<Verdict<T>>, Error> {
        Ok(match self.find_in(conn, id).await? {
            None => Some(Verdict::Gone),
            Some(current) if current.version() != expected => Some(Verdict::Stale(current)),
            Some(_) => None,
        })
    }
}

enum Written<T> {
    Row(PgRow),
    Not(Verdict<T>),
}

/// A connection on its way back to the pool; closed when it leads to a server that no longer takes
/// writes, as after a failover.
pub(super) fn released<R>(
    mut conn: PoolConnection<Postgres>,
    result: Result<R, Error>,
) -> Result<R, Error> {
    if matches!(&result, Err(Error::Busy { source, .. }) if is_read_only(source)) {
        conn.close_on_drop();
    }
    result
}

/// Counts the conflicts and unknown outcomes that a single attempt, alone, hands to its caller.
pub(super) fn counted<T: PgVersioned, R>(
    result: Result<R, Error>,
    verdicts: fn(&R) -> &[Verdict<T>],
) -> Result<R, Error> {
    #[cfg(feature = "metrics")]
    match &result {
        Ok(answer) => {
            let stale = |verdict: &&Verdict<T>| matches!(verdict, Verdict::Stale(_));
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

async fn fetch<I>(
    conn: &mut PgConnection,
    statement: &SqlStr,
    id: &I,
) -> Result<Option<PgRow>, Error>
where
    I: for<'q> Encode<'q, Postgres> + Type<Postgres>,
{
    let mut arguments = PgArguments::default();
    add(&mut arguments, id)?;
    sqlx::query_with(statement.clone(), arguments)
        .fetch_optional(conn)
        .await
        .map_err(Error::before)
}

fn current<T: PgVersioned>(id: &T::Id, expected: Version, actual: Version) -> Result<(), Error> {
    if actual == expected {
        return Ok(());
    }
    Err(Conflict::new(T::ENTITY, id, expected, actual).into())
}

pub(super) fn add<'v, V>(arguments: &mut PgArguments, value: V) -> Result<(), Error>
where
    V: Encode<'v, Postgres> + Type<Postgres>,
{
    arguments.add(value).map_err(unencodable)
}

pub(super) fn unencodable(error: BoxDynError) -> Error {
    Error::Database(sqlx::Error::Encode(error))
}
