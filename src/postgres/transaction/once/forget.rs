//! The clean-up of old keys.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use super::table::KeyTable;
use crate::{
    Attempt, RetryPolicy,
    postgres::{
        error::Error,
        transaction::{attempt::attempt, begin::READ_COMMITTED},
    },
    retry::Run,
};

/// The least age of a key that is removed. A call of [`transact_once`](super::transact_once) that looks for its key must
/// still find it.
const MIN_AGE: Duration = Duration::from_secs(60 * 60);

/// The database must be able to represent the difference.
const MAX_AGE: Duration = Duration::from_secs(1_000 * 365 * 24 * 60 * 60);

/// Removes idempotency keys that were inserted longer than `older_than` ago, the oldest first, `limit` of them at most.
/// Returns how many it removed.
///
/// A request that is repeated after its key was removed takes effect again. `older_than` must be longer than any client
/// repeats a request, and than any transaction of [`transact_once`](crate::postgres::transact_once()) lasts: a day is
/// usual, and less than an hour is refused. The age is that of the database's clock.
///
/// Call it again while it returns `limit`. It waits for no lock, and skips the keys that a repeated request reads at
/// that moment. The index that [`KeyTable::create_sql`] creates serves it.
///
/// ```no_run
/// use std::time::Duration;
/// use optilock::postgres::{KeyTable, forget_keys};
///
/// # async fn doc(pool: sqlx::PgPool) -> Result<(), optilock::postgres::Error> {
/// let day = Duration::from_secs(24 * 60 * 60);
/// while forget_keys(&pool, &KeyTable::default(), day, 1_000).await? == 1_000 {}
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`ErrorKind::Invalid`](crate::postgres::ErrorKind::Invalid) if `older_than` is shorter than an hour, and those of the
/// database.
pub async fn forget_keys(
    pool: &PgPool,
    table: &KeyTable,
    older_than: Duration,
    limit: u32,
) -> Result<u64, Error> {
    if older_than < MIN_AGE {
        let problem = format!("is {older_than:?}, the least is {MIN_AGE:?}");
        return Err(Error::invalid("the age of the keys to remove", problem));
    }
    let mut forget = async |conn: &mut PgConnection, _: Attempt| {
        let forgotten = sqlx::query(table.forget())
            .bind(older_than.min(MAX_AGE).as_secs_f64() * 1e6)
            .bind(i64::from(limit))
            .execute(conn)
            .await;
        Ok::<_, Error>(forgotten?.rows_affected())
    };
    // At another level a row that was removed meanwhile would be an error.
    let first = Run::first(&RetryPolicy::new());
    let forgotten = attempt(pool, READ_COMMITTED, first, &mut forget).await;
    forgotten.map_err(|failed| failed.error.settled(failed.class))
}
