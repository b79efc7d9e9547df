//! Many cancellations in one statement.

use std::time::Duration;

use optilock::{
    inventory::{BatchedInventory, ErrorKind, Inventory, OrderId, OrderStatus},
    sqlx,
};
use tokio::task::JoinSet;

use super::{ISOLATION_LEVELS, always_batched, batched, one_pot, spawn_checkouts};
use crate::support::{
    SHUTDOWN,
    bank::until_waiting,
    db::{Db, Default, assert_balanced, deadlocks},
    goods::{add, cart, stock_of},
};

const REASON: &str = "changed my mind";

/// Places orders of these lines at the same time.
async fn place_orders(
    shop: &BatchedInventory,
    count: usize,
    lines: &[(&str, i64)],
) -> Vec<OrderId> {
    let mut orders = Vec::new();
    for answer in spawn_checkouts(shop, (0..count).map(|_| cart(lines))) {
        orders.push(answer.await.unwrap().unwrap().id);
    }
    orders
}

/// Returns the number of transactions that cancelled orders.
async fn cancelling_transactions(db: &Db) -> i64 {
    sqlx::query_scalar("SELECT count(DISTINCT xmin::text) FROM optilock.orders WHERE status = 3")
        .fetch_one(&db.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn cancellations_of_one_product_share_statements() {
    for default in ISOLATION_LEVELS {
        let (db, shop) = batched(default).await;
        add(&shop, "jug", 200).await;
        add(&shop, "pot", 400).await;
        let orders = place_orders(&shop, 200, &[("jug", 1), ("pot", 2)]).await;
        let calls = shop.inventory().stats().calls;
        let mut cancellations = JoinSet::new();
        for (number, id) in orders.into_iter().enumerate() {
            let shop = shop.clone();
            cancellations.spawn(async move {
                let reason = format!("reason {number}");
                let order = shop.cancel(id, &reason).await.unwrap();
                assert_eq!((order.id, order.status), (id, OrderStatus::Cancelled));
                assert_eq!(order.reason.as_deref(), Some(&*reason));
                assert!(!order.replayed);
                let lines = order.lines.iter().map(|line| line.quantity.get());
                assert_eq!(lines.collect::<Vec<_>>(), [1, 2]);
            });
        }
        cancellations.join_all().await;
        assert_eq!(shop.inventory().stats().calls - calls, 200);
        let transactions = cancelling_transactions(&db).await;
        assert!(
            transactions < 100,
            "{default:?}: {transactions} transactions for 200 cancellations"
        );
        let stocks = (stock_of(&shop, "jug").await, stock_of(&shop, "pot").await);
        assert_eq!(stocks, (200, 400));
        assert_balanced(&db.pool).await;
    }
}

/// Each cancellation has the answer that it would have outside of a batch.
#[tokio::test]
async fn cancellations_of_a_batch_have_separate_answers() {
    let (db, shop) = always_batched().await;
    add(&shop, "pot", 9).await;
    let buy = async || shop.checkout(one_pot()).await.unwrap().id;
    let (twice, paid, once) = (buy().await, buy().await, buy().await);
    shop.mark_paid(paid).await.unwrap();
    let unknown = OrderId::new();
    let cancel = |id| shop.cancel(id, REASON);
    // On one thread the worker starts after all of them have joined the queue.
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
    let state = of_paid.unwrap_err().order_state();
    assert_eq!(state, Some((paid, OrderStatus::Paid)));
    assert!(of_unknown.unwrap_err().is_not_found());
    let refused = shop.cancel(once, " ").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert_eq!(stock_of(&shop, "pot").await, 8);
    assert_balanced(&db.pool).await;
}

/// Another session locks one order. Cancellations of other orders do not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_order_delays_no_other_cancellation() {
    let (db, shop) = always_batched().await;
    add(&shop, "pot", 30).await;
    let orders = place_orders(&shop, 20, &[("pot", 1)]).await;
    let mut holder = db.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM optilock.orders WHERE id = $1 FOR UPDATE")
        .bind(orders[0].uuid())
        .execute(&mut *holder)
        .await
        .unwrap();
    let mut cancellations = JoinSet::new();
    for id in orders.clone() {
        let shop = shop.clone();
        cancellations.spawn(async move { (id, shop.cancel(id, REASON).await) });
    }
    let mut cancelled = 0;
    while cancelled + 1 < orders.len() {
        match cancellations.join_next().await.unwrap().unwrap() {
            // Its policy does not wait longer.
            (id, Err(busy)) if id == orders[0] => assert!(busy.is_busy(), "{busy:?}"),
            (id, done) => {
                assert_ne!(id, orders[0]);
                done.unwrap();
                cancelled += 1;
            }
        }
    }
    holder.rollback().await.unwrap();
    cancellations.join_all().await;
    let last = shop.cancel(orders[0], REASON).await.unwrap();
    assert_eq!(last.status, OrderStatus::Cancelled);
    shop.shutdown(SHUTDOWN).await.unwrap();
    assert_eq!(stock_of(&shop, "pot").await, 30);
    assert_balanced(&db.pool).await;
}

/// A payment is about to commit, and the cancellation is judged by the paid order.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_waits_for_a_payment() {
    let (db, shop) = always_batched().await;
    add(&shop, "pot", 9).await;
    let id = shop.checkout(one_pot()).await.unwrap().id;
    let mut payment = db.pool.begin().await.unwrap();
    shop.inventory()
        .mark_paid_in(&mut payment, id)
        .await
        .unwrap();
    let cancellation = tokio::spawn({
        let shop = shop.clone();
        async move { shop.cancel(id, REASON).await }
    });
    until_waiting(&db.pool).await;
    payment.commit().await.unwrap();
    let refused = cancellation.await.unwrap().unwrap_err();
    let (_, status) = refused.order_state().expect("an invalid order state");
    assert_eq!(status, OrderStatus::Paid);
    assert_eq!(stock_of(&shop, "pot").await, 8);
    assert_balanced(&db.pool).await;
}

