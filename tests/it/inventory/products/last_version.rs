//! The largest version of a product.

use optilock::{
    Version,
    inventory::{Inventory, PgInventory},
    sqlx,
};

use crate::{
    support::db::Db,
    support::goods::{add, cart, sku, stock, stock_of},
    support::strategies::STRATEGIES,
};

/// A version never wraps around.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_beyond_the_last_version_is_refused() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    add(&shop, "mug", 5).await;
    sqlx::query("UPDATE optilock.products SET version = 9223372036854775807")
        .execute(&db.pool)
        .await
        .unwrap();
    for strategy in STRATEGIES {
        let shop = shop.clone().with_strategy(strategy);
        for lines in [vec![("pot", 1)], vec![("mug", 1), ("pot", 1)]] {
            let refused = shop.checkout(cart(&lines)).await.unwrap_err();
            assert!(
                refused.to_string().ends_with("beyond the largest number"),
                "{strategy:?}: {refused:?}"
            );
        }
    }
    let last = Version::new(i64::MAX).unwrap();
    assert_eq!(
        shop.product_at(&sku("pot"), last).await.unwrap().stock,
        stock(5)
    );
    assert!(shop.retire_product(&sku("pot"), last).await.is_err());
    assert_eq!(stock_of(&shop, "pot").await, 5);
}
