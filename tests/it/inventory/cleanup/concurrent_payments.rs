//! Payments during a cleanup.

use std::time::Duration;

use optilock::{
    inventory::{Cleanup, Inventory, PgInventory},
    sqlx,
};

use super::{OLD, add_unpaid_orders};
use crate::{
    support::bank::until_waiting,
    support::db::{Db, assert_balanced},
    support::goods::{add, cart},
    support::triggers::run,
};

/// The cleanup reads a skipped order again before it cancels it.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_paid_during_the_cleanup_is_not_cancelled() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    let order = shop.checkout(cart(&[("pot", 2)])).await.unwrap().id;
    let mut payment = db.pool.begin().await.unwrap();
    shop.mark_paid_in(&mut payment, order).await.unwrap();
    let (done, ()) = tokio::join!(shop.cleanup_failed_orders(Duration::ZERO), async {
        until_waiting(&db.pool).await;
        payment.commit().await.unwrap();
    });
    assert_eq!(done.unwrap(), Cleanup::default());
    assert_balanced(&db.pool).await;
}

/// Keys are read by pages. Another session holds the lock of one of the orders.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_removed_page_by_page() {
    let db = Db::new().await;
    add_unpaid_orders(&db.pool, 3_000, 10, 1).await;
    run(
        &db.pool,
        "UPDATE optilock.orders o SET idempotency_key = 'key' || m.n FROM public.made m
             WHERE m.id = o.id AND m.n % 3 = 0",
    )
    .await;
    let shop = PgInventory::new(db.pool.clone());
    let mut payment = db.pool.begin().await.unwrap();
    let lock = "SELECT id FROM optilock.orders WHERE idempotency_key = 'key3' FOR UPDATE";
    sqlx::query(lock).execute(&mut *payment).await.unwrap();
    let (removed, ()) = tokio::join!(shop.cleanup_idempotency_keys(OLD), async {
        until_waiting(&db.pool).await;
        payment.commit().await.unwrap();
    });
    assert_eq!(removed.unwrap(), 1_000);
    assert_eq!(shop.cleanup_idempotency_keys(OLD).await.unwrap(), 0);
}
