//! Clauses about products: read, added, edited, retired.

use crate::{
    Version,
    inventory::{Adjustment, ErrorKind, Inventory, Page},
};

use crate::testing::contract::goods::{add, cart, new_product, pesos, sku, stock, stock_of};

/// Checks every clause of this file.
pub(super) async fn fulfil(shop: &dyn Inventory) {
    products_are_listed_in_byte_order(shop).await;
    a_product_is_added_once(shop).await;
    an_edit_keeps_the_stock(shop).await;
    a_retired_product_is_not_found(shop).await;
    a_retired_product_is_added_again(shop).await;
}

async fn products_are_listed_in_byte_order(shop: &dyn Inventory) {
    assert_eq!(shop.products(Page::first(10)).await.unwrap(), []);
    for name in ["list-b", "list-É", "list-a", "list-C"] {
        add(shop, name, 1).await;
    }
    let names = async |page| -> Vec<String> {
        let found = shop.products(page).await.unwrap();
        found
            .iter()
            .map(|product| product.sku.to_string())
            .collect()
    };
    assert_eq!(
        names(Page::first(10)).await,
        ["list-C", "list-a", "list-b", "list-É"]
    );
    assert_eq!(names(Page::first(2)).await, ["list-C", "list-a"]);
    assert_eq!(
        names(Page::after(sku("list-a"), 2)).await,
        ["list-b", "list-É"]
    );
    assert_eq!(names(Page::first(0)).await, [""; 0]);
    let some = shop
        .products_of(&[sku("list-b"), sku("nowhere"), sku("list-C"), sku("list-b")])
        .await
        .unwrap();
    assert_eq!(
        some.iter()
            .map(|product| product.sku.as_str())
            .collect::<Vec<_>>(),
        ["list-C", "list-b"]
    );
}

async fn a_product_is_added_once(shop: &dyn Inventory) {
    let added = add(shop, "add", 7).await;
    assert_eq!(
        (added.name.as_str(), added.price),
        ("The add", pesos(1_000))
    );
    assert_eq!(
        (added.stock, added.reserved, added.available()),
        (stock(7), stock(0), 7)
    );
    assert_eq!(
        (added.version, added.revision),
        (Version::FIRST, Version::FIRST)
    );
    assert_eq!(added.created_at, added.updated_at);
    assert_eq!(shop.product(&sku("add")).await.unwrap(), added);
    assert_eq!(
        shop.product_at(&sku("add"), Version::FIRST).await.unwrap(),
        added
    );

    let again = shop.add_product(new_product("add", 9)).await.unwrap_err();
    assert_eq!(
        (again.kind(), again.entity(), again.id()),
        (ErrorKind::AlreadyExists, Some("product"), Some("add")),
        "{again:?}"
    );
    let moved = shop
        .product_at(&sku("add"), Version::new(5).unwrap())
        .await
        .unwrap_err();
    assert_eq!(
        moved.to_string(),
        "product add moved on: expected version 5, found 1"
    );
    let gone = shop.product(&sku("nowhere")).await.unwrap_err();
    assert_eq!(
        (gone.kind(), gone.entity(), gone.id()),
        (ErrorKind::NotFound, Some("product"), Some("nowhere")),
        "{gone:?}"
    );
    assert!(
        shop.product_at(&sku("nowhere"), Version::FIRST)
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert_eq!(stock_of(shop, "add").await, 7);
}

async fn an_edit_keeps_the_stock(shop: &dyn Inventory) {
    let seen = add(shop, "edit", 5).await;
    shop.checkout(cart(&[("edit", 2)])).await.unwrap();
    let mut changed = seen.clone();
    changed.price = pesos(1_200);
    changed.name = "A better name".into();
    changed.stock = stock(500);
    let edited = shop.update_product(&changed).await.unwrap();
    assert_eq!(
        (edited.price, edited.name.as_str()),
        (pesos(1_200), "A better name")
    );
    assert_eq!(edited.stock, stock(3), "an edit writes no stock");
    assert_eq!(
        (edited.version.get(), edited.revision.get()),
        (3, 2),
        "a sale keeps the revision"
    );
    assert_eq!(shop.product(&sku("edit")).await.unwrap(), edited);

    let late = shop.update_product(&changed).await.unwrap_err();
    assert_eq!(
        late.to_string(),
        "catalogue entry edit moved on: expected version 1, found 2"
    );
    assert!(late.is_conflict());
    changed.sku = sku("nowhere");
    assert!(
        shop.update_product(&changed)
            .await
            .unwrap_err()
            .is_not_found()
    );
}

async fn a_retired_product_is_not_found(shop: &dyn Inventory) {
    let product = add(shop, "retire", 4).await;
    let order = shop.checkout(cart(&[("retire", 1)])).await.unwrap();
    let stale = shop
        .retire_product(&sku("retire"), product.version)
        .await
        .unwrap_err();
    assert_eq!(
        stale.to_string(),
        "product retire moved on: expected version 1, found 2"
    );
    shop.retire_product(&sku("retire"), Version::new(2).unwrap())
        .await
        .unwrap();

    assert!(
        shop.product(&sku("retire"))
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        shop.checkout(cart(&[("retire", 1)]))
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        shop.update_product(&product)
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        shop.retire_product(&sku("retire"), Version::new(3).unwrap())
            .await
            .unwrap_err()
            .is_not_found()
    );
    let adjustment = Adjustment::new(sku("retire"), 1, "found").unwrap();
    assert!(
        shop.adjust_stock(adjustment)
            .await
            .unwrap_err()
            .is_not_found()
    );
    let count = shop
        .count_stock(&sku("retire"), Version::new(3).unwrap(), stock(1), "count")
        .await;
    assert!(count.unwrap_err().is_not_found());
    assert!(shop.products_of(&[sku("retire")]).await.unwrap().is_empty());
    assert_eq!(
        shop.order(order.id).await.unwrap().lines[0].sku,
        sku("retire"),
        "its orders remain"
    );
}

async fn a_retired_product_is_added_again(shop: &dyn Inventory) {
    let product = add(shop, "again", 4).await;
    shop.checkout(cart(&[("again", 1)])).await.unwrap();
    shop.retire_product(&sku("again"), Version::new(2).unwrap())
        .await
        .unwrap();
    let again = add(shop, "again", 10).await;
    assert_eq!(
        (again.version.get(), again.revision.get(), again.stock),
        (4, 2, stock(10)),
        "versions continue"
    );
    assert_eq!(again.created_at, product.created_at);
    assert!(
        shop.update_product(&product)
            .await
            .unwrap_err()
            .is_conflict(),
        "a copy from before is stale"
    );
}
