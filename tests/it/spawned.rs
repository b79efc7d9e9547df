//! Every public async function in a spawned task, with what it borrows: it compiles, so its future
//! is `Send`.

use std::{sync::Arc, time::Duration};

use optilock::{
    Conflict, RetryPolicy, Version,
    inventory::{Adjustment, Error, Inventory, MemoryInventory, OrderId, Page, PgInventory},
    migrate,
    postgres::{TransactOptions, transact, transact_with},
    with_retry, with_retry_mut,
};

use crate::{
    db::Db,
    goods::{cart, new_product, sku, stock},
};

async fn everything(shop: Arc<dyn Inventory>) {
    let pot = sku("pot");
    let added = shop.add_product(new_product("pot", 5)).await.unwrap();
    shop.product(&pot).await.unwrap();
    shop.products(Page::first(5)).await.unwrap();
    shop.products_of(std::slice::from_ref(&pot)).await.unwrap();
    shop.product_at(&pot, added.version).await.unwrap();
    shop.update_product(&added).await.unwrap();
    let adjusted = shop
        .adjust_stock(Adjustment::new(pot.clone(), 1, "delivery").unwrap())
        .await
        .unwrap();
    let counted = shop
        .count_stock(&pot, adjusted.version, stock(3), "day")
        .await
        .unwrap();
    let order = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    shop.order(order.id).await.unwrap();
    shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    shop.retire_product(&pot, Version::new(counted.version.get() + 2).unwrap())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn inventories() {
    let db = Db::empty().await;
    let pool = db.pool.clone();
    tokio::spawn(async move { migrate(&pool).await })
        .await
        .unwrap()
        .unwrap();
    let shop = PgInventory::new(db.pool.clone());
    tokio::spawn(everything(Arc::new(shop))).await.unwrap();
    tokio::spawn(everything(Arc::new(MemoryInventory::new())))
        .await
        .unwrap();
    // An `Arc` of an inventory is one itself.
    let shared: Arc<dyn Inventory> = Arc::new(MemoryInventory::new());
    tokio::spawn(everything(Arc::new(shared))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_in_the_callers_transaction() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    let pool = db.pool.clone();
    tokio::spawn(async move {
        let (pot, new, request) = (sku("pot"), new_product("pot", 5), cart(&[("pot", 1)]));
        let (policy, options) = (RetryPolicy::new(), TransactOptions::new());
        transact_with(&pool, &policy, &options, async |conn, _| {
            let added = shop.add_product_in(conn, &new).await?;
            shop.product_in(conn, &pot).await?;
            shop.products_in(conn, &Page::first(5)).await?;
            shop.products_of_in(conn, std::slice::from_ref(&pot))
                .await?;
            shop.product_at_in(conn, &pot, added.version).await?;
            let changed = shop.update_product_in(conn, &added).await?;
            let adjustment = Adjustment::new(pot.clone(), 1, "delivery")?;
            shop.adjust_stock_in(conn, &adjustment).await?;
            let version = Version::new(changed.version.get() + 1).unwrap();
            shop.count_stock_in(conn, &pot, version, stock(3), "day")
                .await?;
            let order = shop.checkout_in(conn, &request).await?;
            shop.order_in(conn, order.id).await?;
            shop.retire_product_in(conn, &pot, Version::new(version.get() + 2).unwrap())
                .await
        })
        .await
        .unwrap();
        let missing = OrderId::new();
        transact(&pool, &policy, async |conn, _| {
            shop.order_in(conn, missing).await.map(drop)
        })
        .await
        .unwrap_err()
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn retries() {
    tokio::spawn(async {
        let (policy, text) = (RetryPolicy::new(), String::from("pot"));
        let length = with_retry(&policy, async |_| Ok::<_, Conflict>(text.len()))
            .await
            .unwrap();
        let by_closure = with_retry(&policy, |_| {
            let text = &text;
            async move { Ok::<_, Conflict>(text.len()) }
        });
        assert_eq!(by_closure.await.unwrap(), length);
        let mut log = Vec::new();
        with_retry_mut(&policy, &mut log, async |log, _| {
            log.push(text.len());
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
        assert_eq!(log, [length]);
    })
    .await
    .unwrap();
}
