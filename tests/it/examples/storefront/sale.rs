//! The hook of a sale, without the handlers that compare the cart before it.

use std::error::Error as _;

use optilock::{
    Version,
    inventory::{Checkout, Error, Inventory, Line, Quantity},
    sqlx,
};
use serde_json::json;
use storefront::{App, Purchase, Settings, Shop};
use tokio::sync::watch;

use crate::support::{
    db::{Db, assert_balanced_in},
    goods::sku,
};

/// Returns the checkout of one clay pot, as the buyer of this version of the cart makes it.
fn purchase(version: i64) -> Checkout {
    let address = json!({
        "name": "Ana", "street": "Reforma 1", "city": "Oaxaca", "postal_code": "68000", "country": "MX"
    });
    let purchase = Purchase {
        customer: "ana".to_owned(),
        cart_version: Version::new(version).unwrap(),
        idempotency_key: None,
        address: serde_json::from_value(address).unwrap(),
    };
    let line = Line::new(sku("clay-pot"), Quantity::ONE);
    purchase.request([line]).unwrap()
}

/// Returns the version of the cart, the number of things in it, and those of orders and deliveries.
async fn stored(db: &Db) -> (i64, i32, i64, i64) {
    let sql = "SELECT version, jsonb_array_length(items), (SELECT count(*) FROM storefront.orders),
            (SELECT count(*) FROM storefront.shop_deliveries)
        FROM storefront.shop_carts WHERE customer = 'ana'";
    sqlx::query_as(sql).fetch_one(&db.pool).await.unwrap()
}

fn assert_changed(refused: &Error) {
    let reason = refused.source().unwrap().to_string();
    assert_eq!(reason, "the cart was changed during the checkout");
}

async fn stock(shop: &Shop) -> i64 {
    let product = shop.inventory.product(&sku("clay-pot")).await.unwrap();
    product.stock.get()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_current_version_of_a_cart_is_bought() {
    let db = Db::empty().await;
    let (_stop, stopped) = watch::channel(false);
    let shop = App::open(db.pool.clone(), Settings::default(), stopped);
    let shop = shop.await.unwrap();
    let cart = "INSERT INTO storefront.shop_carts (customer, items, version)
        VALUES ('ana', '[{\"sku\": \"clay-pot\", \"quantity\": 1, \"price\": {\"minor\": 45000, \"currency\": \"MXN\"}}]', 2)";
    sqlx::query(cart).execute(&db.pool).await.unwrap();
    let before = stock(&shop).await;

    for other in [1, 3] {
        let refused = shop.inventory.checkout(purchase(other)).await.unwrap_err();
        assert_changed(&refused);
        assert_eq!(stored(&db).await, (2, 1, 0, 0));
        assert_eq!(stock(&shop).await, before);
    }

    // In one batch or in two.
    let (old, current) = tokio::join!(
        shop.inventory.checkout(purchase(1)),
        shop.inventory.checkout(purchase(2))
    );
    assert_changed(&old.unwrap_err());
    let bought = current.unwrap();
    assert_eq!(stored(&db).await, (3, 0, 1, 1));

    // The version is the order's key: the same purchase gets the same order.
    let again = shop.inventory.checkout(purchase(2)).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.id, bought.id);
    assert_eq!(stored(&db).await, (3, 0, 1, 1));
    assert_eq!(stock(&shop).await, before - 1);
    assert_balanced_in(&db.pool, "storefront").await;
}
