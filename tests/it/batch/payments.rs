//! Many payments in one statement.

mod faults;

use optilock::{
    inventory::{
        BatchedInventory, Error, ErrorKind, Inventory, Order, OrderId, OrderStatus, OrderStep,
        PgInventory,
    },
    sqlx,
};
use tokio::task::{JoinHandle, JoinSet};

use super::{ISOLATION_LEVELS, always_batched, batched, spawn_checkouts};
use crate::support::{
    db::{Db, assert_balanced, deadlocks},
    goods::{add, cart},
};

/// Places orders of two lines at the same time.
async fn place_orders(shop: &BatchedInventory, count: usize) -> Vec<OrderId> {
    let mut orders = Vec::new();
    let requests = (0..count).map(|number| {
        let request = cart(&[("jug", 1), ("pot", 2)]);
        request.with_customer(format!("customer {number}"))
    });
    for answer in spawn_checkouts(shop, requests) {
        orders.push(answer.await.unwrap().unwrap().id);
    }
    orders
}

async fn add_products(shop: &dyn Inventory) {
    add(shop, "jug", 10_000).await;
    add(shop, "pot", 10_000).await;
}

fn spawn_step(shop: &BatchedInventory, step: OrderStep) -> JoinHandle<Result<Order, Error>> {
    let shop = shop.clone();
    tokio::spawn(async move { shop.step(step).await })
}

