//! Writes that a trigger suppresses.

use optilock::{
    Version,
    inventory::{Adjustment, ErrorKind, Inventory, PgInventory},
};

use crate::{
    support::db::{Db, assert_balanced},
    support::goods::{add, cart, sku, stock},
    support::strategies::STRATEGIES,
    support::triggers::{SWALLOW, add_trigger},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_suppressed_write_is_no_conflict_and_no_success() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    let product = add(&shop, "pot", 5).await;
    add(&shop, "mug", 5).await;
    add_trigger(&db.pool, "products", "UPDATE", SWALLOW, "").await;
    for strategy in STRATEGIES {
        let shop = shop.clone().with_strategy(strategy);
        for lines in [vec![("pot", 1)], vec![("mug", 1), ("pot", 1)]] {
            let error = shop.checkout(cart(&lines)).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.entity()),
                (ErrorKind::Suppressed, Some("order")),
                "{strategy:?}: {error:?}"
            );
            assert_eq!((error.code(), error.http_status()), ("suppressed", 500));
        }
    }
    let errors = [
        shop.update_product(&product).await.unwrap_err(),
        shop.count_stock(&sku("pot"), Version::FIRST, stock(1), "day")
            .await
            .unwrap_err(),
        shop.adjust_stock(Adjustment::new(sku("pot"), 1, "delivery").unwrap())
            .await
            .unwrap_err(),
        shop.retire_product(&sku("pot"), Version::FIRST)
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(
            (error.kind(), error.entity(), error.id()),
            (ErrorKind::Suppressed, Some("product"), Some("pot")),
            "{error:?}"
        );
    }
    assert_balanced(&db.pool).await;
}
