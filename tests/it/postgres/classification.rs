//! The class of logins that the server refuses and of statements that are cancelled.

mod poolers;
mod schema_change;

use std::time::Duration;

use optilock::{
    Class, Classify, RetryPolicy, StopReason,
    inventory::{Inventory, PgInventory},
    postgres::{PgRepository, TransactOptions, transact, transact_with},
    sqlx::{self, postgres::PgConnectOptions},
};

use crate::support::{
    bank::Account,
    connect::pool_of,
    db::{Db, assert_idle, pool_options},
    goods::{add, cart, sku},
};

const POLICY: RetryPolicy = RetryPolicy::new();

/// A second attempt of the login would be refused as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_is_permanent_and_names_its_cause() {
    let db = Db::empty().await;
    let options = db.database.options();
    let wrong: [(PgConnectOptions, &str); 2] = [
        (
            options.clone().database("no such database"),
            "there is no such database",
        ),
        (
            options.username("no such role").password("wrong"),
            "refuses this user",
        ),
    ];
    for (options, advice) in wrong {
        let pool = pool_options(2).connect_lazy_with(options);
        let refused = transact(&pool, &POLICY, async |tx| {
            sqlx::query("SELECT 1").execute(&mut **tx).await
        })
        .await
        .unwrap_err();
        assert_eq!(
            (refused.attempts, refused.reason),
            (1, StopReason::Permanent),
            "{refused:?}"
        );

        let refused = PgRepository::<Account>::new(pool.clone())
            .get(&1)
            .await
            .unwrap_err();
        assert!(refused.to_string().contains(advice), "{refused}");
        assert_eq!(
            (refused.class(), refused.http_status()),
            (Class::Permanent, 500)
        );

        let refused = PgInventory::new(pool)
            .product(&sku("pot"))
            .await
            .unwrap_err();
        assert!(refused.to_string().contains(advice), "{refused}");
        assert_eq!((refused.code(), refused.http_status()), ("database", 500));
    }
}

/// Cancels every statement of this database that sleeps or waits for a lock, until the work is done.
async fn cancel_until_done<T>(db: &Db, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        let cancel = sqlx::query(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active'
                 AND wait_event IN ('PgSleep', 'transactionid', 'tuple')",
        );
        tokio::select! {
            biased;
            done = &mut work => return done,
            cancelled = cancel.execute(&db.pool) => drop(cancelled.unwrap()),
        }
    }
}

/// An administrator cancels a statement.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_statement_is_not_repeated() {
    let db = Db::new().await;
    let pool = pool_of(&db, 2).await;
    let sleep = async |options: &TransactOptions, policy: &RetryPolicy| {
        transact_with(&pool, policy, options, async |tx| {
            sqlx::query("SELECT pg_sleep(600)").execute(&mut **tx).await
        })
        .await
        .unwrap_err()
    };
    let limited = |limit| TransactOptions::new().with_statement_timeout(limit);
    for options in [TransactOptions::new(), limited(Duration::from_secs(600))] {
        let ended = cancel_until_done(&db, sleep(&options, &POLICY)).await;
        assert_eq!((ended.attempts, ended.reason), (1, StopReason::Permanent));
        let code = ended.error.as_database_error().unwrap().code().unwrap();
        assert_eq!(code, "57014");
    }
    // The statement timeout that the transaction sets itself is busy.
    let twice = POLICY.with_max_attempts(2);
    let ended = sleep(&limited(Duration::from_millis(200)), &twice).await;
    assert_eq!((ended.attempts, ended.reason), (2, StopReason::Attempts));

    // A statement of the inventory is cancelled while it waits for a lock.
    let shop = PgInventory::new(pool.clone());
    add(&shop, "pot", 5).await;
    let mut holder = db.pool.begin().await.unwrap();
    sqlx::query("UPDATE optilock.products SET stock = stock")
        .execute(&mut *holder)
        .await
        .unwrap();
    let refused = cancel_until_done(&db, shop.checkout(cart(&[("pot", 1)]))).await;
    let refused = refused.unwrap_err();
    assert!(refused.to_string().contains("was cancelled"), "{refused}");
    assert_eq!(refused.code(), "database");
    holder.rollback().await.unwrap();
    assert_idle(&db.pool).await;
}

/// A retry would end at the same limit of the session.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_timeout_of_the_session_is_not_retried() {
    let db = Db::empty().await;
    let options = db
        .database
        .options()
        .options([("statement_timeout", "20ms")]);
    let pool = pool_options(2).connect_with(options).await.unwrap();
    let ended = transact(&pool, &POLICY, async |tx| {
        sqlx::query("SELECT pg_sleep(600)").execute(&mut **tx).await
    })
    .await
    .unwrap_err();
    assert_eq!((ended.attempts, ended.reason), (1, StopReason::Permanent));
}
