//! When a kept connection returns to the pool.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use optilock::{
    inventory::{Inventory, PgInventory},
    sqlx::{self, PgPool},
};
use tokio::{task::JoinSet, time::timeout};

use crate::support::{
    connect::{open_all, pool_of},
    db::{Db, assert_balanced, assert_idle, eventually},
    goods::{add, cart, sku},
    polling::PollAtMost,
};

/// Callers that check out again and again.
struct Load {
    stop: Arc<AtomicBool>,
    orders: Arc<AtomicU64>,
    callers: JoinSet<()>,
}

impl Load {
    fn begin(shop: &PgInventory, callers: usize) -> Self {
        let (stop, orders) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let callers = (0..callers).map(|_| {
            let (shop, stop, orders) = (shop.clone(), Arc::clone(&stop), Arc::clone(&orders));
            async move {
                // An error ends the caller: the pool is closed.
                while !stop.load(SeqCst) && shop.checkout(cart(&[("pot", 1)])).await.is_ok() {
                    orders.fetch_add(1, SeqCst);
                }
            }
        });
        let callers = callers.collect();
        Self {
            stop,
            orders,
            callers,
        }
    }

    async fn at_least(&self, orders: u64) {
        let orders = self.orders.load(SeqCst) + orders;
        eventually("the callers make progress", async || {
            self.orders.load(SeqCst) >= orders
        })
        .await;
    }

    async fn end(self) {
        self.stop.store(true, SeqCst);
        self.callers.join_all().await;
    }
}

async fn shop_on(db: &Db, connections: u32) -> (PgPool, PgInventory) {
    let pool = pool_of(db, connections).await;
    let shop = PgInventory::new(pool.clone()).with_connection_reuse();
    add(&shop, "pot", 1_000_000).await;
    (pool, shop)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_returns_soon() {
    let db = Db::new().await;
    let (pool, shop) = shop_on(&db, 4).await;
    open_all(&pool, 4).await;
    for _ in 0..3 {
        let start = Instant::now();
        for _ in 0..4 {
            shop.product(&sku("pot")).await.unwrap();
        }
        eventually("every connection is back in the pool", async || {
            pool.num_idle() == 4
        })
        .await;
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}

/// Every connection of the pool is in use all the time, by as many callers as connections or by more.
#[tokio::test(flavor = "multi_thread")]
async fn other_users_of_the_pool_get_their_turn() {
    let db = Db::new().await;
    for callers in [2, 8] {
        let (pool, shop) = match callers {
            2 => shop_on(&db, 2).await,
            _ => {
                let pool = pool_of(&db, 2).await;
                let shop = PgInventory::new(pool.clone()).with_connection_reuse();
                (pool, shop)
            }
        };
        let load = Load::begin(&shop, callers);
        load.at_least(100).await;
        let mut times = Vec::new();
        for _ in 0..50 {
            let start = Instant::now();
            let one: i32 = sqlx::query_scalar("SELECT 1")
                .fetch_one(&pool)
                .await
                .unwrap();
            times.push(start.elapsed());
            assert_eq!(one, 1);
            load.at_least(10).await;
        }
        load.end().await;
        times.sort_unstable();
        println!(
            "{callers} callers: another user of the pool waited for {:?}, at most for {:?}",
            times[times.len() / 2],
            times[times.len() - 1]
        );
        assert!(
            times[times.len() / 2] < Duration::from_millis(200),
            "{times:?}"
        );
    }
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_can_be_closed() {
    let db = Db::new().await;
    let (pool, shop) = shop_on(&db, 4).await;
    let load = Load::begin(&shop, 8);
    load.at_least(100).await;
    timeout(Duration::from_secs(10), pool.close())
        .await
        .expect("every connection has returned");
    load.end().await;
    let refused = shop.product(&sku("pot")).await;
    refused.expect_err("the pool is closed");
    assert_idle(&db.pool).await;
    // Without load, with kept connections only.
    let pool = pool_of(&db, 4).await;
    let shop = PgInventory::new(pool.clone()).with_connection_reuse();
    shop.product(&sku("pot")).await.unwrap();
    timeout(Duration::from_secs(10), pool.close())
        .await
        .expect("the kept connection has returned");
    assert_balanced(&db.pool).await;
}

/// The future is dropped after every poll, on a connection that was kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_operation_leaves_a_clean_connection() {
    let db = Db::new().await;
    let (pool, shop) = shop_on(&db, 1).await;
    for polls in 1..40 {
        shop.product(&sku("pot")).await.unwrap();
        let dropped = Box::pin(shop.checkout(cart(&[("pot", 1)])));
        let answer = PollAtMost(dropped, polls).await;
        let next = timeout(Duration::from_secs(10), shop.product(&sku("pot"))).await;
        let product = next.expect("the connection is usable").unwrap();
        assert_eq!(product.sku, sku("pot"));
        if answer.is_some() {
            break;
        }
    }
    assert_idle(&db.pool).await;
    assert_balanced(&pool).await;
}
