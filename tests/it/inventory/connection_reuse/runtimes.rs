//! Kept connections of runtimes that stop or stand still.

use std::time::Duration;

use optilock::{
    inventory::{Inventory, PgInventory},
    sqlx::PgPool,
};
use tokio::{runtime::Runtime, time::timeout};

use crate::support::{
    connect::current_thread,
    db::{Db, assert_idle, eventually, pool_options},
    goods::{add, sku},
};

/// Returns a pool of one connection, which the inventory keeps.
fn keep(db: &Db, runtime: &Runtime) -> (PgPool, PgInventory) {
    runtime.block_on(async {
        let pool = pool_options(1)
            .acquire_timeout(Duration::from_millis(300))
            .connect_with(db.database.options())
            .await
            .unwrap();
        let shop = PgInventory::new(pool.clone()).with_connection_reuse();
        shop.product(&sku("pot")).await.unwrap();
        (pool, shop)
    })
}

async fn db() -> Db {
    let db = Db::new().await;
    add(&PgInventory::new(db.pool.clone()), "pot", 5).await;
    db
}

#[test]
fn a_runtime_that_is_dropped_leaves_no_connection_behind() {
    let observing = current_thread();
    let db = observing.block_on(db());
    let runtime = current_thread();
    let (pool, _shop) = keep(&db, &runtime);
    drop(runtime);
    observing.block_on(async {
        timeout(Duration::from_secs(10), pool.close())
            .await
            .expect("no connection is missing");
        assert_idle(&db.pool).await;
    });
}

#[test]
fn a_runtime_that_stands_still_loses_its_connection() {
    let observing = current_thread();
    let db = observing.block_on(db());
    let runtime = current_thread();
    let (pool, shop) = keep(&db, &runtime);
    observing.block_on(async {
        eventually("another runtime has a connection", async || {
            shop.product(&sku("pot")).await.is_ok()
        })
        .await;
        timeout(Duration::from_secs(10), pool.close())
            .await
            .expect("no connection is missing");
        assert_idle(&db.pool).await;
    });
    // What was left of it does no harm when it runs again.
    runtime.block_on(tokio::task::yield_now());
}

#[test]
fn a_runtime_that_unwinds_leaves_no_connection_behind() {
    let observing = current_thread();
    let db = observing.block_on(db());
    let unwound = std::thread::scope(|threads| {
        let unwinding = threads.spawn(|| {
            let runtime = current_thread();
            let (_pool, shop) = keep(&db, &runtime);
            runtime.block_on(async {
                shop.product(&sku("pot")).await.unwrap();
                std::panic::resume_unwind(Box::new("on purpose"));
            })
        });
        unwinding.join()
    });
    assert!(unwound.is_err());
    observing.block_on(assert_idle(&db.pool));
}
