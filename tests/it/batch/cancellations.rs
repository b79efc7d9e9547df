//! Many cancellations in one statement.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use optilock::{
    inventory::{BatchedInventory, Error, Inventory, OrderId, OrderStatus, PgInventory},
    sqlx,
};
use tokio::task::JoinSet;

use super::{OPTIONS, buyers, shop};
use crate::support::{
    bank::until_waiting,
    db::{Db, Default, assert_books, deadlocks},
    goods::{add, cart, stock_of},
};

/// Ten thousand wait, and what each of them costs.
/// How many transactions cancelled orders.
async fn cancelling_transactions(db: &Db) -> i64 {
    sqlx::query_scalar("SELECT count(DISTINCT xmin::text) FROM optilock.orders WHERE status = 3")
        .fetch_one(&db.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn cancellations_of_one_product_share_statements() {
    for default in [
        Default::ReadCommitted,
        Default::RepeatableRead,
        Default::Serializable,
    ] {
        let (db, shop) = shop(default).await;
        add(&shop, "jug", 200).await;
        add(&shop, "pot", 400).await;
        let mut orders = Vec::new();
        for bought in buyers(&shop, (0..200).map(|_| cart(&[("jug", 1), ("pot", 2)]))) {
            orders.push(bought.await.unwrap().unwrap().id);
        }
        let calls = shop.inventory().stats().calls;
        let mut cancels = JoinSet::new();
        for (number, id) in orders.into_iter().enumerate() {
            let shop = shop.clone();
            cancels.spawn(async move {
                let reason = format!("reason {number}");
                let order = shop.cancel(id, &reason).await.unwrap();
                assert_eq!((order.id, order.status), (id, OrderStatus::Cancelled));
                assert_eq!(order.reason.as_deref(), Some(&*reason));
                assert!(!order.replayed);
                let lines = order.lines.iter().map(|line| line.quantity.get());
                assert_eq!(lines.collect::<Vec<_>>(), [1, 2]);
            });
        }
        cancels.join_all().await;
        assert_eq!(shop.inventory().stats().calls - calls, 200);
        let transactions = cancelling_transactions(&db).await;
        assert!(
            transactions < 100,
            "{default:?}: {transactions} transactions for 200 cancels"
        );
        let stocks = (stock_of(&shop, "jug").await, stock_of(&shop, "pot").await);
        assert_eq!(stocks, (200, 400));
        assert_books(&db.pool).await;
    }
}

/// Each is answered as if it had come alone.
#[tokio::test]
async fn cancellations_of_a_batch_have_separate_answers() {
    let db = Db::with(Default::ReadCommitted, 16).await;
    let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), OPTIONS.always());
    add(&shop, "pot", 9).await;
    let buy = async || shop.checkout(cart(&[("pot", 1)])).await.unwrap().id;
    let (twice, paid, once) = (buy().await, buy().await, buy().await);
    shop.mark_paid(paid).await.unwrap();
    let unknown = OrderId::new();
    let cancel = |id| shop.cancel(id, "changed my mind");
    // On one thread, so that the worker begins when all of them wait.
    let (first, of_paid, of_unknown, second, of_once) = tokio::join!(
        cancel(twice),
        cancel(paid),
        cancel(unknown),
        cancel(twice),
        cancel(once)
    );
    assert!(!first.unwrap().replayed);
    assert!(second.unwrap().replayed);
    assert_eq!(of_once.unwrap().status, OrderStatus::Cancelled);
    let closed = matches!(
        of_paid,
        Err(Error::InvalidOrderState { id, status: OrderStatus::Paid }) if id == paid
    );
    assert!(closed, "{of_paid:?}");
    assert!(of_unknown.unwrap_err().is_not_found());
    assert!(matches!(
        shop.cancel(once, " ").await,
        Err(Error::Invalid { .. })
    ));
    assert_eq!(stock_of(&shop, "pot").await, 8);
    assert_books(&db.pool).await;
}

