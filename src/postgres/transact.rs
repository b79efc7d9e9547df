use sqlx::{PgConnection, PgPool};

use super::{TransactOptions, attempt};
use crate::{
    Classify, RetryError, RetryPolicy,
    retry::{Operation, Run},
};

/// Runs `op` in a transaction of its own and commits it; on a conflict or a busy database, runs it
/// again in a new one.
///
/// Use it whenever several statements must take effect together. `op` gets the connection and the
/// [`Attempt`](crate::Attempt), may use `begin` on the connection for savepoints, and must not commit. It may run
/// several times, so it should touch nothing but the database. No connection is held while the
/// policy waits, and the future may be dropped at any point: before `COMMIT` is sent nothing takes
/// effect; after that the database decides.
///
/// When a statement fails and `op` returns `Ok` all the same, PostgreSQL rolls back and answers
/// `COMMIT` without an error. This function reports that as an error (`25P02`).
///
/// ```no_run
/// use optilock::{RetryPolicy, postgres::transact};
/// use sqlx::Row;
///
/// # async fn doc(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
/// let balance: i64 = transact(&pool, &RetryPolicy::new(), async |conn, _attempt| {
///     sqlx::query("UPDATE accounts SET balance = balance - 10 WHERE id = 1").execute(&mut *conn).await?;
///     let row = sqlx::query("UPDATE accounts SET balance = balance + 10 WHERE id = 2 RETURNING balance")
///         .fetch_one(&mut *conn)
///         .await?;
///     row.try_get(0)
/// })
/// .await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// The operation's or the database's last error in a [`RetryError`], which says how many attempts
/// were made and why it stopped. [`StopReason::Unknown`](crate::StopReason::Unknown): the
/// connection was lost at `COMMIT`, so the transaction may or may not have taken effect; look
/// before you try again. An error of class `Unknown` before `COMMIT` counts as `Busy`, whatever it says
/// of itself: nothing was committed. So ask the `reason`, or the class of the [`RetryError`], and not
/// that of the error inside.
pub async fn transact<T, E, F>(
    pool: &PgPool,
    policy: &RetryPolicy,
    op: F,
) -> Result<T, RetryError<E>>
where
    E: From<sqlx::Error> + Classify,
    F: for<'c> Operation<&'c mut PgConnection, Result<T, E>>,
{
    transact_with(pool, policy, &TransactOptions::new(), op).await
}

/// [`transact`] with an isolation level, timeouts, or read-only.
///
/// ```no_run
/// use optilock::{RetryPolicy, postgres::{Isolation, TransactOptions, transact_with}};
///
/// # async fn doc(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
/// let options = TransactOptions::new().with_isolation(Isolation::Serializable);
/// transact_with(&pool, &RetryPolicy::new(), &options, async |conn, _attempt| {
///     sqlx::query("INSERT INTO shifts (doctor) VALUES ('ana')").execute(&mut *conn).await
/// })
/// .await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// As [`transact`].
pub async fn transact_with<T, E, F>(
    pool: &PgPool,
    policy: &RetryPolicy,
    options: &TransactOptions,
    mut op: F,
) -> Result<T, RetryError<E>>
where
    E: From<sqlx::Error> + Classify,
    F: for<'c> Operation<&'c mut PgConnection, Result<T, E>>,
{
    let begin = options.begin_sql();
    let mut run = Run::new(policy);
    loop {
        match attempt(pool, &begin, run.attempt(), &mut op).await {
            Ok(value) => {
                run.succeeded();
                return Ok(value);
            }
            Err(failed) => {
                let waited = run.wait(failed).await;
                waited.map_err(|gave_up| gave_up.map(|failed| failed.error))?;
            }
        }
    }
}
