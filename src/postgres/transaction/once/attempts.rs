//! The attempts of one call, and what becomes of an unknown outcome.

use sqlx::{
    PgConnection, PgPool, Row,
    postgres::{PgArguments, PgRow},
};

use super::{
    call::{Call, Claim},
    options::OnceOptions,
};
use crate::{
    Attempt, Class, Classify, RetryError, RetryPolicy,
    metrics::{self, Timer},
    postgres::{
        error::{Error, ErrorKind},
        transaction::{
            attempt::{before, finish},
            begin::Begin,
            ending::Ended,
            failed::Failed,
            lease::{BoxFuture, Lease},
            operation::TxOperation,
            tx::Tx,
        },
    },
    retry::Run,
};

/// What is stored as the answer of an operation.
pub(super) trait Answers<T> {
    /// What a later call receives.
    type Earlier;

    /// Returns how the answer of this call is stored.
    fn storing(&self, key: &str, value: T) -> Result<Storing<T>, sqlx::Error>;

    /// Returns what is stored, for a later call.
    fn earlier(&self, row: &PgRow) -> Result<Self::Earlier, sqlx::Error>;
}

/// How an answer is stored.
pub(super) enum Storing<T> {
    /// It is not.
    Not(T),
    /// By the statement with these arguments, whose row is read as a later call reads it.
    #[cfg_attr(
        not(feature = "serde"),
        expect(dead_code, reason = "answers are stored by serde")
    )]
    By(PgArguments, fn(&PgRow) -> Result<T, sqlx::Error>),
}

/// What became of a call.
pub(super) enum Outcome<T, R> {
    Done(T),
    /// Another call with this key had taken effect.
    Earlier(R),
}

/// What the attempts of a call share.
struct State<T> {
    /// An earlier attempt may have committed, or may still.
    in_doubt: bool,
    /// The value of the last attempt that sent `COMMIT`. It is the only one that may have committed.
    value: Option<T>,
}

/// What an attempt did.
enum Step<R> {
    Performed,
    Found(R),
}

/// Makes attempts as often as the policy allows. After a `COMMIT` whose answer was lost, the next attempt finds the key
/// of that one, or inserts its own: then that one was rolled back.
pub(super) async fn run<T, E, F, A>(
    pool: &PgPool,
    policy: &RetryPolicy,
    options: &OnceOptions,
    (key, fingerprint): (&str, &[u8]),
    answers: &A,
    mut op: F,
) -> Result<Outcome<T, A::Earlier>, RetryError<E>>
where
    E: From<Error> + Classify,
    F: for<'a, 'c> TxOperation<&'a mut Tx<'c>, Result<T, E>>,
    A: Answers<T>,
{
    let call = Call::new(&options.table, key, fingerprint);
    let sql = options.transaction.begin_sql();
    let begin = options.transaction.begin(&sql);
    let mut state = State {
        in_doubt: false,
        value: None,
    };
    let mut run = Run::new(policy);
    loop {
        let attempted = attempt(
            pool,
            begin,
            run.attempt(),
            &call,
            &mut state,
            answers,
            &mut op,
        );
        let mut failed = match attempted.await {
            Ok(step) => {
                run.succeeded();
                return Ok(match (step, state.value) {
                    (Step::Performed, value) => Outcome::Done(value.expect(KEPT)), // see `work`
                    (Step::Found(earlier), _) => Outcome::Earlier(earlier),
                });
            }
            Err(failed) => failed.map(Lost::settled),
        };
        // Until an attempt finds the key or inserts it, no error may say that nothing happened.
        state.in_doubt |= failed.class == Class::Unknown;
        if failed.at_commit && failed.class == Class::Unknown {
            metrics::unknown_outcome(policy.label());
            // The next attempt finds out, with the delay of a busy system.
            failed.class = Class::Busy { retry_after: None };
        }
        if let Err(gave_up) = run.wait(failed).await {
            return Err(gave_up.map(|failed| failed.error).doubted(state.in_doubt));
        }
    }
}

