//! Operations as values, so that the code around an attempt is compiled once and not once for each of them.

use std::{
    marker::PhantomData,
    pin::Pin,
    sync::{Mutex, PoisonError},
};

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

/// Where an operation leaves its value, so that the code around it knows no type of a value.
pub(crate) struct Slot<T>(Mutex<Option<T>>);

impl<T> Slot<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Keeps the value of a success.
    pub(crate) fn keep<E>(&self, result: Result<T, E>) -> Result<(), E> {
        let value = result?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        Ok(())
    }

    /// Returns the value that was kept last.
    pub(crate) fn take(self) -> T {
        let value = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        value.expect("an operation that succeeds keeps its value") // see `keep`
    }
}

/// Runs `work` between `BEGIN` and `COMMIT`, and gives every error the class that it has in its phase.
pub(crate) async fn in_transaction<'a, T, E>(
    lease: &mut Lease,
    begin: Begin<'_>,
    attempt: Attempt,
    work: Work<'_, 'a, Result<T, E>>,
) -> Result<T, Failed<E>>
where
    T: Send,
    E: From<sqlx::Error> + Classify + Send,
{
    let slot = Slot::new();
    transaction(lease, begin, attempt, &|conn, _| {
        let value = work(conn, PhantomData);
        Box::pin(async { slot.keep(value.await) })
    })
    .await?;
    Ok(slot.take())
}

async fn transaction<'a, E>(
    lease: &mut Lease,
    begin: Begin<'_>,
    attempt: Attempt,
    work: Work<'_, 'a, Result<(), E>>,
) -> Result<(), Failed<E>>
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
pub(crate) async fn directly<'a, T, E>(
    lease: &mut Lease,
    work: Work<'_, 'a, Result<T, E>>,
) -> Result<T, E>
where
    T: Send,
    E: OfSqlx + Send,
{
    let slot = Slot::new();
    statements(lease, &|conn, _| {
        let value = work(conn, PhantomData);
        Box::pin(async { slot.keep(value.await) })
    })
    .await?;
    Ok(slot.take())
}

async fn statements<'a, E: OfSqlx>(
    lease: &mut Lease,
    work: Work<'_, 'a, Result<(), E>>,
) -> Result<(), E> {
    loop {
        let result = work(lease, PhantomData).await;
        if !lease.again(&result).await {
            return result;
        }
    }
}
