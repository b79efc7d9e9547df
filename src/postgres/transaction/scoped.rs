//! Operations as values, so that the code around an attempt is compiled once and not once for each of them.

use std::{marker::PhantomData, pin::Pin};

use sqlx::PgConnection;

use super::{
    attempt::{before, finish},
    begin::Begin,
    ending::Ended,
    failed::Failed,
    lease::{Lease, OfSqlx},
    tx::Tx,
};
use crate::{Attempt, Classify, metrics::Timer};

/// Shows that what an operation borrows (`'a`) outlives each of its attempts (`'c`).
pub(crate) type Scope<'c, 'a> = PhantomData<&'c &'a ()>;

/// The future of one attempt.
pub(crate) type Pending<'c, R> = Pin<Box<dyn Future<Output = R> + Send + 'c>>;

/// What an attempt does on its connection: `&|conn, _| Box::pin(find(conn, id))`.
pub(crate) type Work<'f, 'a, R> =
    &'f (dyn for<'c> Fn(&'c mut PgConnection, Scope<'c, 'a>) -> Pending<'c, R> + Sync + 'f);

/// Runs `work` between `BEGIN` and `COMMIT`, and gives every error the class that it has in its phase.
pub(crate) async fn in_transaction<'a, T, E>(
    lease: &mut Lease,
    begin: Begin<'_>,
    attempt: Attempt,
    work: Work<'_, 'a, Result<T, E>>,
) -> Result<T, Failed<E>>
where
    E: From<sqlx::Error> + Classify,
{
    loop {
        let timer = Timer::start();
        let ended = match Tx::begin(lease, begin, attempt).await {
            Ok(mut tx) => {
                let result = work(&mut tx, PhantomData).await;
                tx.end(result).await
            }
            Err(error) => Ended::from(before(error)),
        };
        if let Some(result) = finish(lease, ended, timer).await {
            return result;
        }
    }
}

/// Runs `work` outside of a transaction: each of its statements commits directly.
pub(crate) async fn directly<'a, T, E: OfSqlx>(
    lease: &mut Lease,
    work: Work<'_, 'a, Result<T, E>>,
) -> Result<T, E> {
    loop {
        let result = work(lease, PhantomData).await;
        if !lease.again(&result).await {
            return result;
        }
    }
}
