//! Pools, hooks of pools, runtimes, and what classifies errors.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    task::Poll,
    time::{Duration, Instant},
};

use optilock::{
    Class, Classify, RetryError, StopReason,
    postgres::{self, PgRepository, transact},
    sqlx,
};

use super::{POLICY, note, with_notes};
use crate::{
    support::bank::{Account, Bank, PLACES},
    support::db::pool_options,
    support::proxy::Proxy,
};

/// A hook of the host's that panics when a connection comes back: not the business of the caller that drops a
/// future. sqlx runs it in a task of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_panics_does_not_panic_in_a_drop() {
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
    let slow = async || {
        transact(&pool, &POLICY, async |tx| {
            sqlx::query("SELECT pg_sleep(0.2)")
                .execute(&mut **tx)
                .await
                .map(drop)
        })
        .await
    };
    let dropping = async {
        let late = tokio::time::timeout(Duration::from_millis(80), slow()).await;
        assert!(late.is_err());
    };
    armed.store(true, SeqCst);
    let outcome = std::panic::AssertUnwindSafe(dropping);
    let mut outcome = Box::pin(outcome.0);
    let dropped = poll_fn(|context| {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            outcome.as_mut().poll(context)
        })) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await;
    armed.store(false, SeqCst);
    slow().await.unwrap();
    assert!(dropped.is_ok(), "the drop of a future panicked");
}

/// Such a hook that never ends: the pool of one is well again within its limit.
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_hangs_costs_no_connection() {
    let bank = Bank::open(PLACES[0]).await;
    bank.account(1, 100).await;
    for least in [0, 1] {
        let pool = pool_options(1)
            .min_connections(least)
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

/// Idle connections whose network went silent. New ones work.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_pool_whose_network_went_silent_is_well_again_soon() {
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
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(pool.acquire().await.unwrap());
    }
    drop(held);
    crate::support::db::eventually("idle", async || pool.num_idle() == 4).await;
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

/// A future dropped inside another runtime, which is entered and not driven: the pool is another one's.
#[test]
fn a_drop_within_a_runtime_that_stands_still_costs_no_connection() {
    let own = tokio::runtime::Runtime::new().unwrap();
    let other = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (db, pool) = own.block_on(async {
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
    own.block_on(async {
        let _ = tokio::time::timeout(Duration::from_millis(150), future.as_mut()).await;
    });
    {
        let _entered = other.enter();
        drop(future);
    }
    let again = own.block_on(transact(&pool, &POLICY, async |tx| note(tx, "again").await));
    drop(other);
    own.block_on(async move {
        pool.close().await;
        drop(db);
    });
    again.unwrap();
}

/// A host's error that asks another one for its class (to log it, say): what that one says must not have
/// the operation run again behind the policy's back.
#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_error_is_not_run_again_for_a_class_that_was_asked_for() {
    #[derive(Debug)]
    struct Refused(Option<postgres::Error>);
    impl From<sqlx::Error> for Refused {
        fn from(error: sqlx::Error) -> Self {
            Self(Some(error.into()))
        }
    }
    impl Classify for Refused {
        fn class(&self) -> Class {
            if let Some(before) = &self.0 {
                println!("after {}", before.class());
            }
            Class::Permanent
        }
    }
    let bank = Bank::open(PLACES[0]).await;
    bank.account(1, 100).await;
    let pool = pool_options(1)
        .connect_with(bank.db.database.options())
        .await
        .unwrap();
    let accounts = PgRepository::<Account>::new(bank.pool.clone());
    for _ in 0..3 {
        transact(&pool, &POLICY, async |tx| accounts.get_in(tx, &1).await)
            .await
            .unwrap();
    }
    bank.run("ALTER TABLE bank.accounts ALTER COLUMN owner TYPE varchar(99)")
        .await;
    let runs = AtomicU32::new(0);
    let ended: Result<(), RetryError<Refused>> = transact(&pool, &POLICY, async |tx| {
        runs.fetch_add(1, SeqCst);
        let read = accounts.get_in(tx, &1).await;
        Err(Refused(read.err()))
    })
    .await;
    assert_eq!(
        (ended.unwrap_err().reason, runs.load(SeqCst)),
        (StopReason::Permanent, 1)
    );
}

/// A savepoint whose operation panics, and whose panic is caught.
#[tokio::test(flavor = "multi_thread")]
async fn a_savepoint_that_panics_and_is_caught_is_rolled_back() {
    let db = with_notes().await;
    let ended: Result<(), RetryError<sqlx::Error>> = transact(&db.pool, &POLICY, async |tx| {
        note(tx, "before").await?;
        {
            let mut inner = pin!(tx.savepoint(async |tx| {
                note(tx, "inner").await?;
                if true {
                    panic!("inside");
                }
                Ok::<_, sqlx::Error>(())
            }));
            poll_fn(|context| {
                let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    inner.as_mut().poll(context)
                }));
                match polled {
                    Ok(Poll::Pending) => Poll::Pending,
                    _ => Poll::Ready(()),
                }
            })
            .await;
        }
        note(tx, "after").await
    })
    .await;
    assert!(ended.is_err());
    assert!(super::notes(&db.pool).await.is_empty());
}

/// Two transactions whose connections an operation swapped: both are unknown, neither is told to be done.
#[tokio::test(flavor = "multi_thread")]
async fn swapped_connections_are_noticed() {
    let db = with_notes().await;
    let ended: Result<(), RetryError<sqlx::Error>> = transact(&db.pool, &POLICY, async |outer| {
        note(outer, "outer").await?;
        let cell = tokio::sync::Mutex::new(outer);
        let inner: Result<(), RetryError<sqlx::Error>> =
            transact(&db.pool, &POLICY, async |inner| {
                note(inner, "inner").await?;
                let mut outer = cell.lock().await;
                std::mem::swap(&mut ***outer, &mut **inner);
                Ok(())
            })
            .await;
        assert_eq!(inner.unwrap_err().class(), Class::Unknown);
        Ok(())
    })
    .await;
    assert_eq!(ended.unwrap_err().class(), Class::Unknown);
    assert!(super::notes(&db.pool).await.is_empty());
}
