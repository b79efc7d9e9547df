use sqlx::PgPool;

use super::{TransactOptions, Tx, TxOperation, attempt::attempt_of_caller};
use crate::{Classify, RetryError, RetryPolicy, retry::Run};

/// Runs `op` in a transaction of its own and commits it; on a conflict or a busy database, runs it
/// again in a new one.
///
/// Use it whenever several statements must take effect together. `op` gets the transaction, a [`Tx`],
/// which knows the [`Attempt`](crate::Attempt) and has [savepoints](Tx::savepoint). It may run several
/// times, so it should change nothing but the database. No connection is held while the policy waits, and
/// the future may be dropped at any point: before `COMMIT` is sent nothing takes effect; after that the
/// database decides.
///
/// The transaction ends in one of three ways, whatever `op` did with the connection: committed as a whole;
/// rolled back as a whole; or unknown, and then the connection is closed and there is no further attempt.
/// Before `COMMIT` it is asked whether it is still the transaction that was begun: an operation that sent
/// a `COMMIT` in SQL is answered with [`StopReason::Unknown`](crate::StopReason::Unknown), one that
/// swallowed a failed statement's error with that of PostgreSQL (`25P02`), rolled back. This costs a round
/// trip: four for a transaction of one statement, where sqlx's own needs three. What can't be seen all the
/// same stands in the [guide](crate::guide::transactions). A policy
/// [that says so](RetryPolicy::with_unknown_retried) has an unknown outcome tried again.
///
/// An attempt that finds its prepared statements outdated by a change of the schema begins again at once, on
/// the same connection.
///
/// ```no_run
/// use optilock::{RetryPolicy, postgres::transact};
/// use sqlx::Row;
///
/// # async fn doc(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
/// let balance: i64 = transact(&pool, &RetryPolicy::new(), async |tx| {
///     sqlx::query("UPDATE accounts SET balance = balance - 10 WHERE id = 1").execute(&mut **tx).await?;
///     let row = sqlx::query("UPDATE accounts SET balance = balance + 10 WHERE id = 2 RETURNING balance")
///         .fetch_one(&mut **tx)
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
/// were made and why it stopped.
///
/// [`StopReason::Unknown`](crate::StopReason::Unknown): the connection was lost at `COMMIT`, the operation
/// ended the transaction itself, or the operation's own error is of class
/// [`Unknown`](crate::Class::Unknown), such as that of a card that may have been charged. Look before you
/// try again. An sqlx error of a connection that was lost before `COMMIT` is of class `Unknown` elsewhere;
/// of this transaction's connection it counts as `Busy`, as nothing was committed: ask the `reason`, or the
/// class of the [`RetryError`], and not that of the error inside.
pub async fn transact<T, E, F>(
    pool: &PgPool,
    policy: &RetryPolicy,
    op: F,
) -> Result<T, RetryError<E>>
where
    E: From<sqlx::Error> + Classify,
    F: for<'a, 'c> TxOperation<&'a mut Tx<'c>, Result<T, E>>,
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
/// transact_with(&pool, &RetryPolicy::new(), &options, async |tx| {
///     sqlx::query("INSERT INTO shifts (doctor) VALUES ('ana')").execute(&mut **tx).await
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
    F: for<'a, 'c> TxOperation<&'a mut Tx<'c>, Result<T, E>>,
{
    let sql = options.begin_sql();
    let begin = options.begin(&sql);
    let mut run = Run::new(policy);
    loop {
        match attempt_of_caller(pool, begin, run.attempt(), &mut op).await {
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
