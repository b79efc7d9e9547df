//! Transactions of the host, retried as a whole.

use sqlx::PgPool;

use super::{attempt::attempt_of_caller, operation::TxOperation, options::TransactOptions, tx::Tx};
use crate::{Classify, RetryError, RetryPolicy, retry::Run};

/// Runs `op` in a transaction and commits it. After a conflict, or if the database is busy, runs `op` again
/// in a new transaction.
///
/// Use it if several statements must take effect together. `op` receives the transaction, a [`Tx`], which
/// knows the [`Attempt`](crate::Attempt) and has [savepoints](Tx::savepoint). `op` may run several times, so
/// it should change nothing but the database. No connection is held during a delay. The future may be
/// dropped at any point: before `COMMIT` is sent nothing takes effect, and after that the database decides.
///
/// Whatever `op` does with the connection, the transaction ends in one of three ways: committed as a whole,
/// rolled back as a whole, or unknown. If it is unknown, the connection is closed and there is no further
/// attempt, unless the policy [says so](RetryPolicy::with_unknown_retried). Before `COMMIT` the server is
/// asked whether the open transaction is still the one that was begun. If the operation sent a `COMMIT` in
/// SQL, the result is [`StopReason::Unknown`](crate::StopReason::Unknown). If it swallowed the error of a
/// failed statement, the transaction is rolled back with the error of PostgreSQL (`25P02`). The question
/// costs a round trip: a transaction of one statement takes four, where sqlx's own takes three. The
/// [guide](crate::guide::transactions) lists what it does not detect.
///
/// If a change of the schema has outdated the prepared statements, the attempt starts again immediately, on
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
/// The last error of the operation or the database in a [`RetryError`], with the number of attempts and the
/// reason why the retry stopped.
///
/// [`StopReason::Unknown`](crate::StopReason::Unknown) means that the connection was lost at `COMMIT`, that
/// the operation ended the transaction itself, or that the operation's own error is of class
/// [`Unknown`](crate::Class::Unknown), such as that of a card that may have been charged. Check what is
/// stored before the next attempt.
///
/// An sqlx error of a lost connection has the class `Unknown`. If the connection of this transaction
/// was lost before `COMMIT`, it counts as `Busy`, as nothing was committed. Use the `reason` or the class of
/// the [`RetryError`], and not the class of the error inside.
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

/// Runs `op` as [`transact`] does, with an isolation level, timeouts, or read-only.
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
