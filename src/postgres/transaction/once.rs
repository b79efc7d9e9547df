//! Transactions that take effect once for a key.

#[cfg(feature = "serde")]
mod answer;
mod attempts;
mod call;
mod forget;
mod options;
mod table;

use sqlx::{PgPool, postgres::PgRow};

use super::{operation::TxOperation, tx::Tx};
use crate::{Classify, RetryError, RetryPolicy, postgres::error::Error};

#[cfg(feature = "serde")]
pub use answer::{OnceAnswer, transact_once_answer, transact_once_answer_with};
use attempts::{Answers, Outcome, Storing, run};
pub use forget::forget_keys;
pub use options::OnceOptions;
pub use table::{KeyTable, create_key_table};

/// The answer of [`transact_once`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Once<T> {
    /// This call took effect. What its operation returned.
    Done(T),
    /// An earlier call with this key had taken effect. This call has changed nothing.
    AlreadyDone,
}

impl<T> Once<T> {
    /// Returns what the operation returned, if this call took effect.
    #[must_use]
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(value) => Some(value),
            Self::AlreadyDone => None,
        }
    }
}

/// Runs `op` in a transaction as [`transact`](super::transact()) does, once for each `key`: if a call with this key has
/// taken effect before, it changes nothing.
///
/// Use it for a request that a client may send again: a payment, a booking, a message of a queue. `key` names the
/// request: the `Idempotency-Key` header of HTTP, or the id of a message; 1 to 500 bytes, no control characters. If
/// customers choose keys, put the customer's id in front. `fingerprint` is what must not differ between two requests
/// with the same key, such as the body; its SHA-256 is stored.
///
/// The key is inserted first, in the same transaction. A second call with the same key waits until the first one has
/// ended: if that one has committed, the answer is [`Once::AlreadyDone`]; if not, the second call performs the operation.
/// A failed operation stores nothing, so that the request can be sent again.
///
/// If the connection is lost at `COMMIT`, the call looks for its key on another connection. If the transaction was
/// committed, the answer is [`Once::Done`]; if it was rolled back, `op` runs again. As long as the server has not ended
/// that transaction, the call waits for it.
///
/// The table of the keys, [`KeyTable`], is created by [`create_key_table`]; [`forget_keys`] removes old keys.
/// [`transact_once_with`] takes another table. Under the feature `serde`, `transact_once_answer` stores the answer as
/// well. The [guide](crate::guide::once) explains the details.
///
/// ```no_run
/// use optilock::{RetryPolicy, postgres::{Error, Once, transact_once}};
///
/// # async fn doc(pool: sqlx::PgPool, key: &str, body: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let paid = transact_once(&pool, &RetryPolicy::new(), key, body.as_bytes(), async |tx| {
///     let pay = "UPDATE accounts SET balance = balance - 10 WHERE id = 1";
///     sqlx::query(pay).execute(&mut **tx).await?;
///     Ok::<_, Error>("paid")
/// })
/// .await?;
/// match paid {
///     Once::Done(text) => println!("{text}"),
///     Once::AlreadyDone => println!("paid before"),
/// }
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Those of [`transact`](super::transact()), and in the same [`RetryError`]:
///
/// - [`ErrorKind::IdempotencyMismatch`](crate::postgres::ErrorKind::IdempotencyMismatch) if the key is stored with
///   another fingerprint. Nothing happens.
/// - [`ErrorKind::Invalid`](crate::postgres::ErrorKind::Invalid) if the key is out of its range. Nothing is sent.
/// - [`ErrorKind::Suppressed`](crate::postgres::ErrorKind::Suppressed) if a trigger or a row-level policy keeps the key
///   from being stored. Nothing happens.
///
/// The class of the [`RetryError`] is [`Unknown`](crate::Class::Unknown) if the connection was lost at `COMMIT` and the
/// policy ended before the key could be looked up, whatever the last error was: call again with the same key. It is also
/// `Unknown` if the operation ended its transaction itself, or if its own error has that class; these are not retried
/// unless the policy [says so](RetryPolicy::with_unknown_retried).
pub async fn transact_once<T, E, F>(
    pool: &PgPool,
    policy: &RetryPolicy,
    key: &str,
    fingerprint: &[u8],
    op: F,
) -> Result<Once<T>, RetryError<E>>
where
    E: From<Error> + Classify,
    F: for<'a, 'c> TxOperation<&'a mut Tx<'c>, Result<T, E>>,
{
    transact_once_with(pool, policy, &OnceOptions::new(), key, fingerprint, op).await
}

/// Runs `op` as [`transact_once`] does, with another table of keys, an isolation level or timeouts.
///
/// At REPEATABLE READ and SERIALIZABLE a call that waited for another one with the same key has a conflict, and finds
/// the key at its next attempt: the policy needs at least two.
///
/// ```no_run
/// use std::time::Duration;
/// use optilock::{RetryPolicy, postgres::{Error, KeyTable, OnceOptions, TransactOptions, transact_once_with}};
///
/// # async fn doc(pool: sqlx::PgPool, message: u64) -> Result<(), Box<dyn std::error::Error>> {
/// let options = OnceOptions::new()
///     .with_table(KeyTable::new("billing.once_keys")?)
///     .with_transaction(TransactOptions::new().with_lock_timeout(Duration::from_secs(1)));
/// let key = format!("message/{message}");
/// transact_once_with(&pool, &RetryPolicy::new(), &options, &key, b"", async |tx| {
///     sqlx::query("INSERT INTO invoices (amount) VALUES (10)").execute(&mut **tx).await?;
///     Ok::<_, Error>(())
/// })
/// .await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// As [`transact_once`].
pub async fn transact_once_with<T, E, F>(
    pool: &PgPool,
    policy: &RetryPolicy,
    options: &OnceOptions,
    key: &str,
    fingerprint: &[u8],
    op: F,
) -> Result<Once<T>, RetryError<E>>
where
    E: From<Error> + Classify,
    F: for<'a, 'c> TxOperation<&'a mut Tx<'c>, Result<T, E>>,
{
    let outcome = run(pool, policy, options, (key, fingerprint), &NotStored, op).await?;
    Ok(match outcome {
        Outcome::Done(value) => Once::Done(value),
        Outcome::Earlier(()) => Once::AlreadyDone,
    })
}

struct NotStored;

impl<T> Answers<T> for NotStored {
    type Earlier = ();

    fn storing(&self, _key: &str, value: T) -> Result<Storing<T>, sqlx::Error> {
        Ok(Storing::Not(value))
    }

    fn earlier(&self, _row: &PgRow) -> Result<(), sqlx::Error> {
        Ok(())
    }
}
