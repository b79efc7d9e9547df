//! The clean-up of old keys.

use std::time::Duration;

use optilock::{
    postgres::{ErrorKind, KeyTable, Once, forget_keys},
    sqlx::{self, PgPool},
};

use super::effects::{QUICK, effects, keys, once, with_effects, with_effects_at};
use crate::support::{
    db::{Default as Level, eventually},
    triggers::run,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// Takes effect for a key, which then is this number of minutes old.
async fn once_before(pool: &PgPool, key: &str, minutes: i32) {
    assert_eq!(once(pool, &QUICK, key).await.unwrap(), Once::Done(1));
    let age = "UPDATE optilock.once_keys SET created_at = now() - make_interval(mins => $2) WHERE key = $1";
    sqlx::query(age)
        .bind(key)
        .bind(minutes)
        .execute(pool)
        .await
        .unwrap();
}

async fn forget(pool: &PgPool, older_than: Duration, limit: u32) -> u64 {
    forget_keys(pool, &KeyTable::default(), older_than, limit)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn old_keys_are_removed_in_order_up_to_the_limit_at_every_level() {
    for level in [
        Level::ReadCommitted,
        Level::RepeatableRead,
        Level::Serializable,
    ] {
        let db = with_effects_at(level).await;
        let pool = &db.pool;
        for (key, minutes) in [("61", 61), ("90", 90), ("59", 59), ("80", 80), ("new", 0)] {
            once_before(pool, key, minutes).await;
        }
        assert_eq!(forget(pool, HOUR, 0).await, 0);
        assert_eq!(forget(pool, 2 * HOUR, 10).await, 0);
        assert_eq!(forget(pool, HOUR, 2).await, 2);
        assert_eq!(
            (
                keys(pool, "90").await,
                keys(pool, "80").await,
                keys(pool, "61").await
            ),
            (0, 0, 1)
        );
        assert_eq!(forget(pool, HOUR, u32::MAX).await, 1);
        assert_eq!(forget(pool, Duration::MAX, 10).await, 0);
        assert_eq!(
            (keys(pool, "59").await, keys(pool, "new").await),
            (1, 1),
            "{level:?}"
        );

        // A request whose key was removed takes effect again; the others don't.
        assert_eq!(once(pool, &QUICK, "61").await.unwrap(), Once::Done(1));
        assert_eq!(once(pool, &QUICK, "59").await.unwrap(), Once::AlreadyDone);
        assert_eq!(
            (effects(pool, "61").await, effects(pool, "59").await),
            (2, 1)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_younger_than_an_hour_are_never_removed() {
    let db = with_effects().await;
    once_before(&db.pool, "k", 10).await;
    for age in [Duration::ZERO, HOUR - Duration::from_micros(1)] {
        let refused = forget_keys(&db.pool, &KeyTable::default(), age, 10)
            .await
            .unwrap_err();
        assert_eq!(
            (refused.kind(), refused.code()),
            (ErrorKind::Invalid, "invalid")
        );
        assert!(
            refused.to_string().ends_with("the least is 3600s"),
            "{refused}"
        );
    }
    assert_eq!(keys(&db.pool, "k").await, 1);
}

/// A repeated request has locked its key.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_key_is_skipped() {
    let db = with_effects().await;
    once_before(&db.pool, "locked", 90).await;
    once_before(&db.pool, "free", 80).await;
    let mut reader = db.pool.begin().await.unwrap();
    let lock = "SELECT FROM optilock.once_keys WHERE key = 'locked' FOR KEY SHARE";
    sqlx::query(lock).execute(&mut *reader).await.unwrap();
    let forgotten = tokio::time::timeout(Duration::from_secs(10), forget(&db.pool, HOUR, 1));
    assert_eq!(forgotten.await.expect("it does not wait"), 1);
    assert_eq!(
        (keys(&db.pool, "locked").await, keys(&db.pool, "free").await),
        (1, 0)
    );
    reader.rollback().await.unwrap();
    assert_eq!(forget(&db.pool, HOUR, 1).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_serves_the_clean_up() {
    let db = with_effects().await;
    run(
        &db.pool,
        "INSERT INTO optilock.once_keys (key, fingerprint, call, created_at)
             SELECT n::text, '', 0, now() - make_interval(mins => 200000 - n) FROM generate_series(1, 20000) n;
         ANALYZE optilock.once_keys",
    )
    .await;
    let scans = async |of: &'static str| -> i64 {
        sqlx::query_scalar(of).fetch_one(&db.pool).await.unwrap()
    };
    let whole = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'once_keys'";
    let by_index =
        "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'once_keys_created_at_idx'";
    let read = scans(whole).await;
    for _ in 0..10 {
        assert_eq!(forget(&db.pool, HOUR, 100).await, 100);
    }
    eventually("the statistics have the scans", async || {
        scans(by_index).await >= 10
    })
    .await;
    assert_eq!(scans(whole).await, read);
}
