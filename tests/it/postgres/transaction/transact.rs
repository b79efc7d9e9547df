//! What a transaction commits and what it reports.

use optilock::{
    RetryPolicy, StopReason,
    postgres::transact,
    sqlx::{self, Connection, PgConnection},
};

use super::counter::{add_one, counter, with_counter};
use crate::support::{
    connect::pool_of,
    db::{Db, assert_idle},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_success_is_committed_and_a_failure_rolled_back() {
    let db = with_counter().await;
    let policy = RetryPolicy::new();
    transact(&db.pool, &policy, async |tx| add_one(tx).await)
        .await
        .unwrap();
    let failed = transact(&db.pool, &policy, async |tx| {
        add_one(tx).await?;
        Err::<(), _>(sqlx::Error::RowNotFound)
    })
    .await
    .unwrap_err();
    assert_eq!((failed.attempts, failed.reason), (1, StopReason::Permanent));
    assert_eq!(counter(&db.pool).await, 1);
    assert_idle(&db.pool).await;
}

/// PostgreSQL answers COMMIT without an error although it rolls back.
#[tokio::test(flavor = "multi_thread")]
async fn a_swallowed_error_is_reported() {
    let db = with_counter().await;
    let failed = transact(&db.pool, &RetryPolicy::new(), async |tx| {
        add_one(tx).await?;
        let _swallowed = sqlx::query("SELECT 1 / 0").execute(&mut **tx).await;
        Ok::<_, sqlx::Error>(())
    })
    .await
    .unwrap_err();
    let code = failed
        .error
        .as_database_error()
        .and_then(|error| error.code())
        .unwrap()
        .into_owned();
    assert_eq!(
        (code.as_str(), failed.reason, failed.attempts),
        ("25P02", StopReason::Permanent, 1)
    );
    assert_eq!(counter(&db.pool).await, 0);
    assert_idle(&db.pool).await;
}

/// A nested `begin` creates a savepoint, and leaves no trace on the connection that returns to the pool.
#[tokio::test(flavor = "multi_thread")]
async fn a_nested_begin_is_a_savepoint() {
    let db = with_counter().await;
    let pool = pool_of(&db, 1).await;
    transact(&pool, &RetryPolicy::new(), async |tx| {
        add_one(tx).await?;
        let mut inner = tx.begin().await?;
        add_one(&mut inner).await?;
        let mut innermost = inner.begin().await?;
        add_one(&mut innermost).await?;
        innermost.rollback().await?;
        inner.commit().await?;
        let mut dropped = tx.begin().await?;
        add_one(&mut dropped).await?;
        drop(dropped);
        Ok::<_, sqlx::Error>(())
    })
    .await
    .unwrap();
    assert_eq!(counter(&db.pool).await, 2);
    // On the same connection a transaction of sqlx is a transaction and no savepoint.
    let mut tx = pool.begin().await.unwrap();
    add_one(&mut tx).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(counter(&db.pool).await, 2);
    let mut tx = pool.begin().await.unwrap();
    add_one(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(counter(&db.pool).await, 3);
}

/// The server refuses COMMIT because of a deferred constraint, and the connection stays open.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_commit_keeps_the_connection() {
    let db = Db::empty().await;
    sqlx::raw_sql(
        "CREATE TABLE public.seats (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO public.seats VALUES (1)",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    let pool = pool_of(&db, 1).await;
    let backend = async || -> i32 {
        let pid = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&pool);
        pid.await.unwrap()
    };
    let before = backend().await;
    let insert = async |conn: &mut PgConnection, n: i32| {
        let insert = sqlx::query("INSERT INTO public.seats VALUES ($1)").bind(n);
        insert.execute(conn).await
    };
    let refused = transact(&pool, &RetryPolicy::new(), async |tx| insert(tx, 1).await)
        .await
        .unwrap_err();
    assert_eq!(refused.reason, StopReason::Permanent);
    assert!(
        refused
            .error
            .as_database_error()
            .unwrap()
            .is_unique_violation()
    );
    assert_eq!(backend().await, before);
    // The connection is in no transaction: other sessions see its next write.
    insert(&mut *pool.acquire().await.unwrap(), 2)
        .await
        .unwrap();
    let seats: i64 = sqlx::query_scalar("SELECT count(*) FROM public.seats")
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert_eq!(seats, 2);
    assert_idle(&db.pool).await;
}
