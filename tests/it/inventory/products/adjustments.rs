//! Adjustments end expired holds in batches, and only if the units of these holds suffice.

use std::time::Duration;

use optilock::{
    RetryPolicy,
    inventory::{Adjustment, ErrorKind, Inventory, MemoryInventory, Page, PgInventory, Reserve},
    sqlx::{self, PgPool},
};

use crate::{
    support::db::{Db, assert_balanced},
    support::goods::{add, sku, units},
};

/// Reserves `pots` times one pot, for a microsecond each.
async fn add_expired_holds(shop: &dyn Inventory, pots: usize) {
    for _ in 0..pots {
        let reserve = Reserve::new([(sku("pot"), units(1))]).unwrap();
        let reserve = reserve.for_duration(Duration::from_micros(1));
        shop.reserve(reserve).await.unwrap();
    }
}

fn loss(pots: i64) -> Adjustment {
    Adjustment::new(sku("pot"), -pots, "lost").unwrap()
}

async fn held_count(pool: &PgPool) -> i64 {
    let held = "SELECT count(*) FROM optilock.holds WHERE state = 0";
    sqlx::query_scalar(held).fetch_one(pool).await.unwrap()
}

/// Each call ends one batch of holds permanently; the last one makes the adjustment, once.
#[tokio::test]
async fn an_adjustment_past_its_deadline_makes_progress() {
    let db = Db::new().await;
    let policy = RetryPolicy::new().with_deadline(Some(Duration::from_nanos(1)));
    let shop = PgInventory::new(db.pool.clone()).with_policy(policy);
    add(&shop, "pot", 600).await;
    add_expired_holds(&shop, 600).await;
    let adjustment = loss(600);
    for rest in [344, 88] {
        let busy = shop.adjust_stock(adjustment.clone()).await.unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::Busy, "{busy:?}");
        assert_eq!(busy.exhausted(), None);
        assert!(busy.retry_after().is_some(), "{busy:?}");
        assert_eq!(held_count(&db.pool).await, rest);
    }
    for _ in 0..2 {
        let product = shop.adjust_stock(adjustment.clone()).await.unwrap();
        assert_eq!(product.stock.get(), 0);
    }
    assert_balanced(&db.pool).await;
}

/// An adjustment that is refused ends no hold.
#[tokio::test]
async fn a_refused_adjustment_changes_nothing() {
    let db = Db::new().await;
    let shops: [&dyn Inventory; 2] = [&PgInventory::new(db.pool.clone()), &MemoryInventory::new()];
    for shop in shops {
        add(shop, "pot", 5).await;
        add_expired_holds(shop, 3).await;
        let before = shop.product(&sku("pot")).await.unwrap();
        match shop.adjust_stock(loss(6)).await {
            Err(error) if error.is_insufficient_stock() => {
                assert_eq!(error.shortages()[0].available, 5);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(shop.product(&sku("pot")).await.unwrap(), before);
        let product = shop.adjust_stock(loss(5)).await.unwrap();
        assert_eq!((product.stock.get(), product.reserved.get()), (0, 0));
        let ledger = shop.movements(&sku("pot"), Page::first(10)).await.unwrap();
        assert_eq!(ledger.len(), 6, "{ledger:?}"); // one addition, three holds, one expiry, one adjustment
    }
    assert_balanced(&db.pool).await;
}

/// A different adjustment with the same id is refused as a mismatch.
#[tokio::test]
async fn an_adjustment_id_is_used_once() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    let first = loss(1);
    shop.adjust_stock(first.clone()).await.unwrap();
    let other = loss(2).with_id(first.id());
    let refusal = shop.adjust_stock(other).await.unwrap_err();
    assert_eq!(refusal.code(), "idempotency-mismatch", "{refusal}");
    assert_balanced(&db.pool).await;
}
