//! Rows that other code or a newer version of the crate wrote.

use std::time::Duration;

use optilock::inventory::{Inventory, MovementKind, Page, PgInventory};

use crate::{
    support::db::{Db, assert_balanced, drop_checks},
    support::goods::{add, cart, sku},
    support::triggers::run,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_row_outside_the_limits_of_the_crate_is_readable() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    let order = shop.checkout(cart(&[("pot", 2)])).await.unwrap();
    drop_checks(&db.pool).await;
    run(
        &db.pool,
        "UPDATE optilock.products SET stock = 9223372036854775807, reserved = -3;
         UPDATE optilock.order_lines SET quantity = 9223372036854775807, price = 9223372036854775807",
    )
    .await;
    let pot = shop.product(&sku("pot")).await.unwrap();
    assert_eq!((pot.stock.get(), pot.reserved.get()), (i64::MAX, -3));
    assert_eq!(pot.available(), i64::MAX);
    let order = shop.order(order.id).await.unwrap();
    assert_eq!(order.lines[0].quantity.get(), i64::MAX);
    run(&db.pool, "UPDATE optilock.products SET stock = -7").await;
    assert_eq!(shop.product(&sku("pot")).await.unwrap().stock.get(), -7);
    let cached = optilock::cache::CachedStock::new(&shop);
    let shown = cached.display(&sku("pot")).await.unwrap();
    assert_eq!((shown.shown(), shown.is_sold_out()), (0, true));
    assert!(!shop.audit().await.unwrap().is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_movement_of_an_unknown_kind_is_readable() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    run(
        &db.pool,
        "UPDATE optilock.products SET version = 2;
         INSERT INTO optilock.movements (sku, version, kind, delta, stock_after) VALUES ('pot', 2, 77, 0, 5)",
    )
    .await;
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let page = shop.movements(&sku("pot"), Page::first(10)).await.unwrap();
    let kinds: Vec<MovementKind> = page.iter().map(|movement| movement.kind).collect();
    assert_eq!(
        kinds,
        [
            MovementKind::Added,
            MovementKind::Other(77),
            MovementKind::Sale
        ]
    );
    assert_eq!(kinds[1].to_string(), "other");
    assert_eq!(
        serde_json::to_value(&page[1]).unwrap()["kind"],
        serde_json::json!({ "other": 77 })
    );
    shop.report(Duration::from_secs(60)).await.unwrap();
    assert_balanced(&db.pool).await;
}
