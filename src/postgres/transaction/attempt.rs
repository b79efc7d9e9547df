//! One attempt of a transaction on a pooled connection, safe to drop at any await.

use sqlx::{PgConnection, PgPool};

use super::{
    begin::Begin,
    ending::{Ended, conclude},
    failed::Failed,
    lease::Lease,
    operation::TxOperation,
    tx::Tx,
};
use crate::{
    Attempt, Class, Classify,
    metrics::Timer,
    postgres::classify::{Phase, class_in},
    retry::Operation,
};

/// Runs `op` between `BEGIN` and `COMMIT`. An error gets the class that it has in its phase.
pub(crate) async fn attempt<T, E, F>(
    pool: &PgPool,
    begin: Begin<'_>,
    attempt: Attempt,
    op: &mut F,
) -> Result<T, Failed<E>>
where
    E: From<sqlx::Error> + Classify,
    F: for<'c> Operation<&'c mut PgConnection, Result<T, E>>,
{
    let mut lease = Lease::acquire(pool).await.map_err(before)?;
    attempt_on(&mut lease, begin, attempt, op).await
}

/// Runs an [`attempt`] on a connection of the caller.
async fn attempt_on<T, E, F>(
    lease: &mut Lease,
    begin: Begin<'_>,
    attempt: Attempt,
    op: &mut F,
) -> Result<T, Failed<E>>
where
    E: From<sqlx::Error> + Classify,
    F: for<'c> Operation<&'c mut PgConnection, Result<T, E>>,
{
    loop {
        let timer = Timer::start();
        let ended = match Tx::begin(lease, begin, attempt).await {
            Ok(mut tx) => {
                let result = op(&mut tx, attempt).await;
                tx.end(result).await
            }
            Err(error) => Ended::from(before(error)),
        };
        if let Some(result) = finish(lease, ended, timer).await {
            return result;
        }
    }
}

/// Runs an [`attempt`] of an operation of the host.
pub(super) async fn attempt_of_caller<T, E, F>(
    pool: &PgPool,
    begin: Begin<'_>,
    attempt: Attempt,
    op: &mut F,
) -> Result<T, Failed<E>>
where
    E: From<sqlx::Error> + Classify,
    F: for<'a, 'c> TxOperation<&'a mut Tx<'c>, Result<T, E>>,
{
    let mut lease = Lease::acquire(pool).await.map_err(before)?;
    loop {
        let timer = Timer::start();
        let ended = match Tx::begin(&mut lease, begin, attempt).await {
            Ok(mut tx) => {
                let result = op(&mut tx).await;
                tx.end(result).await
            }
            Err(error) => Ended::from(before(error)),
        };
        if let Some(result) = finish(&mut lease, ended, timer).await {
            return result;
        }
    }
}

/// Measures an attempt that has ended and returns its result, or `None` if it is to run again on the same
/// connection, which has prepared its statements again.
pub(super) async fn finish<T, E>(
    lease: &mut Lease,
    ended: Ended<T, E>,
    timer: Timer,
) -> Option<Result<T, Failed<E>>>
where
    E: From<sqlx::Error>,
{
    let result = conclude(lease, ended).await;
    timer.transaction(match &result {
        Ok(_) => "committed",
        Err(failed) if failed.class == Class::Unknown => "unknown",
        Err(_) => "rolled-back",
    });
    if has_stale_plan(&result) && lease.refresh().await {
        return None;
    }
    Some(result)
}

/// Returns whether the attempt failed only because a prepared statement no longer fits the schema.
fn has_stale_plan<T, E>(result: &Result<T, Failed<E>>) -> bool {
    let stale =
        |failed: &Failed<E>| failed.stale_plan && matches!(failed.class, Class::Busy { .. });
    result.as_ref().err().is_some_and(stale)
}

pub(super) fn before<E: From<sqlx::Error>>(error: sqlx::Error) -> Failed<E> {
    let class = class_in(&error, Phase::Before);
    Failed::new(error.into(), class)
}
