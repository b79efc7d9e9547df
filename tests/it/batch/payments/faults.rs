//! A fault costs the payments that it concerns, and no others.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use optilock::{
    inventory::{BatchedInventory, ErrorKind, Inventory, OrderStatus, OrderStep, PgInventory},
    sqlx,
};
use tokio::sync::Notify;

use super::{add_products, always_batched, place_orders, spawn_step};
use crate::{
    batch::OPTIONS,
    support::{
        SHUTDOWN,
        db::{Db, assert_balanced},
        proxy::{Cut, Proxy},
        triggers::{KEEP, SWALLOW, add_trigger, drop_trigger},
    },
};

/// Another session locks one order.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_order_delays_no_other_payment() {
    let (db, shop) = always_batched().await;
    add_products(&shop).await;
    let orders = place_orders(&shop, 50).await;
    let mut holder = db.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM optilock.orders WHERE id = $1 FOR UPDATE")
        .bind(orders[7].uuid())
        .execute(&mut *holder)
        .await
        .unwrap();
    let began = Instant::now();
    let pay = |id| spawn_step(&shop, OrderStep::mark_paid(id));
    let mut payments: Vec<_> = orders.iter().copied().map(pay).collect();
    let held = payments.remove(7);
    for payment in payments {
        payment.await.unwrap().unwrap();
    }
    let took = began.elapsed();
    assert!(!held.is_finished());
    // Half a second is what any batch may wait for a lock.
    assert!(took < Duration::from_secs(2), "{took:?}");
    holder.rollback().await.unwrap();
    let last = held.await.unwrap().unwrap();
    assert_eq!((last.id, last.status), (orders[7], OrderStatus::Paid));
    shop.shutdown(SHUTDOWN).await.unwrap();
    assert_balanced(&db.pool).await;
}

/// A trigger drops the write of one order, or keeps its old values.
#[tokio::test(flavor = "multi_thread")]
async fn a_suppressed_payment_fails_with_its_order() {
    let (db, shop) = always_batched().await;
    add_products(&shop).await;
    for body in [SWALLOW, KEEP] {
        let orders = place_orders(&shop, 20).await;
        let when = format!("WHEN (OLD.id = '{}')", orders[7].uuid());
        add_trigger(&db.pool, "orders", "UPDATE", body, &when).await;
        let pay = |id| spawn_step(&shop, OrderStep::mark_paid(id));
        let payments: Vec<_> = orders.iter().copied().map(pay).collect();
        for (id, payment) in orders.iter().zip(payments) {
            match payment.await.unwrap() {
                Ok(order) => {
                    assert_eq!((order.id, order.status), (*id, OrderStatus::Paid));
                    assert_ne!(*id, orders[7]);
                }
                Err(refused) => {
                    assert_eq!(refused.kind(), ErrorKind::Suppressed, "{refused}");
                    assert_eq!(*id, orders[7]);
                    assert!(refused.to_string().contains(&id.to_string()), "{refused}");
                }
            }
        }
        drop_trigger(&db.pool).await;
        let stored = shop.order(orders[7]).await.unwrap();
        assert_eq!(stored.status, OrderStatus::PendingPayment);
    }
    assert_balanced(&db.pool).await;
}

/// The connection of a batch is cut before the batch arrives, before its answer arrives, or so that the batch
/// arrives late; of orders that the queue knows, and of others.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_connection_dies_takes_effect_once() {
    let (release, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    for cut in [
        Cut::Before,
        Cut::Reply,
        Cut::Late(release.clone(), done.clone()),
    ] {
        for known in [true, false] {
            let cell = format!("{cut:?}, known: {known}");
            let db = Db::new().await;
            let proxy = Proxy::new(&db).await;
            let direct = PgInventory::new(db.pool.clone());
            let inventory = PgInventory::new(proxy.pool(4).await);
            let shop = BatchedInventory::new(inventory.clone(), OPTIONS.always());
            add_products(&direct).await;
            let orders = if known {
                place_orders(&shop, 20).await
            } else {
                place_orders(&BatchedInventory::new(inventory, OPTIONS), 20).await
            };
            proxy.trap(orders[7].uuid().as_bytes(), cut.clone());
            let fail = |id| spawn_step(&shop, OrderStep::mark_payment_failed(id));
            let payments: Vec<_> = orders.iter().copied().map(fail).collect();
            for (id, payment) in orders.iter().zip(payments) {
                let order = payment.await.unwrap().unwrap();
                assert_eq!(
                    (order.id, order.status, order.version.get()),
                    (*id, OrderStatus::PaymentFailed, 2),
                    "{cell}"
                );
            }
            assert!(!proxy.armed());
            if let Cut::Late(..) = cut {
                // The effect is undone, and the batch that arrives late does not repeat it.
                direct.cancel(orders[7], "changed my mind").await.unwrap();
                direct.revive(orders[7]).await.unwrap();
                release.notify_one();
                done.notified().await;
                let order = direct.order(orders[7]).await.unwrap();
                let found = (order.status, order.version.get());
                assert_eq!(found, (OrderStatus::PendingPayment, 4), "{cell}");
            }
            assert_balanced(&db.pool).await;
        }
    }
}
