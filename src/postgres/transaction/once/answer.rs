//! Answers that are stored with their keys, by serde.

use serde::{Serialize, de::DeserializeOwned};
use sqlx::{
    Arguments, PgPool, Row,
    postgres::{PgArguments, PgRow},
    types::Json,
};

use super::{
    attempts::{Answers, Outcome, Storing, run},
    options::OnceOptions,
};
use crate::{
    Classify, RetryError, RetryPolicy,
    postgres::{
        error::Error,
        transaction::{operation::TxOperation, tx::Tx},
    },
};

/// The answer of [`transact_once_answer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct OnceAnswer<T> {
    /// What the operation returned when it took effect, as it is stored.
    pub answer: T,
    /// Whether an earlier call had taken effect, and this one has not.
    pub replayed: bool,
}

/// Runs `op` as [`transact_once`](super::transact_once) does, and stores what it returns with the key. A call that
/// repeats the key receives the stored answer.
///
/// The answer is stored as `jsonb`, in the same transaction. The first call receives it as it was read back, so that all
/// calls receive the same: a field that serde skips, for instance, has its default in all of them. The answer is
/// removed with its key by [`forget_keys`](super::forget_keys).
///
/// ```no_run
/// use optilock::{RetryPolicy, postgres::{Error, transact_once_answer}};
///
/// # async fn doc(pool: sqlx::PgPool, key: &str, body: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let booked = transact_once_answer(&pool, &RetryPolicy::new(), key, body.as_bytes(), async |tx| {
///     let insert = "INSERT INTO bookings (seat) VALUES (7) RETURNING id";
///     let id: i64 = sqlx::query_scalar(insert).fetch_one(&mut **tx).await?;
///     Ok::<_, Error>(id)
/// })
/// .await?;
/// println!("booking {}, replayed: {}", booked.answer, booked.replayed);
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Those of [`transact_once`](super::transact_once). If the value can't be stored as `jsonb`, or not be read back,
/// nothing happens, and the reason is [`StopReason::Permanent`](crate::StopReason::Permanent). If the key is stored
/// without an answer, or with one that does not fit `T`, the class is [`Unknown`](crate::Class::Unknown): the key has
/// taken effect, and the answer is not known.
pub async fn transact_once_answer<T, E, F>(
    pool: &PgPool,
    policy: &RetryPolicy,
    key: &str,
    fingerprint: &[u8],
    op: F,
) -> Result<OnceAnswer<T>, RetryError<E>>
where
    T: Serialize + DeserializeOwned,
    E: From<Error> + Classify,
    F: for<'a, 'c> TxOperation<&'a mut Tx<'c>, Result<T, E>>,
{
    transact_once_answer_with(pool, policy, &OnceOptions::new(), key, fingerprint, op).await
}

/// Runs `op` as [`transact_once_answer`] does, with another table of keys, an isolation level or timeouts.
///
/// # Errors
///
/// As [`transact_once_answer`].
pub async fn transact_once_answer_with<T, E, F>(
    pool: &PgPool,
    policy: &RetryPolicy,
    options: &OnceOptions,
    key: &str,
    fingerprint: &[u8],
    op: F,
) -> Result<OnceAnswer<T>, RetryError<E>>
where
    T: Serialize + DeserializeOwned,
    E: From<Error> + Classify,
    F: for<'a, 'c> TxOperation<&'a mut Tx<'c>, Result<T, E>>,
{
    let outcome = run(pool, policy, options, (key, fingerprint), &AsJson, op).await?;
    let (answer, replayed) = match outcome {
        Outcome::Done(answer) => (answer, false),
        Outcome::Earlier(answer) => (answer, true),
    };
    Ok(OnceAnswer { answer, replayed })
}

struct AsJson;

impl<T: Serialize + DeserializeOwned> Answers<T> for AsJson {
    type Earlier = T;

    fn storing(&self, key: &str, value: T) -> Result<Storing<T>, sqlx::Error> {
        let mut arguments = PgArguments::default();
        arguments.add(key).map_err(sqlx::Error::Encode)?;
        arguments.add(Json(value)).map_err(sqlx::Error::Encode)?;
        Ok(Storing::By(arguments, read))
    }

    fn earlier(&self, row: &PgRow) -> Result<T, sqlx::Error> {
        read(row)
    }
}

fn read<T: DeserializeOwned>(row: &PgRow) -> Result<T, sqlx::Error> {
    let Json(answer) = row.try_get("answer")?;
    Ok(answer)
}
