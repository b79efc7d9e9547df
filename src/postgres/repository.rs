//! The rows of one table.

pub(super) mod bulk;
mod guarded;
mod insert_all;
mod modify;
pub(super) mod outcome;
mod outcomes;
mod read;
mod upsert;
mod verify;
mod write;

use std::{fmt, marker::PhantomData, sync::Arc};

use sqlx::{Arguments, Encode, PgConnection, PgPool, Postgres, Type, error::BoxDynError};

use super::{
    error::{Error, Repr},
    hot_rows::HotRows,
    row::PgVersioned,
    sql::Statements,
    transaction::{TxOperation, on_connection},
};

/// The rows of one table. A row is written only at the version that the caller has read.
///
/// Cheap to clone. Each operation also exists as `.._in`, for the caller's own connection or
/// transaction: it commits nothing there. If its error is of class
/// [`Conflict`](crate::Class::Conflict), the caller's transaction has to run again, as
/// [`transact`](super::transact()) does. The others take a connection from the pool, and each of their
/// statements commits directly, at the isolation level of the session.
///
/// Operations do not change their arguments: they return the row as the database has it.
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
/// // Read, decide, write: refused if another writer was faster.
/// let mut account = accounts.get(&7).await?;
/// account.owner = "Ana".to_owned();
/// match accounts.update(&account).await {
///     Ok(written) => assert!(written.version > account.version),
///     Err(error) if error.is_conflict() => println!("{error}: read again"),
///     Err(error) => return Err(error.into()),
/// }
///
/// // Or read, change and write, again after each conflict.
/// let (account, _) = accounts
///     .modify::<_, Error>(&RetryPolicy::new(), &7, |account| {
///         account.cents += 500;
///         Ok(())
///     })
///     .await?;
/// # Ok(()) }
/// ```
pub struct PgRepository<T> {
    pool: PgPool,
    sql: Arc<Statements>,
    hot_rows: Arc<HotRows>,
    row: PhantomData<fn() -> T>,
}

impl<T> Clone for PgRepository<T> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            sql: Arc::clone(&self.sql),
            hot_rows: Arc::clone(&self.hot_rows),
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
    /// Returns the repository of `T`'s table on this pool. Sends nothing to the database yet.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            sql: Arc::new(Statements::of::<T>()),
            hot_rows: Arc::new(HotRows::new()),
            row: PhantomData,
        }
    }

    /// Runs an operation whose statements commit directly.
    async fn run<R, F>(&self, op: F) -> Result<R, Error>
    where
        F: for<'c> TxOperation<&'c mut PgConnection, Result<R, Error>>,
    {
        on_connection(&self.pool, op).await
    }
}

fn add<'v, V>(arguments: &mut sqlx::postgres::PgArguments, value: V) -> Result<(), Error>
where
    V: Encode<'v, Postgres> + Type<Postgres>,
{
    arguments.add(value).map_err(unencodable)
}

fn add_id<T: PgVersioned>(
    arguments: &mut sqlx::postgres::PgArguments,
    id: &T::Id,
) -> Result<(), Error> {
    T::bind_id(id, arguments).map_err(unencodable)
}

fn unencodable(error: BoxDynError) -> Error {
    Repr::Database(sqlx::Error::Encode(error)).into()
}
