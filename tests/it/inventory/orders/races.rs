//! Concurrent steps of one order, and concurrent checkouts with one key.

use std::time::Duration;

use optilock::inventory::{
    Adjustment, ErrorKind, Inventory, OrderId, OrderStatus, PgInventory, ReturnRequest, Strategy,
};
use rand::seq::SliceRandom;

use tokio::task::JoinSet;

use crate::{
    support::db::{Db, Default, assert_balanced, deadlocks, order_count, pool_options},
    support::goods::{add, cart, sku, stock_of, units},
};

/// 16 tasks pay, cancel and clean up 1,000 orders in any order. Exactly one step of each order is answered
/// without a replay, and the order has its status.
#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_payments_cancellations_and_clean_ups_one_wins() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    for name in ["pot", "mug", "jug"] {
        add(&shop, name, 10_000).await;
    }
    let mut orders = Vec::new();
    for number in 0..1_000 {
        let lines = [[("pot", 2), ("mug", 1)], [("jug", 3), ("pot", 1)]][number % 2];
        orders.push(shop.checkout(cart(&lines)).await.unwrap().id);
    }
    let mut tasks = JoinSet::new();
    for number in 0..16 {
        let (shop, mut orders) = (shop.clone(), orders.clone());
        tasks.spawn(async move {
            orders.shuffle(&mut rand::rng());
            let mut won = Vec::new();
            for id in orders {
                let (answer, to) = if number % 2 == 0 {
                    (shop.mark_paid(id).await, OrderStatus::Paid)
                } else {
                    (shop.cancel(id, "test").await, OrderStatus::Cancelled)
                };
                match answer {
                    Ok(order) if !order.replayed => won.push((id, to)),
                    Ok(order) => assert_eq!(order.status, to),
                    Err(error) if error.kind() == ErrorKind::InvalidOrderState => {}
                    Err(other) => panic!("{other:?}"),
                }
                if rand::random_bool(0.01) {
                    shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
                }
            }
            won
        });
    }
    let won: Vec<(OrderId, OrderStatus)> = tasks.join_all().await.into_iter().flatten().collect();
    for id in &orders {
        let order = shop.order(*id).await.unwrap();
        let winners: Vec<_> = won.iter().filter(|(winner, _)| winner == id).collect();
        // The clean-up does not return which orders it cancelled.
        let cleaned = order.reason.as_deref() == Some("expired");
        assert_eq!(winners.len(), usize::from(!cleaned), "{order:?}");
        assert!(winners.iter().all(|(_, status)| *status == order.status));
        assert_eq!(order.version.get(), 2);
    }
    assert_eq!(deadlocks(&db.pool).await, 0);
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_steps_and_checkouts_cause_no_deadlock() {
    for default in [Default::ReadCommitted, Default::Serializable] {
        let db = Db::with(default, 16).await;
        let patient = optilock::RetryPolicy::new()
            .with_max_attempts(1_000)
            .with_deadline(None);
        let shop = PgInventory::new(db.pool.clone()).with_policy(patient);
        for name in ["pot", "mug", "jug"] {
            add(&shop, name, 60).await;
        }
        let lines = [("pot", 2), ("mug", 1), ("jug", 1)];
        let mut orders = Vec::new();
        for _ in 0..10 {
            orders.push(shop.checkout(cart(&lines)).await.unwrap().id);
        }
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let (shop, orders) = (shop.clone(), orders.clone());
            tasks.spawn(async move {
                for _ in 0..30 {
                    let id = orders[rand::random_range(0..orders.len())];
                    let back = ReturnRequest::new(id, [(sku("pot"), units(1))], "broken").unwrap();
                    let answer = match rand::random_range(0..5) {
                        0 => shop.cancel(id, "test").await,
                        1 => shop.revive(id).await,
                        2 if rand::random_bool(0.1) => shop.mark_paid(id).await,
                        3 => shop.return_items(back).await,
                        _ => shop.checkout(cart(&[("jug", 1), ("mug", 2)])).await,
                    };
                    if let Err(error) = answer {
                        let expected = matches!(
                            error.kind(),
                            ErrorKind::InvalidOrderState
                                | ErrorKind::InsufficientStock
                                | ErrorKind::ReturnExceedsOrder
                        );
                        assert!(expected, "{error:?}");
                    }
                }
            });
        }
        tasks.join_all().await;
        assert_eq!(deadlocks(&db.pool).await, 0);
        assert_balanced(&db.pool).await;
    }
}

/// Returns inventories with a pool each, as four processes have.
async fn shops(db: &Db, strategy: Strategy) -> Vec<PgInventory> {
    let mut shops = Vec::new();
    for _ in 0..4 {
        let pool = pool_options(8).connect_with(db.database.options()).await;
        shops.push(PgInventory::new(pool.unwrap()).with_strategy(strategy));
    }
    shops
}

/// Each of the 200 requests has another order id.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_checkouts_with_one_key_make_one_order() {
    for (strategy, stock) in [
        (Strategy::Guarded, 500),
        (Strategy::Guarded, 1),
        (Strategy::Optimistic, 1),
        (Strategy::Pessimistic, 1),
    ] {
        for lines in [vec![("pot", 1)], vec![("pot", 1), ("mug", 1)]] {
            let db = Db::new().await;
            let shops = shops(&db, strategy).await;
            add(&shops[0], "pot", stock).await;
            add(&shops[0], "mug", stock).await;
            let mut callers = JoinSet::new();
            for number in 0..200 {
                let shop = shops[number % 4].clone();
                let request = cart(&lines)
                    .with_customer("ana")
                    .with_idempotency_key("key");
                callers.spawn(async move { shop.checkout(request).await.unwrap() });
            }
            let mut answers = callers.join_all().await;
            let first = answers.iter().position(|order| !order.replayed).unwrap();
            let first = answers.swap_remove(first);
            for answer in &mut answers {
                assert!(answer.replayed, "{strategy:?}: two calls made an order");
                answer.replayed = false;
                assert_eq!(*answer, first);
            }
            assert_eq!(order_count(&db.pool).await, 1);
            assert_eq!(stock_of(&shops[0], "pot").await, stock - 1);
            assert_balanced(&db.pool).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_concurrent_clean_ups_cancel_every_order_once() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5_000).await;
    let delivery = Adjustment::new(sku("pot"), 1, "delivery").unwrap();
    shop.adjust_stock(delivery).await.unwrap();
    let mut buyers = JoinSet::new();
    for _ in 0..8 {
        let shop = shop.clone();
        buyers.spawn(async move {
            for _ in 0..200 {
                shop.checkout(cart(&[("pot", 2)])).await.unwrap();
            }
        });
    }
    buyers.join_all().await;
    let (one, two) = tokio::join!(
        shop.cleanup_failed_orders(Duration::ZERO),
        shop.cleanup_failed_orders(Duration::ZERO)
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(
        (one.orders + two.orders, one.units + two.units),
        (1_600, 3_200)
    );
    assert_eq!(stock_of(&shop, "pot").await, 5_001);
    assert_balanced(&db.pool).await;
}
