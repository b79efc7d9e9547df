//! Adjustments and the limits of the stock, in memory and in PostgreSQL.

use optilock::inventory::{Adjustment, Inventory, MemoryInventory, Page, PgInventory, Stock};

use crate::{
    support::db::{Db, assert_balanced},
    support::goods::{add, cart, new_product, sku, stock},
};

/// Sends one adjustment again after the product was retired and added again.
async fn replay_an_adjustment(shop: &dyn Inventory) {
    let pot = sku("adjusted");
    add(shop, "adjusted", 5).await;
    let delivery = Adjustment::new(pot.clone(), 3, "delivery").unwrap();
    let made = shop.adjust_stock(delivery.clone()).await.unwrap();
    assert_eq!(made.stock, stock(8));
    shop.retire_product(&pot, made.version).await.unwrap();
    let again = shop.adjust_stock(delivery.clone()).await.unwrap();
    assert_eq!((again.sku.clone(), again.stock), (pot.clone(), stock(8)));
    // The id belongs to that adjustment, also if the product is retired or does not exist.
    for (name, delta) in [("adjusted", 4), ("nowhere", 3)] {
        let other = Adjustment::new(sku(name), delta, "delivery").unwrap();
        let refused = shop.adjust_stock(other.with_id(delivery.id())).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), "idempotency-mismatch", "{refused:?}");
    }
    let new = Adjustment::new(pot.clone(), 1, "delivery").unwrap();
    assert!(shop.adjust_stock(new).await.unwrap_err().is_not_found());
    shop.add_product(new_product("adjusted", 1)).await.unwrap();
    let again = shop.adjust_stock(delivery).await.unwrap();
    assert_eq!(again.stock, stock(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adjustment_of_a_retired_product_is_replayed() {
    replay_an_adjustment(&MemoryInventory::new()).await;
    let db = Db::new().await;
    replay_an_adjustment(&PgInventory::new(db.pool.clone())).await;
    assert_balanced(&db.pool).await;
}

/// Takes the stock beyond the limit that inputs have.
async fn exceed_the_largest_stock(shop: &dyn Inventory) {
    let pot = sku("full");
    add(shop, "full", Stock::MAX.get()).await;
    let order = shop.checkout(cart(&[("full", 1)])).await.unwrap();
    let more = Adjustment::new(pot.clone(), 1, "delivery").unwrap();
    assert_eq!(shop.adjust_stock(more).await.unwrap().stock, Stock::MAX);
    shop.cancel(order.id, "changed my mind").await.unwrap();
    let full = shop.product(&pot).await.unwrap();
    assert_eq!(full.stock.get(), Stock::MAX.get() + 1);
    assert_eq!(full.available(), Stock::MAX.get() + 1);
    assert_eq!(
        shop.products(Page::first(10)).await.unwrap(),
        std::slice::from_ref(&full)
    );
    let movements = shop.movements(&pot, Page::first(10)).await.unwrap();
    assert_eq!(movements.last().unwrap().stock_after, full.stock.get());
    let count = |delta| Adjustment::new(pot.clone(), delta, "count").unwrap();
    let refused = shop.adjust_stock(count(1)).await.unwrap_err();
    assert_eq!(refused.code(), "invalid", "{refused:?}");
    // A decrease is accepted, also if the stock remains beyond the limit.
    let order = shop.checkout(cart(&[("full", 1)])).await.unwrap();
    shop.cancel(order.id, "changed my mind").await.unwrap();
    let product = shop.adjust_stock(count(-1)).await.unwrap();
    assert_eq!(product.stock, Stock::MAX);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_beyond_the_limit_of_inputs_is_readable() {
    exceed_the_largest_stock(&MemoryInventory::new()).await;
    let db = Db::new().await;
    exceed_the_largest_stock(&PgInventory::new(db.pool.clone())).await;
    assert_balanced(&db.pool).await;
}