/// Returns the number of transactions that marked orders.
async fn marking_transactions(db: &Db) -> i64 {
    let marking = "SELECT count(DISTINCT xmin::text) FROM optilock.orders WHERE status IN (1, 2)";
    sqlx::query_scalar(marking)
        .fetch_one(&db.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_share_statements() {
    for default in ISOLATION_LEVELS {
        let (db, shop) = batched(default).await;
        // The queue of another process knows nothing of these orders.
        let other = BatchedInventory::new(PgInventory::new(db.pool.clone()), super::OPTIONS);
        add_products(&shop).await;
        let mut orders = place_orders(&shop, 128).await;
        orders.extend(place_orders(&other, 128).await);
        let calls = shop.inventory().stats().calls;
        let mut payments = JoinSet::new();
        for (number, id) in orders.into_iter().enumerate() {
            let shop = shop.clone();
            payments.spawn(async move {
                let (step, status) = match number % 5 {
                    0 => (
                        OrderStep::mark_payment_failed(id),
                        OrderStatus::PaymentFailed,
                    ),
                    _ => (OrderStep::mark_paid(id), OrderStatus::Paid),
                };
                let order = shop.step(step).await.unwrap();
                assert_eq!((order.id, order.status), (id, status));
                order
            });
        }
        let payments = payments.join_all().await;
        assert_eq!(shop.inventory().stats().calls - calls, 256);
        let transactions = marking_transactions(&db).await;
        assert!(
            transactions < 128,
            "{default:?}: {transactions} transactions for 256 payments"
        );
        for order in payments {
            assert_eq!(order, shop.order(order.id).await.unwrap());
        }
        assert_balanced(&db.pool).await;
    }
}

/// Each payment has the answer that it would have outside of a batch.
#[tokio::test]
async fn payments_of_a_batch_have_separate_answers() {
    let (db, shop) = always_batched().await;
    add_products(&shop).await;
    let orders = place_orders(&shop, 5).await;
    let [once, twice, failed, pinned, cancelled] = orders[..] else {
        panic!("five orders");
    };
    shop.cancel(cancelled, "changed my mind").await.unwrap();
    let version = shop.order(pinned).await.unwrap().version;
    let pay = |id| shop.mark_paid(id);
    // On one thread the worker starts after all of them have joined the queue.
    let answers = tokio::join!(
        pay(once),
        pay(twice),
        shop.mark_payment_failed(failed),
        pay(cancelled),
        pay(OrderId::new()),
        pay(twice),
        shop.mark_payment_failed(once),
        pay(failed),
        shop.step(OrderStep::mark_paid(pinned).expecting_version(version)),
        shop.step(OrderStep::mark_payment_failed(pinned).expecting_version(version)),
    );
    let is = |answer: Result<Order, Error>, status, replayed| {
        let order = answer.unwrap();
        assert_eq!((order.status, order.replayed), (status, replayed));
    };
    is(answers.0, OrderStatus::Paid, false);
    is(answers.1, OrderStatus::Paid, false);
    is(answers.2, OrderStatus::PaymentFailed, false);
    let state = answers.3.unwrap_err().order_state();
    assert_eq!(state, Some((cancelled, OrderStatus::Cancelled)));
    assert!(answers.4.unwrap_err().is_not_found());
    is(answers.5, OrderStatus::Paid, true);
    let state = answers.6.unwrap_err().order_state();
    assert_eq!(state, Some((once, OrderStatus::Paid)));
    is(answers.7, OrderStatus::Paid, false);
    is(answers.8, OrderStatus::Paid, false);
    assert!(answers.9.unwrap_err().is_conflict());
    let again = shop.mark_paid(failed).await;
    is(again, OrderStatus::Paid, true);
    let version = shop.order(failed).await.unwrap().version;
    assert_eq!(version.get(), 3);
    assert_balanced(&db.pool).await;
}

/// Another process changes an order that the queue knows.
#[tokio::test]
async fn a_known_order_is_verified() {
    let (db, shop) = always_batched().await;
    let other = PgInventory::new(db.pool.clone());
    add_products(&shop).await;
    let orders = place_orders(&shop, 4).await;
    let [failed, paid, cancelled, returned] = orders[..] else {
        panic!("four orders");
    };
    other.mark_payment_failed(failed).await.unwrap();
    other.mark_paid(paid).await.unwrap();
    other.cancel(cancelled, "changed my mind").await.unwrap();
    let answers = tokio::join!(
        shop.mark_paid(failed),
        shop.mark_paid(paid),
        shop.mark_paid(cancelled),
        shop.mark_paid(returned),
    );
    let marked = answers.0.unwrap();
    assert_eq!((marked.version.get(), marked.replayed), (3, false));
    assert!(answers.1.unwrap().replayed);
    let refused = answers.2.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidOrderState);
    assert!(!answers.3.unwrap().replayed);
    assert_balanced(&db.pool).await;
}

/// Every order is paid, failed and cancelled at the same time, by the queue and by another process.
#[tokio::test(flavor = "multi_thread")]
async fn payments_failures_and_cancellations_end_each_order_once() {
    let (db, shop) = batched(super::Default::ReadCommitted).await;
    let other = PgInventory::new(db.pool.clone());
    add_products(&shop).await;
    let orders = place_orders(&shop, 300).await;
    let mut steps = JoinSet::new();
    for (number, id) in orders.iter().copied().enumerate() {
        let mut all = [
            OrderStep::mark_paid(id),
            OrderStep::mark_payment_failed(id),
            OrderStep::cancel(id, "changed my mind"),
            OrderStep::mark_paid(id),
        ];
        all.rotate_left(number % 4);
        for (at, step) in all.into_iter().enumerate() {
            let (shop, other) = (shop.clone(), other.clone());
            steps.spawn(async move {
                match at + number % 2 {
                    0 => other.step(step).await,
                    _ => shop.step(step).await,
                }
            });
        }
    }
    let (mut paid, mut cancelled) = (0, 0);
    for answer in steps.join_all().await {
        match answer {
            Ok(order) if order.replayed => {}
            Ok(order) => match order.status {
                OrderStatus::Paid => paid += 1,
                OrderStatus::Cancelled => cancelled += 1,
                _ => {}
            },
            Err(refused) => assert_eq!(refused.kind(), ErrorKind::InvalidOrderState, "{refused}"),
        }
    }
    assert_eq!(paid + cancelled, 300, "{paid} paid, {cancelled} cancelled");
    let stored = "SELECT count(*) FILTER (WHERE status = 2), count(*) FILTER (WHERE status = 3)
        FROM optilock.orders";
    let stored: (i64, i64) = sqlx::query_as(stored).fetch_one(&db.pool).await.unwrap();
    assert_eq!(stored, (paid, cancelled));
    assert_eq!(deadlocks(&db.pool).await, 0);
    assert_balanced(&db.pool).await;
}
