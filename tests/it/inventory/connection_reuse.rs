//! Connections that are kept from one operation to the next.

mod returned;
mod runtimes;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use optilock::{
    inventory::{Accepted, BoxError, Inventory, OnAccepted, PgInventory, Strategy},
    sqlx::{PgConnection, PgPool},
};

use crate::support::{
    connect::open_all,
    db::{Db, assert_balanced, pool_options},
    goods::{add, cart, sku},
};

/// Returns a pool and the number of its connections that were acquired so far.
async fn counting(db: &Db, connections: u32) -> (PgPool, Arc<AtomicU32>) {
    let acquired = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&acquired);
    let pool = pool_options(connections)
        .before_acquire(move |_, _| {
            count.fetch_add(1, SeqCst);
            Box::pin(async { Ok(true) })
        })
        .connect_with(db.database.options())
        .await
        .unwrap();
    (pool, acquired)
}

/// How often a kept connection may return on a busy machine, as the next operation follows after more than 2 ms.
const LATE: u32 = 80;

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_operations_use_one_connection() {
    let db = Db::new().await;
    let (pool, acquired) = counting(&db, 4).await;
    // The hook is not called for a new connection.
    open_all(&pool, 4).await;
    let shop = PgInventory::new(pool);
    add(&shop, "pot", 10_000).await;
    let reusing = shop.clone().with_connection_reuse();
    for strategy in [
        Strategy::Guarded,
        Strategy::Optimistic,
        Strategy::Pessimistic,
    ] {
        let (shop, reusing) = (
            shop.clone().with_strategy(strategy),
            reusing.clone().with_strategy(strategy),
        );
        for (shop, least, most) in [(&shop, 320, 320), (&reusing, 20, 20 + LATE)] {
            let before = acquired.load(SeqCst);
            for _ in 0..160 {
                let order = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
                shop.order(order.id).await.unwrap();
            }
            let times = acquired.load(SeqCst) - before;
            assert!(
                (least..=most).contains(&times),
                "{strategy:?}: {times} instead of {least} to {most}"
            );
        }
    }
    assert_balanced(&db.pool).await;
}

/// What is known of the connection after a failure is not enough to keep it.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_not_kept_after_a_failure() {
    let db = Db::new().await;
    let (pool, acquired) = counting(&db, 1).await;
    let shop = PgInventory::new(pool).with_connection_reuse();
    add(&shop, "pot", 1).await;
    for strategy in [
        Strategy::Guarded,
        Strategy::Optimistic,
        Strategy::Pessimistic,
    ] {
        let shop = shop.clone().with_strategy(strategy);
        let before = acquired.load(SeqCst);
        for _ in 0..10 {
            let refused = shop.checkout(cart(&[("pot", 2)])).await;
            assert!(refused.unwrap_err().is_insufficient_stock());
        }
        // The first one may have taken the connection that was kept before.
        assert!(acquired.load(SeqCst) - before >= 9, "{strategy:?}");
    }
}

struct Hook;

#[async_trait::async_trait]
impl OnAccepted for Hook {
    async fn on_accepted(&self, _: &mut PgConnection, _: &Accepted) -> Result<(), BoxError> {
        Ok(())
    }
}

/// The hook has the connection and may change its session.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_not_kept_after_a_hook_of_the_host() {
    let db = Db::new().await;
    let (pool, acquired) = counting(&db, 1).await;
    let shop = PgInventory::new(pool).with_connection_reuse();
    add(&shop, "pot", 1_000).await;
    let shop = shop.with_hook(Arc::new(Hook));
    let before = acquired.load(SeqCst);
    for _ in 0..10 {
        shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    }
    assert!(acquired.load(SeqCst) - before >= 9);
    shop.product(&sku("pot")).await.unwrap();
}
