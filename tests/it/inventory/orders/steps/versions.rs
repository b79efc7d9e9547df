//! Steps that expect a version of the order.

use std::time::Duration;

use optilock::{
    Version,
    inventory::{
        BatchOptions, BatchedInventory, ErrorKind, Inventory, MemoryInventory, OrderStatus,
        OrderStep, PgInventory, ReturnRequest,
    },
    sqlx,
};

use super::request::{is_conflict, shop};
use crate::{
    support::db::{Db, assert_balanced},
    support::goods::{add, cart, sku, units},
};

/// The example of the guide, with every inventory.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_cancellation_of_a_revived_order_is_refused() {
    let (db, direct) = shop().await;
    let batched = BatchedInventory::new(direct.clone(), BatchOptions::new().always());
    let memory = MemoryInventory::new();
    add(&memory, "pot", 9_000).await;
    add(&memory, "mug", 9_000).await;
    for shop in [&direct as &dyn Inventory, &batched, &memory] {
        let seen = shop.checkout(cart(&[("pot", 2)])).await.unwrap();
        let cancel = OrderStep::cancel(seen.id, "changed my mind").expecting_version(seen.version);
        let cancelled = shop.step(cancel.clone()).await.unwrap();
        assert_eq!(
            (
                cancelled.status,
                cancelled.version.get(),
                cancelled.replayed
            ),
            (OrderStatus::Cancelled, 2, false)
        );
        assert_eq!(cancelled.reason.as_deref(), Some("changed my mind"));
        assert!(shop.step(cancel.clone()).await.unwrap().replayed);
        shop.revive(seen.id).await.unwrap();
        let again = shop.step(cancel.clone()).await;
        assert!(is_conflict(&again, 1, 3), "{again:?}");
        let order = shop.order(seen.id).await.unwrap();
        assert_eq!(
            (order.status, order.version.get()),
            (OrderStatus::PendingPayment, 3)
        );
        // The version is the expected one, but a paid order cannot be cancelled.
        let paid = shop.mark_paid(seen.id).await.unwrap();
        let late = OrderStep::cancel(seen.id, "late").expecting_version(paid.version);
        let refused = shop.step(late).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidOrderState, "{refused:?}");
        let ahead = OrderStep::mark_paid(seen.id).expecting_version(Version::new(9).unwrap());
        let refused = shop.step(ahead).await;
        assert!(is_conflict(&refused, 9, 4), "{refused:?}");
    }
    assert_balanced(&db.pool).await;
}

/// A return is made once by its id, and only at the version it expects.
#[tokio::test(flavor = "multi_thread")]
async fn a_return_at_another_version_is_refused() {
    let (db, direct) = shop().await;
    let memory = MemoryInventory::new();
    add(&memory, "pot", 9_000).await;
    for shop in [&direct as &dyn Inventory, &memory] {
        let order = shop.checkout(cart(&[("pot", 3)])).await.unwrap();
        let paid = shop.mark_paid(order.id).await.unwrap();
        let back = || ReturnRequest::new(order.id, [(sku("pot"), units(1))], "broken").unwrap();
        let first = back().expecting_version(paid.version);
        let made = shop.return_items(first.clone()).await.unwrap();
        assert_eq!((made.version.get(), made.lines[0].returned), (3, 1));
        shop.return_items(back()).await.unwrap();
        // The replay returns the current order.
        let again = shop.return_items(first).await.unwrap();
        assert!(again.replayed);
        assert_eq!((again.version.get(), again.lines[0].returned), (4, 2));
        let stale = shop
            .return_items(back().expecting_version(paid.version))
            .await;
        assert!(is_conflict(&stale, 2, 4), "{stale:?}");
    }
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_in_the_callers_transaction_is_rolled_back_with_it() {
    let (db, shop) = shop().await;
    let order = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let mut tx = db.pool.begin().await.unwrap();
    let paid = OrderStep::mark_paid(order.id).expecting_version(order.version);
    let made = shop.step_in(&mut tx, &paid).await.unwrap();
    assert!(!made.replayed);
    let replayed = shop.step_in(&mut tx, &paid).await.unwrap();
    assert!(replayed.replayed);
    tx.rollback().await.unwrap();
    assert_eq!(shop.order(order.id).await.unwrap(), order);
}

/// A revived order awaits payment from then on: a clean-up does not take it for an old one.
#[tokio::test]
async fn a_revived_order_is_not_as_old_as_before() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 9).await;
    let order = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let older = "UPDATE optilock.orders SET created_at = now() - interval '2 hours',
        pending_since = now() - interval '2 hours'";
    sqlx::query(older).execute(&db.pool).await.unwrap();
    shop.cancel(order.id, "test").await.unwrap();
    shop.revive(order.id).await.unwrap();
    let cleaned = shop.cleanup_failed_orders(Duration::from_secs(3_600)).await;
    assert_eq!(cleaned.unwrap().orders, 0);
}
