//! Changes of products, and reads.

use optilock::{
    Version,
    inventory::{Adjustment, Inventory, OrderFilter, OrderId, Page},
};

use super::OneConnection;
use crate::support::goods::{add, cart, new_product, pesos, sku, stock};

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_change_of_a_product_leaves_a_clean_connection() {
    let one = OneConnection::with_products().await;
    let (shop, pot) = (&one.shop, sku("pot"));
    one.drop_after_each_poll("add_product", || {
        let new = new_product(&format!("new-{:x}", rand::random::<u64>()), 1);
        Box::pin(async { shop.add_product(new).await.map(drop).unwrap() })
    })
    .await;
    // A dropped change may have taken effect: each operation reads the version again.
    one.drop_after_each_poll("update_product", || {
        Box::pin(async {
            let mut product = shop.product(&pot).await.unwrap();
            product.price = pesos(1_234);
            shop.update_product(&product).await.map(drop).unwrap();
        })
    })
    .await;
    one.drop_after_each_poll("adjust_stock", || {
        let delivery = Adjustment::new(pot.clone(), 1, "delivery").unwrap();
        Box::pin(async { shop.adjust_stock(delivery).await.map(drop).unwrap() })
    })
    .await;
    one.drop_after_each_poll("count_stock", || {
        Box::pin(async {
            let version = shop.product(&pot).await.unwrap().version;
            shop.count_stock(&pot, version, stock(50_000), "day")
                .await
                .map(drop)
                .unwrap();
        })
    })
    .await;
    one.drop_after_each_poll("retire_product", || {
        Box::pin(async {
            let name = format!("old-{:x}", rand::random::<u64>());
            add(shop, &name, 1).await;
            let retired = shop.retire_product(&sku(&name), Version::FIRST).await;
            retired.unwrap();
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_read_leaves_a_clean_connection() {
    let one = OneConnection::with_products().await;
    let (shop, pot) = (&one.shop, sku("pot"));
    one.direct.checkout(cart(&[("pot", 1)])).await.unwrap();
    one.drop_after_each_poll("reads", || {
        Box::pin(async {
            shop.product(&pot).await.map(drop).unwrap();
            shop.products(Page::first(9)).await.map(drop).unwrap();
            shop.products_of(std::slice::from_ref(&pot))
                .await
                .map(drop)
                .unwrap();
            shop.product_at(&pot, Version::FIRST).await.unwrap_err();
            shop.order(OrderId::new()).await.unwrap_err();
            shop.orders(OrderFilter::all(), Page::first(9))
                .await
                .map(drop)
                .unwrap();
            shop.movements(&pot, Page::first(9))
                .await
                .map(drop)
                .unwrap();
        })
    })
    .await;
}
