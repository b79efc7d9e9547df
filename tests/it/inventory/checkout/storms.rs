//! Many concurrent checkouts: no oversold unit, no deadlock, no conflict that reaches a caller.

use optilock::{
    RetryPolicy,
    inventory::{Adjustment, Inventory, PgInventory, Strategy},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use tokio::task::JoinSet;

use crate::{
    support::db::{Db, Default, assert_balanced, deadlocks, order_count},
    support::goods::{add, cart, pesos, sku, stock_of},
    support::race::race,
};

/// Sells 10 units to 64 buyers.
async fn sell_out(strategy: Strategy, default: Default) {
    let db = Db::with(default, 16).await;
    let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
    add(&shop, "pot", 10).await;
    let answers = race(&shop, (0..64).map(|_| cart(&[("pot", 1)])).collect()).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
    for refused in answers.into_iter().filter_map(Result::err) {
        assert!(refused.is_insufficient_stock(), "{refused:?}");
    }
    let stats = shop.stats();
    assert!(stats.attempts_max <= 3 && stats.escaped == 0, "{stats:?}");
    assert_eq!(
        (stock_of(&shop, "pot").await, order_count(&db.pool).await),
        (0, 10)
    );
    assert_balanced(&db.pool).await;
}

/// Runs 16 buyers with random carts of 5 out of 20 products, and deliveries between them.
async fn random_carts(strategy: Strategy, default: Default) {
    let db = Db::with(default, 16).await;
    // Both conflicts of the isolation level and deadlocks would count as a second attempt.
    let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
    let names: Vec<String> = (0..20).map(|number| format!("sku-{number}")).collect();
    for name in &names {
        add(&shop, name, 60).await;
    }
    let sold = Arc::new(AtomicU64::new(0));
    let mut buyers = JoinSet::new();
    for buyer in 0..16 {
        let (shop, names, sold) = (shop.clone(), names.clone(), sold.clone());
        buyers.spawn(async move {
            let mut random = StdRng::seed_from_u64(buyer);
            for _ in 0..25 {
                let mut chosen: Vec<&str> = names.iter().map(String::as_str).collect();
                chosen.shuffle(&mut random);
                let lines: Vec<(&str, i64)> = chosen[..5]
                    .iter()
                    .map(|name| (*name, random.random_range(1..4)))
                    .collect();
                match shop.checkout(cart(&lines)).await {
                    Ok(order) => assert!(order.lines.len() == 5 && sold.fetch_add(1, SeqCst) < 400),
                    Err(refused) => assert!(refused.is_insufficient_stock(), "{refused:?}"),
                }
                if random.random_bool(0.1) {
                    let delivery = Adjustment::new(sku(chosen[0]), 5, "delivery").unwrap();
                    shop.adjust_stock(delivery).await.unwrap();
                }
            }
        });
    }
    buyers.join_all().await;
    assert_eq!(deadlocks(&db.pool).await, 0);
    let stats = shop.stats();
    assert_eq!(stats.escaped, 0);
    // A statement that locks before it decides has no conflict, except under a stricter isolation level.
    if strategy != Strategy::Optimistic && default == Default::ReadCommitted {
        assert_eq!(stats.conflicts, 0, "{stats:?}");
    }
    assert_eq!(
        order_count(&db.pool).await,
        i64::try_from(sold.load(SeqCst)).unwrap()
    );
    assert!(sold.load(SeqCst) > 0);
    assert_balanced(&db.pool).await;
}

macro_rules! under {
    ($($name:ident: $storm:ident, $strategy:ident under $default:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            $storm(Strategy::$strategy, Default::$default).await;
        }
    )*};
}

