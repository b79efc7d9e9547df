//! Messages of a first attempt that reach the server after its connection was cut.

use optilock::inventory::{Adjustment, Inventory, OrderStatus, Strategy};

use super::{Late, ProxiedShop, carts, sale_of};
use crate::{
    support::bank::until_waiting,
    support::db::assert_balanced,
    support::goods::{cart, sku},
};

/// The first attempt reaches the server after the answer to the second.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_delivery_has_no_second_effect() {
    for request in carts() {
        let proxied = ProxiedShop::new(Strategy::Guarded).await;
        for name in ["pot", "mug"] {
            let delivery = Adjustment::new(sku(name), 9, "delivery").unwrap();
            proxied.direct.adjust_stock(delivery).await.unwrap();
        }
        let late = Late::new();
        proxied.trap(&request, late.cut());
        let order = proxied.shop.checkout(request).await.unwrap();
        assert!(!proxied.proxy.armed() && !order.replayed);
        late.deliver().await;
        proxied.assert_left(9, 1).await;
    }
}

/// The first attempt is delayed, the second is refused, stock is delivered, and the first arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_after_an_unknown_outcome_is_final() {
    for strategy in [Strategy::Guarded, Strategy::Optimistic] {
        for request in carts() {
            let proxied = ProxiedShop::new(strategy).await;
            // Another transaction takes the last unit: until its commit, a read still finds it.
            let mut tx = proxied.db.pool.begin().await.unwrap();
            proxied
                .direct
                .checkout_in(&mut tx, &cart(&[("pot", 1)]))
                .await
                .unwrap();
            let late = Late::new();
            proxied.proxy.trap(&sale_of(&request), late.cut());
            let buyer = proxied.spawn(&request);
            until_waiting(&proxied.db.pool).await;
            assert!(!proxied.proxy.armed(), "the second attempt waits");
            tx.commit().await.unwrap();
            let refused = buyer.await.unwrap().unwrap_err();
            assert!(refused.is_insufficient_stock(), "{strategy:?}: {refused:?}");

            let delivery = Adjustment::new(sku("pot"), 5, "delivery").unwrap();
            proxied.direct.adjust_stock(delivery).await.unwrap();
            late.deliver().await;
            proxied.assert_left(5, 1).await;
            let void = proxied.direct.order(request.order_id()).await.unwrap();
            assert_eq!((void.status, void.lines.len()), (OrderStatus::Void, 0));
            let closed = proxied.shop.checkout(request).await.unwrap_err();
            assert_eq!(
                (closed.code(), closed.http_status()),
                ("invalid-order-state", 409)
            );
            assert_balanced(&proxied.db.pool).await;
        }
    }
}

/// The `COMMIT` of the first attempt is delayed while that attempt holds the product's lock.
#[tokio::test(flavor = "multi_thread")]
async fn the_second_attempt_waits_for_a_late_commit() {
    for request in carts() {
        let proxied = ProxiedShop::new(Strategy::Pessimistic).await;
        let late = Late::new();
        proxied.proxy.trap(b"COMMIT\0", late.cut());
        let buyer = proxied.spawn(&request);
        until_waiting(&proxied.db.pool).await;
        late.deliver().await;
        let order = buyer.await.unwrap().unwrap();
        assert!(order.replayed && order.id == request.order_id());
        proxied.assert_left(0, 1).await;
    }
}
