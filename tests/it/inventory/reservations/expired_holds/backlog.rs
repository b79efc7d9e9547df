//! Checkouts of a product with a backlog of expired holds.

use std::time::{Duration, Instant};

use optilock::inventory::{ErrorKind, HoldState, Inventory, PgInventory, Strategy};
use tokio::task::JoinSet;

use super::{add_expired_holds, expired_count, reserve};
use crate::{
    support::db::{Db, Default, assert_balanced, pool_options, with_role},
    support::goods::{add, cart},
    support::strategies::STRATEGIES,
    support::triggers::run,
};

/// Sells one unit each to `count` concurrent buyers and returns the time that this took.
async fn sell_to_concurrent_buyers(
    shop: &PgInventory,
    name: &'static str,
    count: usize,
) -> Duration {
    let began = Instant::now();
    let mut buyers = JoinSet::new();
    for _ in 0..count {
        let shop = shop.clone();
        buyers.spawn(async move { shop.checkout(cart(&[(name, 1)])).await });
    }
    for answer in buyers.join_all().await {
        answer.unwrap();
    }
    began.elapsed()
}

async fn assert_sold_beside_a_backlog(
    backlog: i64,
    count: usize,
    pool: u32,
    limit: Option<Duration>,
) {
    for strategy in STRATEGIES {
        let db = Db::with(Default::ReadCommitted, pool).await;
        let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
        add(&shop, "pot", backlog + 5).await;
        let live = reserve(&shop, &[("pot", 5)]).await;
        add_expired_holds(&db.pool, "pot", backlog).await;
        // This opens the connections, and measures the time without a backlog.
        add(&shop, "mug", 1_000).await;
        let usual = sell_to_concurrent_buyers(&shop, "mug", count).await;
        println!("{strategy:?}, none expired: {count} sold in {usual:?}");
        let took = sell_to_concurrent_buyers(&shop, "pot", count).await;
        println!("{strategy:?}, {backlog} expired: {count} sold in {took:?}");
        // The limit is for the strategies that lock: the optimistic one reads first and retries.
        if let Some(limit) = limit.filter(|_| strategy != Strategy::Optimistic) {
            assert!(took <= limit, "{strategy:?} took {took:?}");
        }
        let live = shop.reservation(live).await.unwrap();
        assert_eq!(
            (live.holds[0].held, live.holds[0].state),
            (5, HoldState::Held)
        );
        assert!(expired_count(&db.pool).await >= backlog - 40 * 256);
        assert_balanced(&db.pool).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_holds_block_no_buyer() {
    assert_sold_beside_a_backlog(3_000, 64, 16, None).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: the full size"]
async fn a_hundred_thousand_expired_holds_block_no_buyer() {
    assert_sold_beside_a_backlog(100_000, 256, 40, Some(Duration::from_secs(1))).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: the full size"]
async fn half_a_million_expired_holds_block_no_buyer() {
    assert_sold_beside_a_backlog(500_000, 256, 40, Some(Duration::from_secs(1))).await;
}

/// Each transaction ends a bounded number of holds and so stays below the statement timeout.
async fn assert_sold_under_a_statement_timeout(backlog: i64, timeout: &str) {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", backlog).await;
    add_expired_holds(&db.pool, "pot", backlog).await;
    with_role(&db.pool, async |role| {
        let sql = format!(
            "ALTER ROLE {role} SET statement_timeout = '{timeout}'; GRANT USAGE ON SCHEMA optilock TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA optilock TO {role}"
        );
        run(&db.pool, sql).await;
        let options = db.database.options().username(role).password("secret");
        let pool = pool_options(40).connect_with(options).await.unwrap();
        let shop = PgInventory::new(pool.clone());
        let took = sell_to_concurrent_buyers(&shop, "pot", 256).await;
        println!("{backlog} expired, limit {timeout}: 256 sold in {took:?}");
        // The cart needs more than one batch of holds, and each call ends at least one batch.
        let before = expired_count(&pool).await;
        let began = Instant::now();
        let quantity = (backlog / 2).min(5_000);
        match shop.checkout(cart(&[("pot", quantity)])).await {
            Ok(order) => assert_eq!(order.lines[0].quantity.get(), quantity),
            Err(error) if error.kind() == ErrorKind::Busy && error.exhausted().is_none() => {
                assert!(error.retry_after().is_some());
            }
            Err(other) => panic!("{other:?}"),
        }
        println!("a cart of {quantity} after {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(expired_count(&pool).await < before);
        pool.close().await;
    })
    .await;
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_timeout_stops_no_buyer() {
    assert_sold_under_a_statement_timeout(3_000, "1s").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: the full size"]
async fn a_statement_timeout_stops_no_buyer_with_half_a_million_expired_holds() {
    assert_sold_under_a_statement_timeout(200_000, "2s").await;
    assert_sold_under_a_statement_timeout(500_000, "2s").await;
}
