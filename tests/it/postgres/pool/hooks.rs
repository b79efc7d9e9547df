//! Hooks of the host on the connections of a pool.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use optilock::{postgres::PgRepository, sqlx};

use super::counting;
use crate::support::{
    bank::{Account, Bank, PLACES},
    db::{Db, eventually, pool_options},
};

/// A hook of the host does not replace the ping of an idle connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_of_the_host_keeps_the_ping() {
    let bank = Bank::open(PLACES[0]).await;
    let mut account = bank.accounts.insert(&Account::new(1, 100)).await.unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let hook = Arc::clone(&asked);
    let pool = pool_options(1)
        .ping_after(Duration::ZERO)
        .before_acquire(move |_, _| {
            hook.fetch_add(1, SeqCst);
            Box::pin(async { Ok(true) })
        })
        .connect_with(bank.db.database.options())
        .await
        .unwrap();
    let accounts = PgRepository::<Account>::new(pool.clone());
    for _ in 0..3 {
        let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
            .fetch_one(&pool)
            .await
            .unwrap();
        let ended = async || {
            let ended = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
            sqlx::query_scalar(ended)
                .bind(pid)
                .fetch_one(&bank.pool)
                .await
                .unwrap()
        };
        sqlx::query("SELECT pg_terminate_backend($1)")
            .bind(pid)
            .execute(&bank.pool)
            .await
            .unwrap();
        eventually("the backend has ended", ended).await;
        account = accounts
            .update(&account)
            .await
            .expect("the write uses a live connection");
    }
    assert!(asked.load(SeqCst) >= 3);
}

/// As in sqlx, a hook that returns `false` closes the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_refuses_closes_the_connection() {
    let db = Db::empty().await;
    let opened = Arc::default();
    let pool = counting(&opened)
        .max_connections(1)
        .before_acquire(|_, _| Box::pin(async { Ok(false) }))
        .connect_with(db.database.options())
        .await
        .unwrap();
    for _ in 0..3 {
        sqlx::query("SELECT 1").execute(&pool).await.unwrap();
    }
    assert!(opened.load(SeqCst) >= 3);
}
