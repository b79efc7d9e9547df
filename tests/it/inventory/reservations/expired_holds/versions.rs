//! A checkout that ends expired holds and expects a version.

use std::{sync::Arc, time::Duration};

use optilock::{
    RetryPolicy, Version,
    inventory::{Checkout, Inventory, Line, MemoryInventory, PgInventory, Reserve, Strategy},
    postgres::transact,
};

use super::expire_all;
use crate::{
    support::db::{Db, assert_balanced},
    support::goods::{add, sku, units},
    support::idle_hook::IdleHook,
    support::strategies::STRATEGIES,
};

/// A checkout of one or two lines that expects the versions after [`reserve_pots`].
fn expecting(lines: usize) -> Checkout {
    let line = |name: &str, count, version| {
        let version = Version::new(version).unwrap();
        Line::new(sku(name), units(count)).expecting_version(version)
    };
    let all = [line("pot", 3, 2), line("mug", 1, 1)];
    Checkout::new(all.into_iter().take(lines)).unwrap()
}

/// Adds pots and mugs, and reserves all pots.
async fn reserve_pots(shop: &dyn Inventory, duration: Duration) {
    add(shop, "pot", 3).await;
    add(shop, "mug", 3).await;
    let request = Reserve::new([(sku("pot"), units(3))]).unwrap();
    shop.reserve(request.for_duration(duration)).await.unwrap();
}

/// Creates a shop whose pots are held by an expired reservation.
async fn expired_pots(strategy: Strategy, hook: bool) -> (Db, PgInventory) {
    let db = Db::new().await;
    let mut shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
    if hook {
        shop = shop.with_hook(Arc::new(IdleHook));
    }
    reserve_pots(&shop, Duration::from_secs(9)).await;
    expire_all(&db.pool).await;
    (db, shop)
}

fn cases() -> impl Iterator<Item = (usize, Strategy, bool)> {
    [1, 2].into_iter().flat_map(|lines| {
        STRATEGIES
            .into_iter()
            .flat_map(move |strategy| [false, true].map(|hook| (lines, strategy, hook)))
    })
}

async fn assert_version(shop: &dyn Inventory, version: i64) {
    let product = shop.product(&sku("pot")).await.unwrap();
    assert_eq!(product.version.get(), version);
}

#[tokio::test]
async fn an_expiry_by_the_same_checkout_is_no_conflict() {
    for (lines, strategy, hook) in cases() {
        let (db, shop) = expired_pots(strategy, hook).await;
        let order = shop.checkout(expecting(lines)).await;
        assert!(order.is_ok(), "{strategy:?} {hook}: {order:?}");
        assert_version(&shop, 4).await;
        let stale = shop.checkout(expecting(lines)).await.unwrap_err();
        assert!(stale.to_string().contains("expected version"), "{stale}");
        assert_balanced(&db.pool).await;
    }
}

#[tokio::test]
async fn an_expiry_by_the_same_checkout_in_a_transaction_is_no_conflict() {
    for (lines, strategy, hook) in cases() {
        let (db, shop) = expired_pots(strategy, hook).await;
        let request = expecting(lines);
        transact(&db.pool, &RetryPolicy::new(), async |tx| {
            shop.checkout_in(tx, &request).await
        })
        .await
        .unwrap();
        assert_balanced(&db.pool).await;
    }
}

#[tokio::test]
async fn an_expiry_by_the_same_checkout_in_memory_is_no_conflict() {
    for lines in [1, 2] {
        let shop = MemoryInventory::new();
        reserve_pots(&shop, Duration::from_micros(1)).await;
        shop.checkout(expecting(lines)).await.unwrap();
        assert_version(&shop, 4).await;
    }
}
