//! The five scenarios of the specification, with each strategy.

use std::time::Duration;

use optilock::{
    Version,
    inventory::{Checkout, ErrorKind, Inventory, Line, OrderStatus, PgInventory, Strategy},
};

use crate::{
    support::db::{Db, assert_balanced, order_count},
    support::goods::{add, cart, sku, stock_of, units},
    support::race::{fresh, race},
    support::strategies::STRATEGIES,
};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_buyers_of_one_unit_one_is_refused() {
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
            .expect("a refused buyer");
        assert_eq!(
            refused.to_string(),
            format!("insufficient stock: 1 of {name} requested, 0 available")
        );
        assert_eq!(stock_of(&shop, &name).await, 0);
    }
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_quantities_never_exceed_the_stock() {
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
        // Thirty units were requested, so at least one request exceeded the rest.
        assert!(left < 4, "{strategy:?}: {left} left");
    }
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_buyers_all_succeed_after_retries() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone()).with_strategy(Strategy::Optimistic);
    add(&shop, "pot", 100).await;
    let mut rounds = 0;
    while shop.stats().conflicts == 0 {
        rounds += 1;
        assert!(rounds <= 30, "three concurrent buyers never conflicted");
        let answers = race(&shop, (0..3).map(|_| cart(&[("pot", 1)])).collect()).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }
    let stats = shop.stats();
    assert!(stats.attempts_max <= 3 && stats.escaped == 0, "{stats:?}");
    assert_eq!(stock_of(&shop, "pot").await, 100 - 3 * rounds);
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_clean_ups_cancel_each_unpaid_order_once() {
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
    // Three clean-ups run beside a buyer.
    let cleanup = || shop.cleanup_failed_orders(Duration::ZERO);
    let (first, second, third, buyer) = tokio::join!(
        cleanup(),
        cleanup(),
        cleanup(),
        shop.checkout(cart(&[("mug", 1)]))
    );
    let last = shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    let cancelled: u64 = [first.unwrap(), second.unwrap(), third.unwrap(), last]
        .iter()
        .map(|done| done.orders)
        .sum();
    assert_eq!(cancelled, 21, "each order once");
    orders.push(buyer.unwrap().id);
    for id in orders {
        assert_eq!(shop.order(id).await.unwrap().status, OrderStatus::Cancelled);
    }
    assert_eq!(
        (stock_of(&shop, "pot").await, stock_of(&shop, "mug").await),
        (50, 50)
    );
    assert_eq!(order_count(&db.pool).await, 21);
    assert_balanced(&db.pool).await;
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
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused:?}");
        assert_eq!(refused.exhausted(), None);
        let conflict = refused.conflict().unwrap();
        assert_eq!(
            (conflict.expected, conflict.actual),
            (Version::FIRST, Version::new(2).unwrap())
        );
        assert_eq!(shop.stats().escaped, 0, "a refusal is no exhausted retry");
        assert_eq!(stock_of(&shop, &name).await, 4);
    }
    assert_balanced(&db.pool).await;
}