/// Somebody holds one order for long: whoever cancels another is not to wait for him.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_order_delays_no_other_cancellation() {
    let (db, direct) = shop(Default::ReadCommitted).await;
    let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), OPTIONS.always());
    add(&shop, "pot", 30).await;
    let mut orders = Vec::new();
    for bought in buyers(&direct, (0..20).map(|_| cart(&[("pot", 1)]))) {
        orders.push(bought.await.unwrap().unwrap().id);
    }
    let mut holder = db.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM optilock.orders WHERE id = $1 FOR UPDATE")
        .bind(orders[0].uuid())
        .execute(&mut *holder)
        .await
        .unwrap();
    let mut cancels = JoinSet::new();
    for id in orders.clone() {
        let shop = shop.clone();
        cancels.spawn(async move { shop.cancel(id, "changed my mind").await });
    }
    for _ in 1..orders.len() {
        let done = cancels.join_next().await.unwrap().unwrap().unwrap();
        assert_ne!(done.id, orders[0]);
    }
    holder.rollback().await.unwrap();
    let last = cancels.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(last.id, orders[0]);
    shop.shutdown().await;
    assert_eq!(stock_of(&shop, "pot").await, 30);
    assert_books(&db.pool).await;
}

/// A payment that is about to commit: what it leaves is what counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_waits_for_a_payment() {
    let (db, direct) = shop(Default::ReadCommitted).await;
    let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), OPTIONS.always());
    add(&shop, "pot", 9).await;
    let id = direct.checkout(cart(&[("pot", 1)])).await.unwrap().id;
    let mut payment = db.pool.begin().await.unwrap();
    shop.inventory()
        .mark_paid_in(&mut payment, id)
        .await
        .unwrap();
    let cancel = tokio::spawn({
        let shop = shop.clone();
        async move { shop.cancel(id, "changed my mind").await }
    });
    until_waiting(&db.pool).await;
    payment.commit().await.unwrap();
    let refused = cancel.await.unwrap().unwrap_err();
    assert!(
        matches!(
            refused,
            Error::InvalidOrderState {
                status: OrderStatus::Paid,
                ..
            }
        ),
        "{refused:?}"
    );
    assert_eq!(stock_of(&shop, "pot").await, 8);
    assert_books(&db.pool).await;
}

/// Cancels, payments and clean-ups of the same orders: each order ends once.
#[tokio::test(flavor = "multi_thread")]
async fn cancellations_payments_and_cleanups_end_each_order_once() {
    let (db, shop) = shop(Default::ReadCommitted).await;
    add(&shop, "jug", 1_000).await;
    add(&shop, "pot", 1_000).await;
    let mut orders = Vec::new();
    for bought in buyers(&shop, (0..400).map(|_| cart(&[("jug", 1), ("pot", 1)]))) {
        orders.push(bought.await.unwrap().unwrap().id);
    }
    let (paid, cancelled) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut steps = JoinSet::new();
    for (number, id) in orders.iter().copied().enumerate() {
        for step in 0..3 {
            let (shop, paid, cancelled) = (shop.clone(), Arc::clone(&paid), Arc::clone(&cancelled));
            steps.spawn(async move {
                let answer = match (step + number) % 3 {
                    0 => shop.mark_paid(id).await,
                    _ => shop.cancel(id, "changed my mind").await,
                };
                match answer {
                    Ok(order) if order.replayed => {}
                    Ok(order) if order.status == OrderStatus::Paid => {
                        paid.fetch_add(1, Relaxed);
                    }
                    Ok(_) => {
                        cancelled.fetch_add(1, Relaxed);
                    }
                    Err(Error::InvalidOrderState { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            });
        }
        if number == 200 {
            let shop = shop.clone();
            steps.spawn(async move {
                shop.cleanup_failed_orders(Duration::from_secs(3_600))
                    .await
                    .unwrap();
            });
        }
    }
    steps.join_all().await;
    let (paid, cancelled) = (paid.load(Relaxed), cancelled.load(Relaxed));
    assert_eq!(paid + cancelled, 400, "{paid} paid, {cancelled} cancelled");
    let left = 1_000 - i64::try_from(paid).unwrap();
    assert_eq!(stock_of(&shop, "pot").await, left);
    assert_eq!(deadlocks(&db.pool).await, 0);
    assert_books(&db.pool).await;
}
