//! Stock that is held by a reservation.

use optilock::{
    Version,
    inventory::{Adjustment, ErrorKind, Inventory, PgInventory, Reserve},
};

use crate::{
    support::db::{Db, assert_balanced},
    support::goods::{add, cart, new_product, sku, stock, units},
    support::strategies::STRATEGIES,
};

#[tokio::test(flavor = "multi_thread")]
async fn held_units_are_not_sold_or_removed() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    add(&shop, "mug", 5).await;
    let lines = [(sku("pot"), units(3)), (sku("mug"), units(3))];
    shop.reserve(Reserve::new(lines).unwrap()).await.unwrap();
    let reserved = Version::new(2).unwrap();
    for strategy in STRATEGIES {
        let shop = shop.clone().with_strategy(strategy);
        for lines in [vec![("pot", 3)], vec![("mug", 1), ("pot", 3)]] {
            let refused = shop.checkout(cart(&lines)).await.unwrap_err();
            assert_eq!(
                refused.to_string(),
                "insufficient stock: 3 of pot requested, 2 available",
                "{strategy:?}"
            );
        }
    }
    let theft = Adjustment::new(sku("pot"), -3, "theft").unwrap();
    let refused = shop.adjust_stock(theft).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "insufficient stock: 3 of pot requested, 2 available"
    );
    let refused = shop
        .count_stock(&sku("pot"), reserved, stock(2), "day")
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "pot can't be counted at 2: 3 are reserved"
    );
    assert_eq!((refused.code(), refused.http_status()), ("stock-held", 409));
    shop.retire_product(&sku("pot"), reserved).await.unwrap();
    let refused = shop.add_product(new_product("pot", 2)).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.reserved()),
        (ErrorKind::StockHeld, Some(3)),
        "{refused:?}"
    );
    assert_eq!(
        refused.to_string(),
        "pot can't be counted at 2: 3 are reserved"
    );
    assert_eq!(
        shop.add_product(new_product("pot", 4))
            .await
            .unwrap()
            .available(),
        1
    );
    shop.checkout(cart(&[("pot", 1), ("mug", 2)]))
        .await
        .unwrap();
    assert_balanced(&db.pool).await;
}
