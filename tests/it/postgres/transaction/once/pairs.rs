//! Two calls with the same key at once.

use std::sync::Arc;

use optilock::{
    RetryPolicy,
    postgres::{Error, Isolation, Once, OnceOptions, TransactOptions, transact_once},
    sqlx,
};
use tokio::sync::Notify;

use super::effects::{
    Answer, QUICK, REQUEST, effects, keys, once, once_with, take_effect, with_effects,
};
use crate::support::{
    bank::{PATIENT, until_waiting},
    db::assert_idle,
};

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_pairs_at_once_take_effect_once_each_at_every_level() {
    let db = with_effects().await;
    let levels = [
        None,
        Some(Isolation::ReadCommitted),
        Some(Isolation::RepeatableRead),
        Some(Isolation::Serializable),
    ];
    for level in levels {
        let transaction = TransactOptions::new();
        let transaction = level.map_or(transaction.clone(), |level| {
            transaction.with_isolation(level)
        });
        let options = OnceOptions::new().with_transaction(transaction);
        let pairs = (0..200).map(|pair| {
            let (pool, options, key) = (
                db.pool.clone(),
                options.clone(),
                format!("{level:?}/{pair}"),
            );
            tokio::spawn(async move {
                let (one, other) = tokio::join!(
                    once_with(&pool, &PATIENT, &options, &key),
                    once_with(&pool, &PATIENT, &options, &key),
                );
                (key, [one.unwrap(), other.unwrap()])
            })
        });
        let pairs: Vec<_> = pairs.collect();
        for pair in pairs {
            let (key, answers) = pair.await.unwrap();
            let done = answers
                .iter()
                .filter(|answer| answer.done().is_some())
                .count();
            let stored = (effects(&db.pool, &key).await, keys(&db.pool, &key).await);
            assert_eq!((done, stored), (1, (1, 1)), "{key}: {answers:?}");
        }
    }
    assert_idle(&db.pool).await;
}

/// The first call waits until it is notified, and then takes effect or fails.
async fn behind_a_call(fails: bool) -> (Answer, Answer, i64) {
    let db = with_effects().await;
    let go_on = Arc::new(Notify::new());
    let first = tokio::spawn({
        let (pool, go_on) = (db.pool.clone(), go_on.clone());
        async move {
            transact_once(&pool, &QUICK, "k", REQUEST, async |tx| {
                let attempt = take_effect(tx, "k").await?;
                go_on.notified().await;
                match fails {
                    true => Err(Error::from(sqlx::Error::RowNotFound)),
                    false => Ok(attempt),
                }
            })
            .await
        }
    });
    // The first call has inserted its key when the second one waits for it, whichever was faster to begin.
    while keys_in_progress(&db.pool).await == 0 {}
    let second = tokio::spawn({
        let pool = db.pool.clone();
        async move { once(&pool, &RetryPolicy::new(), "k").await }
    });
    until_waiting(&db.pool).await;
    go_on.notify_one();
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    (first, second, effects(&db.pool, "k").await)
}

/// Returns the number of sessions that are idle in a transaction.
async fn keys_in_progress(pool: &sqlx::PgPool) -> i64 {
    let idle = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND state = 'idle in transaction' AND query LIKE '%public.effects%'";
    sqlx::query_scalar(idle).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_call_waits_for_the_first_one() {
    let (first, second, effects) = behind_a_call(false).await;
    assert_eq!(first.unwrap(), Once::Done(1));
    assert_eq!(second.unwrap(), Once::AlreadyDone);
    assert_eq!(effects, 1);
}

/// A failure stores no key.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_call_performs_what_the_first_one_failed_to_do() {
    let (first, second, effects) = behind_a_call(true).await;
    first.unwrap_err();
    assert_eq!(second.unwrap(), Once::Done(1));
    assert_eq!(effects, 1);
}