/// The effect of a step on an order.
#[derive(PartialEq)]
enum Ending {
    Paid,
    Cancelled,
    Unchanged,
}

/// Pays an order or cancels it.
async fn end_order(shop: BatchedInventory, id: OrderId, pays: bool) -> Ending {
    let answer = if pays {
        shop.mark_paid(id).await
    } else {
        shop.cancel(id, REASON).await
    };
    match answer {
        Ok(order) if order.replayed => Ending::Unchanged,
        Ok(order) if order.status == OrderStatus::Paid => Ending::Paid,
        Ok(_) => Ending::Cancelled,
        Err(error) if error.kind() == ErrorKind::InvalidOrderState => Ending::Unchanged,
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancellations_payments_and_cleanups_end_each_order_once() {
    let (db, shop) = batched(Default::ReadCommitted).await;
    add(&shop, "jug", 1_000).await;
    add(&shop, "pot", 1_000).await;
    let orders = place_orders(&shop, 400, &[("jug", 1), ("pot", 1)]).await;
    let mut steps = JoinSet::new();
    for (number, id) in orders.iter().copied().enumerate() {
        for step in 0..3 {
            steps.spawn(end_order(shop.clone(), id, (step + number) % 3 == 0));
        }
        if number == 200 {
            let shop = shop.clone();
            steps.spawn(async move {
                shop.cleanup_failed_orders(Duration::from_secs(3_600))
                    .await
                    .unwrap();
                Ending::Unchanged
            });
        }
    }
    let endings = steps.join_all().await;
    let count = |ending| endings.iter().filter(|it| **it == ending).count();
    let (paid, cancelled) = (count(Ending::Paid), count(Ending::Cancelled));
    assert_eq!(paid + cancelled, 400, "{paid} paid, {cancelled} cancelled");
    let left = 1_000 - i64::try_from(paid).unwrap();
    assert_eq!(stock_of(&shop, "pot").await, left);
    assert_eq!(deadlocks(&db.pool).await, 0);
    assert_balanced(&db.pool).await;
}