under! {
    a_sell_out_never_oversells_guarded: sell_out, Guarded under ReadCommitted;
    a_sell_out_never_oversells_optimistic: sell_out, Optimistic under ReadCommitted;
    a_sell_out_never_oversells_pessimistic: sell_out, Pessimistic under ReadCommitted;
    a_sell_out_never_oversells_guarded_under_repeatable_read: sell_out, Guarded under RepeatableRead;
    a_sell_out_never_oversells_optimistic_under_repeatable_read: sell_out, Optimistic under RepeatableRead;
    a_sell_out_never_oversells_pessimistic_under_repeatable_read: sell_out, Pessimistic under RepeatableRead;
    a_sell_out_never_oversells_guarded_under_serializable: sell_out, Guarded under Serializable;
    a_sell_out_never_oversells_optimistic_under_serializable: sell_out, Optimistic under Serializable;
    a_sell_out_never_oversells_pessimistic_under_serializable: sell_out, Pessimistic under Serializable;
    random_carts_cause_no_deadlock_guarded: random_carts, Guarded under ReadCommitted;
    random_carts_cause_no_deadlock_optimistic: random_carts, Optimistic under ReadCommitted;
    random_carts_cause_no_deadlock_pessimistic: random_carts, Pessimistic under ReadCommitted;
    random_carts_cause_no_deadlock_guarded_under_repeatable_read: random_carts, Guarded under RepeatableRead;
    random_carts_cause_no_deadlock_optimistic_under_repeatable_read: random_carts, Optimistic under RepeatableRead;
    random_carts_cause_no_deadlock_pessimistic_under_repeatable_read: random_carts, Pessimistic under RepeatableRead;
    random_carts_cause_no_deadlock_guarded_under_serializable: random_carts, Guarded under Serializable;
    random_carts_cause_no_deadlock_optimistic_under_serializable: random_carts, Optimistic under Serializable;
    random_carts_cause_no_deadlock_pessimistic_under_serializable: random_carts, Pessimistic under Serializable;
}

/// Sales do not change the revision that an edit compares.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_a_product_in_demand_is_never_refused() {
    let db = Db::with(Default::ReadCommitted, 33).await;
    // One attempt per call, so that each conflict fails the test.
    let policy = RetryPolicy::new().with_max_attempts(1);
    let shop = PgInventory::new(db.pool.clone()).with_policy(policy);
    let mut product = add(&shop, "pot", 1_000_000).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut buyers = JoinSet::new();
    for _ in 0..32 {
        let (shop, done) = (shop.clone(), done.clone());
        buyers.spawn(async move {
            let mut orders = 0;
            while !done.load(SeqCst) {
                shop.checkout(cart(&[("pot", 1)]))
                    .await
                    .expect("a checkout without an expected price");
                orders += 1;
            }
            orders
        });
    }
    for edit in 1..=1_000 {
        product.price = pesos(1_000 + edit);
        product = shop
            .update_product(&product)
            .await
            .expect("no edit is refused");
    }
    done.store(true, SeqCst);
    let orders: i64 = buyers.join_all().await.iter().sum();
    assert!(orders > 100, "{orders} orders beside the edits");
    let end = shop.product(&sku("pot")).await.unwrap();
    assert_eq!(
        (end.revision.get(), end.version.get()),
        (1_001, 1_001 + orders)
    );
    assert_balanced(&db.pool).await;
}

/// An index on a column that every sale changes, or a full page, would prevent HOT updates.
#[tokio::test(flavor = "multi_thread")]
async fn sales_are_hot_updates() {
    let db = Db::with(Default::ReadCommitted, 1).await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 1_000).await;
    for _ in 0..500 {
        shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    }
    optilock::sqlx::query("SELECT pg_stat_force_next_flush()")
        .execute(&db.pool)
        .await
        .unwrap();
    let (updates, hot): (i64, i64) = optilock::sqlx::query_as(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_all_tables WHERE relid = to_regclass('optilock.products')",
    )
    .fetch_one(&db.pool)
    .await
    .unwrap();
    assert!(
        updates >= 500 && hot * 100 >= updates * 95,
        "{hot} of {updates} updates were HOT"
    );
}
