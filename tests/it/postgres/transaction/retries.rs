//! What a transaction repeats.

use std::{sync::Arc, time::Duration};

use optilock::{
    Class, Classify, RetryPolicy, StopReason,
    postgres::{Isolation, TransactOptions, transact, transact_with},
    sqlx,
};
use tokio::{sync::Notify, task::JoinSet};

use super::counter::{add_one, counter, with_counter};
use crate::support::{connect::pool_of, db::assert_idle};

/// Writers read and write the counter. Each conflict is retried in a new transaction.
#[tokio::test(flavor = "multi_thread")]
async fn serialization_failures_are_retried() {
    for isolation in [Isolation::RepeatableRead, Isolation::Serializable] {
        let db = with_counter().await;
        let options = TransactOptions::new().with_isolation(isolation);
        let policy = RetryPolicy::new()
            .with_max_attempts(1_000)
            .with_deadline(None);
        let mut writers = JoinSet::new();
        for _ in 0..4 {
            let (pool, options, policy) = (db.pool.clone(), options.clone(), policy.clone());
            writers.spawn(async move {
                let mut attempts = 0;
                for _ in 0..25 {
                    attempts += transact_with(&pool, &policy, &options, async |tx| {
                        let n: i64 = sqlx::query_scalar("SELECT n FROM public.counter")
                            .fetch_one(&mut **tx)
                            .await?;
                        sqlx::query("UPDATE public.counter SET n = $1")
                            .bind(n + 1)
                            .execute(&mut **tx)
                            .await?;
                        Ok::<_, sqlx::Error>(tx.attempt().number())
                    })
                    .await
                    .unwrap();
                }
                attempts
            });
        }
        let attempts: u32 = writers.join_all().await.iter().sum();
        assert_eq!(counter(&db.pool).await, 100, "{isolation:?}");
        assert!(attempts > 100, "{isolation:?}: no attempt conflicted");
        assert_idle(&db.pool).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_timeout_is_busy() {
    let db = with_counter().await;
    let mut holder = db.pool.begin().await.unwrap();
    add_one(&mut holder).await.unwrap();
    let options = TransactOptions::new().with_lock_timeout(Duration::from_millis(1));
    let policy = RetryPolicy::new()
        .with_max_attempts(2)
        .with_max_delay(Duration::ZERO);
    let busy = transact_with(&db.pool, &policy, &options, async |tx| add_one(tx).await)
        .await
        .unwrap_err();
    assert_eq!(busy.error.class(), Class::Busy { retry_after: None });
    assert_eq!((busy.attempts, busy.reason), (2, StopReason::Attempts));
    holder.rollback().await.unwrap();
    assert_eq!(counter(&db.pool).await, 0);
}

/// The only connection of the pool is free while the policy waits.
#[tokio::test(flavor = "multi_thread")]
async fn no_connection_is_held_between_attempts() {
    let db = with_counter().await;
    let pool = pool_of(&db, 1).await;
    let failed = Arc::new(Notify::new());
    let waiting = tokio::spawn({
        let (pool, failed) = (pool.clone(), failed.clone());
        async move {
            let policy = RetryPolicy::new()
                .with_base_delay(Duration::from_secs(3_600))
                .with_max_delay(Duration::from_secs(3_600))
                .with_jitter(optilock::Jitter::None)
                .with_deadline(None);
            transact(&pool, &policy, async |_tx| {
                failed.notify_one();
                Err::<(), _>(sqlx::Error::PoolTimedOut)
            })
            .await
        }
    });
    failed.notified().await;
    let mut conn = pool.acquire().await.expect("the connection is free");
    add_one(&mut conn).await.unwrap();
    waiting.abort();
    assert_eq!(counter(&db.pool).await, 1);
}
