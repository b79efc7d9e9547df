//! The five scenarios of the shop that this crate came from, each by each strategy.

use std::{sync::Arc, time::Duration};

use optilock::{
    Version,
    inventory::{Checkout, Error, Inventory, Line, Order, OrderStatus, PgInventory, Strategy},
};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    support::db::{Db, assert_books, order_count},
    support::goods::{add, cart, sku, stock_of, units},
};

const STRATEGIES: [Strategy; 3] = [
    Strategy::Guarded,
    Strategy::Optimistic,
    Strategy::Pessimistic,
];

/// Sends all requests at the same moment.
pub async fn race<I: Inventory + Clone + 'static>(
    shop: &I,
    requests: Vec<Checkout>,
) -> Vec<Result<Order, Error>> {
    let start = Arc::new(Barrier::new(requests.len()));
    let mut buyers = JoinSet::new();
    for request in requests {
        let (shop, start) = (shop.clone(), start.clone());
        buyers.spawn(async move {
            start.wait().await;
            shop.checkout(request).await
        });
    }
    buyers.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_buyers_and_one_unit() {
    let db = Db::new().await;
    for strategy in STRATEGIES {
        let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
        let name = format!("pot-{strategy:?}");
        add(&shop, &name, 1).await;
        let answers = race(
            &shop,
            vec![cart(&[(&name, 1)]); 2]
                .into_iter()
                .map(fresh)
                .collect(),
        )
        .await;
        assert_eq!(
            answers.iter().filter(|answer| answer.is_ok()).count(),
            1,
            "{strategy:?}"
        );
        let refused = answers
            .into_iter()
            .find_map(Result::err)
            .expect("one is refused");
        assert_eq!(
            refused.to_string(),
            format!("insufficient stock: 1 of {name} requested, 0 available")
        );
        assert_eq!(stock_of(&shop, &name).await, 0);
    }
    assert_books(&db.pool).await;
}

/// The same lines under an order id of its own.
pub fn fresh(request: Checkout) -> Checkout {
    request.with_order_id(optilock::inventory::OrderId::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_quantities_against_limited_stock() {
    let db = Db::new().await;
    for strategy in STRATEGIES {
        let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
        let name = format!("pot-{strategy:?}");
        add(&shop, &name, 20).await;
        let requests = (0..12)
            .map(|buyer| cart(&[(&name, 1 + buyer % 4)]))
            .collect();
        let answers = race(&shop, requests).await;
        let sold: i64 = answers
            .iter()
            .flatten()
            .map(|order| order.lines[0].quantity.get())
            .sum();
        let left = stock_of(&shop, &name).await;
        assert_eq!(sold + left, 20, "{strategy:?}");
        for refused in answers.into_iter().filter_map(Result::err) {
            assert!(refused.is_insufficient_stock(), "{strategy:?}: {refused:?}");
        }
        // Thirty units were asked for, so somebody wanted more than was left.
        assert!(left < 4, "{strategy:?}: {left} left");
    }
    assert_books(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_buyers_all_succeed_after_retries() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone()).with_strategy(Strategy::Optimistic);
    add(&shop, "pot", 100).await;
    let mut rounds = 0;
    while shop.stats().conflicts == 0 {
        rounds += 1;
        assert!(rounds <= 30, "three buyers at once never met");
        let answers = race(&shop, (0..3).map(|_| cart(&[("pot", 1)])).collect()).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }
    let stats = shop.stats();
    assert!(stats.attempts_max <= 3 && stats.escaped == 0, "{stats:?}");
    assert_eq!(stock_of(&shop, "pot").await, 100 - 3 * rounds);
    assert_books(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_orders_are_cleaned_up() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 50).await;
    add(&shop, "mug", 50).await;
    let mut orders = Vec::new();
    for _ in 0..20 {
        orders.push(
            shop.checkout(cart(&[("pot", 1), ("mug", 2)]))
                .await
                .unwrap()
                .id,
        );
    }
    // Three sweepers at once, beside a buyer.
    let sweep = || shop.cleanup_failed_orders(Duration::ZERO);
    let (a, b, c, buyer) = tokio::join!(
        sweep(),
        sweep(),
        sweep(),
        shop.checkout(cart(&[("mug", 1)]))
    );
    let last = shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    let swept: u64 = [a.unwrap(), b.unwrap(), c.unwrap(), last]
        .iter()
        .map(|cleanup| cleanup.orders)
        .sum();
    assert_eq!(swept, 21, "each once");
    orders.push(buyer.unwrap().id);
    for id in orders {
        assert_eq!(shop.order(id).await.unwrap().status, OrderStatus::Cancelled);
    }
    assert_eq!(
        (stock_of(&shop, "pot").await, stock_of(&shop, "mug").await),
        (50, 50)
    );
    assert_eq!(order_count(&db.pool).await, 21);
    assert_books(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_version_is_refused() {
    let db = Db::new().await;
    for strategy in STRATEGIES {
        let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
        let name = format!("pot-{strategy:?}");
        let seen = add(&shop, &name, 5).await;
        shop.checkout(cart(&[(&name, 1)])).await.unwrap();
        let line = Line::new(sku(&name), units(1)).expecting_version(seen.version);
        let refused = shop
            .checkout(Checkout::new([line]).unwrap())
            .await
            .unwrap_err();
        let Error::Conflict(conflict) = &refused else {
            panic!("{refused:?}")
        };
        assert_eq!(
            (conflict.expected, conflict.actual),
            (Version::FIRST, Version::new(2).unwrap())
        );
        assert_eq!(shop.stats().escaped, 0, "an answer, not a lost race");
        assert_eq!(stock_of(&shop, &name).await, 4);
    }
    assert_books(&db.pool).await;
}
