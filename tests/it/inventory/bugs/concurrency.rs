//! Bugs of locks: deadlocks and skipped rows.

use std::time::Duration;

use optilock::inventory::{ErrorKind, HoldState, Inventory, Reserve};

use super::{at_once, shop};
use crate::{
    support::bank::until_waiting,
    support::db::{assert_balanced, deadlocks},
    support::goods::{cart, sku, stock_of, units},
};

/// The shop locked products in the order of the cart.
#[tokio::test(flavor = "multi_thread")]
async fn saleor_17123_carts_in_opposite_orders_do_not_deadlock() {
    let (db, shop) = shop(&[("pot", 9_999), ("mug", 9_999), ("jug", 9_999)]).await;
    let carts = [
        ["pot", "mug", "jug"],
        ["jug", "mug", "pot"],
        ["mug", "jug", "pot"],
    ];
    at_once(12, |number| {
        let shop = shop.clone();
        async move {
            for _ in 0..15 {
                let lines = carts[number % 3].map(|name| (name, 1));
                let order = shop.checkout(cart(&lines)).await.unwrap();
                match number % 4 {
                    0 => shop.cancel(order.id, "test").await.map(drop).unwrap(),
                    1 => shop
                        .cleanup_failed_orders(Duration::from_secs(60))
                        .await
                        .map(drop)
                        .unwrap(),
                    _ => {}
                }
            }
        }
    })
    .await;
    assert_eq!(deadlocks(&db.pool).await, 0);
    assert_balanced(&db.pool).await;
}

/// The shop locked a basket and its order in different orders.
#[tokio::test(flavor = "multi_thread")]
async fn oscar_4594_a_reservation_and_its_order_do_not_deadlock() {
    let (db, shop) = shop(&[("pot", 50), ("mug", 50)]).await;
    for _ in 0..10 {
        let lines = [(sku("mug"), units(1)), (sku("pot"), units(2))];
        let held = shop.reserve(Reserve::new(lines).unwrap()).await.unwrap().id;
        let ended = at_once(6, |number| {
            let shop = shop.clone();
            async move {
                let buy = cart(&[("pot", 2), ("mug", 1)]).with_reservation(held);
                match number % 3 {
                    0 => shop.checkout(buy).await.is_ok(),
                    1 => shop.release(held).await.is_err(),
                    _ => {
                        let extended = shop.extend(held, Duration::from_secs(900)).await;
                        if let Err(refused) = extended {
                            let kind = refused.kind();
                            assert_eq!(kind, ErrorKind::ReservationClosed, "{refused:?}");
                        }
                        false
                    }
                }
            }
        })
        .await;
        assert!(ended.into_iter().filter(|&bought| bought).count() <= 1);
        let holds = shop.reservation(held).await.unwrap().holds;
        assert!(holds.iter().all(|hold| hold.state != HoldState::Held));
    }
    assert_eq!(deadlocks(&db.pool).await, 0);
    assert_balanced(&db.pool).await;
}

/// The shop skipped a locked row, treated it as missing and created it again.
#[tokio::test(flavor = "multi_thread")]
async fn odoo_272560_a_skipped_order_is_cancelled_later_and_once() {
    let (db, shop) = shop(&[("pot", 5)]).await;
    let order = shop.checkout(cart(&[("pot", 2)])).await.unwrap().id;
    let mut payment = db.pool.begin().await.unwrap();
    shop.mark_payment_failed_in(&mut payment, order)
        .await
        .unwrap();
    let skipped = shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    assert_eq!((skipped.orders, skipped.skipped), (0, 1));
    payment.commit().await.unwrap();
    // The same call waits shortly for an order that it skipped, and cancels it.
    let mut sale = db.pool.begin().await.unwrap();
    let bought = shop
        .checkout_in(&mut sale, &cart(&[("pot", 1)]))
        .await
        .unwrap();
    shop.mark_paid_in(&mut sale, bought.id).await.unwrap();
    let ending = async {
        until_waiting(&db.pool).await;
        sale.commit().await.unwrap();
    };
    let (swept, ()) = tokio::join!(shop.cleanup_failed_orders(Duration::ZERO), ending);
    assert_eq!(swept.unwrap().orders, 1);
    assert_eq!(stock_of(&shop, "pot").await, 4);
    assert_balanced(&db.pool).await;
}
