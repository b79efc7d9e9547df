use std::{fmt, marker::PhantomData, sync::Arc};

use sqlx::{
    Arguments, Encode, PgConnection, PgPool, Postgres, Row, SqlStr, Type,
    error::BoxDynError,
    postgres::{PgArguments, PgRow},
};

use super::{
    Error, PgVersioned, TxOperation, error::Repr, hot_rows::HotRows, on_connection, sql::Statements,
};
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
///     .modify::<_, Error>(&RetryPolicy::new(), &7, |account| {
///         account.cents += 500;
///         Ok(())
///     })
///     .await?;
/// # Ok(()) }
/// ```
pub struct PgRepository<T> {
    pub(super) pool: PgPool,
    pub(super) sql: Arc<Statements>,
    pub(super) heat: Arc<HotRows>,
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
            heat: Arc::new(HotRows::new()),
            row: PhantomData,
        }
    }

    /// The row, if it is there.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] and [`Error::Database`].
    pub async fn find(&self, id: &T::Id) -> Result<Option<T>, Error> {
        self.run(async |conn: &mut PgConnection| self.find_in(conn, id).await)
            .await
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
        self.run(async |conn: &mut PgConnection| self.get_in(conn, id).await)
            .await
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
        self.run(async |conn: &mut PgConnection| self.get_at_in(conn, id, expected).await)
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
    /// [`Error::NotFound`]; [`Error::Suppressed`] when a policy lets this role read the row and not
    /// write it; above READ COMMITTED [`Error::Serialization`] when the row was written since the
    /// transaction's snapshot.
    pub async fn lock_in(&self, conn: &mut PgConnection, id: &T::Id) -> Result<T, Error> {
        let locked = self.locked(conn, &self.sql.lock, id).await?;
        Ok(T::from_row(&locked)?)
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
    /// [`Error::Conflict`] when it moved on, and as [`lock_in`](Self::lock_in).
    pub async fn assert_current_in(
        &self,
        conn: &mut PgConnection,
        id: &T::Id,
        expected: Version,
    ) -> Result<(), Error> {
        let locked = self.locked(conn, &self.sql.share, id).await?;
        current::<T>(id, expected, locked.try_get(0)?)
    }

    /// What a statement that locks a row returned. A miss is asked after: a row that can be read and
    /// not locked is protected by a policy. Twice, as it may have been inserted in between.
    async fn locked(
        &self,
        conn: &mut PgConnection,
        statement: &SqlStr,
        id: &T::Id,
    ) -> Result<PgRow, Error> {
        for _ in 0..2 {
            if let Some(locked) = fetch(conn, statement, id).await? {
                return Ok(locked);
            }
            if self.find_in(conn, id).await?.is_none() {
                return Err(Error::not_found::<T>(id));
            }
        }
        Err(Error::suppressed::<T>(id))
    }

    /// An operation that commits directly.
    pub(super) async fn run<R, F>(&self, op: F) -> Result<R, Error>
    where
        F: for<'c> TxOperation<&'c mut PgConnection, Result<R, Error>>,
    {
        on_connection(&self.pool, op).await
    }
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

/// Whether the row is at the version that it should be at.
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
    Repr::Database(sqlx::Error::Encode(error)).into()
}