const KEPT: &str = "an attempt that performs the operation keeps its value";

async fn attempt<T, E, F, A>(
    pool: &PgPool,
    begin: Begin<'_>,
    attempt: Attempt,
    call: &Call<'_>,
    state: &mut State<T>,
    answers: &A,
    op: &mut F,
) -> Result<Step<A::Earlier>, Failed<Lost<E>>>
where
    E: From<Error> + Classify,
    F: for<'a, 'c> TxOperation<&'a mut Tx<'c>, Result<T, E>>,
    A: Answers<T>,
{
    call.check()
        .map_err(|error| Failed::new(Lost::Floor(error), Class::Permanent))?;
    let mut lease = Lease::acquire(pool).await.map_err(before)?;
    loop {
        let timer = Timer::start();
        let ended = match Tx::begin(&mut lease, begin, attempt).await {
            Ok(mut tx) => {
                let result = work(&mut tx, call, state, answers, op).await;
                tx.end(result).await
            }
            Err(error) => Ended::from(before(error)),
        };
        if let Some(result) = finish(&mut lease, ended, timer).await {
            return result;
        }
    }
}

/// Performs the operation unless its key is stored. The key comes first, so that another call with the same key waits.
async fn work<T, E, F, A>(
    tx: &mut Tx<'_>,
    call: &Call<'_>,
    state: &mut State<T>,
    answers: &A,
    op: &mut F,
) -> Result<Step<A::Earlier>, Lost<E>>
where
    E: From<Error> + Classify,
    F: for<'a, 'c> TxOperation<&'a mut Tx<'c>, Result<T, E>>,
    A: Answers<T>,
{
    match call.claim(tx).await {
        Ok(Claim::Inserted) => {
            state.in_doubt = false;
            state.value = None;
        }
        Ok(Claim::Found(row)) => {
            // It has taken effect: no failure after this may say that nothing happened.
            state.in_doubt = true;
            if row.try_get("is_own")? && state.value.is_some() {
                return Ok(Step::Performed);
            }
            let earlier = answers.earlier(&row);
            return Ok(Step::Found(earlier.map_err(Error::unreadable)?));
        }
        Err(error) => {
            // The key is that of another request, so no attempt of this one has committed.
            state.in_doubt &= error.kind() != ErrorKind::IdempotencyMismatch;
            return Err(error.into());
        }
    }
    let value = op(tx).await.map_err(Lost::Host)?;
    state.value = Some(match answers.storing(call.key, value)? {
        Storing::Not(value) => value,
        Storing::By(arguments, read) => read(&store(tx, call, arguments).await?)?,
    });
    Ok(Step::Performed)
}

/// Stores the answer. Returns what is stored.
fn store<'f>(
    conn: &'f mut PgConnection,
    call: &'f Call<'_>,
    arguments: PgArguments,
) -> BoxFuture<'f, Result<PgRow, Error>> {
    Box::pin(async move {
        let stored = sqlx::query_with(call.table.store(), arguments);
        let stored = stored.fetch_optional(conn).await?;
        stored.ok_or_else(|| Error::key_suppressed(call.key))
    })
}

/// The reason why an attempt failed.
enum Lost<E> {
    /// The operation's own.
    Host(E),
    Floor(Error),
}

impl<E: From<Error>> Lost<E> {
    /// Returns the error with what the phase of its transaction implies.
    fn settled(self, class: Class) -> E {
        match self {
            Self::Host(error) => error,
            Self::Floor(error) => error.settled(class).into(),
        }
    }
}

impl<E> From<Error> for Lost<E> {
    fn from(error: Error) -> Self {
        Self::Floor(error)
    }
}

impl<E> From<sqlx::Error> for Lost<E> {
    fn from(error: sqlx::Error) -> Self {
        Self::Floor(error.into())
    }
}

impl<E: Classify> Classify for Lost<E> {
    fn class(&self) -> Class {
        match self {
            Self::Host(error) => error.class(),
            Self::Floor(error) => error.class(),
        }
    }
}
