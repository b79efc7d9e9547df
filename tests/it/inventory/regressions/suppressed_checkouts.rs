//! Checkouts whose row a trigger of the host altered.

use optilock::inventory::{ErrorKind, Inventory, PgInventory, Reserve};

use crate::support::{
    db::{Db, assert_balanced},
    goods::{add, cart, sku, units},
    triggers::add_trigger,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_of_a_product_that_lost_its_reserved_units_is_suppressed() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 9).await;
    let request = Reserve::new([(sku("pot"), units(4))]).unwrap();
    shop.reserve(request).await.unwrap();
    let body = "NEW.reserved := 0; RETURN NEW;";
    add_trigger(&db.pool, "products", "UPDATE", body, "").await;
    let refused = shop.checkout(cart(&[("pot", 1)])).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.table()),
        (ErrorKind::Suppressed, Some("products")),
        "{refused:?}"
    );
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_at_a_price_that_a_trigger_altered_is_suppressed() {
    for change in ["NEW.price := 2", "NEW.currency := 'USD'"] {
        let db = Db::new().await;
        let shop = PgInventory::new(db.pool.clone());
        add(&shop, "pot", 9).await;
        let body = format!("{change}; RETURN NEW;");
        add_trigger(&db.pool, "products", "UPDATE", &body, "").await;
        let refused = shop.checkout(cart(&[("pot", 1)])).await.unwrap_err();
        assert_eq!(refused.code(), "suppressed", "{change}: {refused:?}");
    }
}
