//! Pools, their hooks, and runtimes.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use optilock::{
    postgres::{PgRepository, transact},
    sqlx,
};

use super::POLICY;
use crate::support::{
    bank::{Account, Bank, PLACES},
    connect::{current_thread, open_all, sleep_in_transaction},
    db::{eventually, pool_options},
    notes::{note, with_notes},
    polling::CatchPanic,
    proxy::Proxy,
};

/// A host's hook panics when a dropped future returns its connection. sqlx runs the hook in another task.
#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_future_does_not_panic_if_a_release_hook_panics() {
    let db = with_notes().await;
    let armed = Arc::new(AtomicBool::new(false));
    let hook = Arc::clone(&armed);
    let pool = pool_options(1)
        .after_release(move |_, _| {
            assert!(!hook.load(SeqCst), "the host's hook panics");
            Box::pin(async { Ok(true) })
        })
        .connect_with(db.database.options())
        .await
        .unwrap();
    armed.store(true, SeqCst);
    let dropped = CatchPanic(pin!(async {
        let limit = Duration::from_millis(80);
        let late = tokio::time::timeout(limit, sleep_in_transaction(&pool, &POLICY)).await;
        assert!(late.is_err());
    }))
    .await;
    armed.store(false, SeqCst);
    sleep_in_transaction(&pool, &POLICY).await.unwrap();
    assert!(
        dropped.is_ok(),
        "the drop of a future panicked: {dropped:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_hook_that_hangs_costs_no_connection() {
    let bank = Bank::open(PLACES[0]).await;
    bank.account(1, 100).await;
    for min_connections in [0, 1] {
        let pool = pool_options(1)
            .min_connections(min_connections)
            .after_release(|_, _| Box::pin(std::future::pending()))
            .connect_with(bank.db.database.options())
            .await
            .unwrap();
        let accounts = PgRepository::<Account>::new(pool.clone());
        let start = Instant::now();
        for _ in 0..3 {
            accounts.get(&1).await.unwrap();
        }
        assert!(
            start.elapsed() < Duration::from_secs(6),
            "{:?}",
            start.elapsed()
        );
    }
}

/// The network of the idle connections is silent; new connections work.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_pool_on_a_silent_network_recovers_within_five_seconds() {
    let bank = Bank::open(PLACES[0]).await;
    bank.account(1, 100).await;
    let proxy = Proxy::new(&bank.db).await;
    let pool = proxy
        .pool_with(
            optilock::postgres::pool_options()
                .max_connections(4)
                .ping_after(Duration::ZERO),
        )
        .await;
    let accounts = PgRepository::<Account>::new(pool.clone());
    open_all(&pool, 4).await;
    eventually("all connections are idle", async || pool.num_idle() == 4).await;
    proxy.silence();
    let (start, mut busy) = (Instant::now(), 0);
    while accounts.get(&1).await.is_err() {
        busy += 1;
    }
    assert!(
        busy == 0 && start.elapsed() < Duration::from_secs(5),
        "{busy} operations were busy, {:?} until the first that worked",
        start.elapsed()
    );
}

/// The future is dropped inside a second runtime, which is entered and not driven. Its pool belongs to the
/// first.
#[test]
fn a_drop_inside_a_runtime_that_is_not_driven_costs_no_connection() {
    let driven = tokio::runtime::Runtime::new().unwrap();
    let not_driven = current_thread();
    let (db, pool) = driven.block_on(async {
        let db = with_notes().await;
        let options = pool_options(1).acquire_timeout(Duration::from_secs(5));
        let pool = options.connect_with(db.database.options()).await.unwrap();
        (db, pool)
    });
    let mut future = Box::pin(transact(&pool, &POLICY, async |tx| {
        note(tx, "never").await?;
        sqlx::query("SELECT pg_sleep(0.3)")
            .execute(&mut **tx)
            .await
            .map(drop)
    }));
    driven.block_on(async {
        let _ = tokio::time::timeout(Duration::from_millis(150), future.as_mut()).await;
    });
    {
        let _entered = not_driven.enter();
        drop(future);
    }
    let again = driven.block_on(transact(&pool, &POLICY, async |tx| note(tx, "again").await));
    drop(not_driven);
    driven.block_on(async move {
        pool.close().await;
        drop(db);
    });
    again.unwrap();
}
