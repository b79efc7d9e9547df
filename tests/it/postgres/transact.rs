//! The transaction runner: what it commits, what it repeats, and what it says.

use std::{sync::Arc, time::Duration};

use optilock::{
    Class, Classify, RetryPolicy, StopReason,
    postgres::{Isolation, TransactOptions, transact, transact_with},
    sqlx::{self, Connection, PgConnection, PgPool},
};
use tokio::{sync::Notify, task::JoinSet};

use crate::{
    support::db::{Db, Default, assert_quiet, pool_options},
    support::proxy::{Cut, Proxy},
};

async fn with_counter() -> Db {
    let db = Db::empty().await;
    for sql in [
        "CREATE TABLE public.counter (id int PRIMARY KEY, n bigint NOT NULL)",
        "INSERT INTO public.counter VALUES (1, 0)",
    ] {
        sqlx::query(sql).execute(&db.pool).await.unwrap();
    }
    db
}

async fn add_one(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE public.counter SET n = n + 1")
        .execute(conn)
        .await
        .map(drop)
}

async fn counter(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT n FROM public.counter")
        .fetch_one(pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_what_succeeded_and_rolls_back_what_failed() {
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
    assert_quiet(&db.pool).await;
}

/// PostgreSQL answers COMMIT without an error although it rolled back.
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
    assert_quiet(&db.pool).await;
}

/// A `begin` inside is a savepoint, and the connection is as it was when it comes back to the pool.
#[tokio::test(flavor = "multi_thread")]
async fn a_nested_begin_is_a_savepoint() {
    let db = with_counter().await;
    let pool = pool_options(1)
        .connect_with(db.database.options())
        .await
        .unwrap();
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
    // The only connection of the pool: a transaction of sqlx's own is one again, not a savepoint.
    let mut tx = pool.begin().await.unwrap();
    add_one(&mut tx).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(counter(&db.pool).await, 2);
    let mut tx = pool.begin().await.unwrap();
    add_one(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(counter(&db.pool).await, 3);
}

/// Serializable increments by read and write: every loser is run again, in a new transaction.
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
        assert!(attempts > 100, "{isolation:?}: four writers never met");
        assert_quiet(&db.pool).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn options_are_set_for_this_transaction_only() {
    let db = with_counter().await;
    let pool = pool_options(1)
        .connect_with(db.database.options())
        .await
        .unwrap();
    let options = TransactOptions::new()
        .with_isolation(Isolation::Serializable)
        .with_read_only(true)
        .with_lock_timeout(Duration::from_millis(1_234))
        .with_statement_timeout(Duration::from_millis(2_345))
        .with_idle_timeout(Duration::from_millis(3_456));
    let settings = "SELECT concat_ws(' ', current_setting('transaction_isolation'),
        current_setting('transaction_read_only'), current_setting('lock_timeout'),
        current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'))";
    let inside: String = transact_with(&pool, &RetryPolicy::new(), &options, async |tx| {
        sqlx::query_scalar(settings).fetch_one(&mut **tx).await
    })
    .await
    .map_err(|error: optilock::RetryError<sqlx::Error>| error.error)
    .unwrap();
    assert_eq!(inside, "serializable on 1234ms 2345ms 3456ms");
    let outside: String = sqlx::query_scalar(settings).fetch_one(&pool).await.unwrap();
    assert_eq!(outside, "read committed off 0 0 0");
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

/// The pool's only connection is free while the policy waits.
#[tokio::test(flavor = "multi_thread")]
async fn no_connection_is_held_while_it_waits() {
    let db = with_counter().await;
    let pool = pool_options(1)
        .connect_with(db.database.options())
        .await
        .unwrap();
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

/// What a connection lost in each phase means.
#[tokio::test(flavor = "multi_thread")]
async fn connections_lost_in_every_phase() {
    let db = with_counter().await;
    let proxy = Proxy::new(&db).await;
    let pool = proxy.pool(2).await;
    let run =
        async |policy: &RetryPolicy| transact(&pool, policy, async |tx| add_one(tx).await).await;
    let once = RetryPolicy::new().with_max_attempts(1);

    for needle in [b"BEGIN".as_slice(), b"sqlx_s_"] {
        // Before COMMIT nothing took effect: tried again, and made once.
        let before = counter(&db.pool).await;
        proxy.trap(needle, Cut::Before);
        run(&RetryPolicy::new()).await.unwrap();
        assert!(!proxy.armed());
        assert_eq!(counter(&db.pool).await, before + 1);
        proxy.trap(needle, Cut::Reply);
        run(&RetryPolicy::new()).await.unwrap();
        assert!(!proxy.armed());
        assert_eq!(counter(&db.pool).await, before + 2);
        proxy.trap(needle, Cut::Reply);
        let busy = run(&once).await.unwrap_err();
        assert_eq!(
            (busy.reason, busy.class()),
            (StopReason::Attempts, Class::Permanent),
            "nothing happened"
        );
        assert_eq!(counter(&db.pool).await, before + 2);
    }
    // At COMMIT nobody can tell, whatever became of it.
    for (cut, committed) in [(Cut::Before, 0), (Cut::Reply, 1)] {
        let before = counter(&db.pool).await;
        proxy.trap(b"COMMIT\0", cut);
        let unknown = run(&RetryPolicy::new()).await.unwrap_err();
        assert!(!proxy.armed());
        assert_eq!(
            (unknown.reason, unknown.class()),
            (StopReason::Unknown, Class::Unknown)
        );
        assert_eq!(counter(&db.pool).await, before + committed);
    }
    assert_quiet(&db.pool).await;
}

/// A backend that is terminated says so with FATAL: before COMMIT nothing took effect.
#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_backend_before_commit_is_tried_again() {
    let db = with_counter().await;
    let pool = pool_options(1)
        .connect_with(db.database.options())
        .await
        .unwrap();
    let attempts = transact(&pool, &RetryPolicy::new(), async |tx| {
        add_one(tx).await?;
        if tx.attempt().number() == 1 {
            let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
                .fetch_one(&mut **tx)
                .await?;
            sqlx::query("SELECT pg_terminate_backend($1)")
                .bind(pid)
                .execute(&db.pool)
                .await?;
            add_one(tx).await?;
        }
        Ok::<_, sqlx::Error>(tx.attempt().number())
    })
    .await
    .unwrap();
    assert_eq!((attempts, counter(&db.pool).await), (2, 1));
}

/// Under a stricter default the crate's own locking attempts still lock: see the contract suite;
/// here, that a host's transaction keeps its session's level.
#[tokio::test(flavor = "multi_thread")]
async fn a_plain_transaction_has_the_sessions_level() {
    let db = Db::with(Default::Serializable, 1).await;
    let level: String = transact(&db.pool, &RetryPolicy::new(), async |tx| {
        sqlx::query_scalar("SHOW transaction_isolation")
            .fetch_one(&mut **tx)
            .await
    })
    .await
    .map_err(|error: optilock::RetryError<sqlx::Error>| error.error)
    .unwrap();
    assert_eq!(level, "serializable");
}

/// A deferred constraint, or a write skew: the server refuses COMMIT, and its connection lives on.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_commit_costs_no_connection() {
    let db = Db::empty().await;
    sqlx::raw_sql(
        "CREATE TABLE public.seats (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO public.seats VALUES (1)",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    let pool = pool_options(1)
        .connect_with(db.database.options())
        .await
        .unwrap();
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
    // And it is in no transaction: what it writes now is seen by others.
    insert(&mut *pool.acquire().await.unwrap(), 2)
        .await
        .unwrap();
    let seats: i64 = sqlx::query_scalar("SELECT count(*) FROM public.seats")
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert_eq!(seats, 2);
    assert_quiet(&db.pool).await;
}
