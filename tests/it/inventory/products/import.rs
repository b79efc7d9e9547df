//! Many products at once.

use optilock::inventory::{ErrorKind, Inventory, MovementKind, NewProduct, Page, PgInventory};

use crate::support::{
    db::{Db, assert_balanced},
    goods::{add, new_product, sku, stock_of},
    proxy::{Cut, Proxy},
    triggers::{SWALLOW, add_trigger},
};

fn products(range: std::ops::Range<i64>) -> Vec<NewProduct> {
    range
        .map(|n| new_product(&format!("pot-{n:06}"), n))
        .collect()
}

#[tokio::test]
async fn an_import_adds_what_does_not_exist() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot-000007", 77).await;
    let retired = add(&shop, "pot-002000", 5).await;
    shop.retire_product(&retired.sku, retired.version)
        .await
        .unwrap();
    let all = products(0..2_500);
    let existing = shop.add_products(&all).await.unwrap();
    assert_eq!(existing, [sku("pot-000007"), sku("pot-002000")]);
    assert_eq!(stock_of(&shop, "pot-000007").await, 77);
    assert_eq!(stock_of(&shop, "pot-002499").await, 2_499);
    let added = shop.product(&sku("pot-000008")).await.unwrap();
    assert_eq!(
        (added.name.as_str(), added.price),
        ("The pot-000008", all[8].price())
    );
    let ledger = shop.movements(&added.sku, Page::first(9)).await.unwrap();
    assert_eq!(
        (ledger.len(), ledger[0].kind, ledger[0].delta),
        (1, MovementKind::Added, 8)
    );
    // Again: nothing is left to add.
    assert_eq!(shop.add_products(&all).await.unwrap().len(), 2_500);
    assert_eq!(shop.add_products(&[]).await.unwrap(), []);
    assert_balanced(&db.pool).await;
}

#[tokio::test]
async fn an_import_that_is_wrong_adds_nothing() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    let mut all = products(0..1_500);
    all.push(new_product("pot-000003", 1));
    let refused = shop.add_products(&all).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(
        refused.to_string().contains("pot-000003 twice"),
        "{refused}"
    );
    let unnamed = NewProduct::new(sku("mug"), "", all[0].price());
    let refused = shop
        .add_products(&[all[0].clone(), unnamed])
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    // A row that a trigger swallows fails its statement.
    add_trigger(
        &db.pool,
        "products",
        "INSERT",
        SWALLOW,
        "WHEN (NEW.sku = 'pot-000005')",
    )
    .await;
    let refused = shop.add_products(&products(0..10)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Suppressed);
    assert_eq!(shop.products(Page::first(10)).await.unwrap(), []);
}

#[tokio::test]
async fn an_import_belongs_to_the_callers_transaction() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    let mut tx = db.pool.begin().await.unwrap();
    shop.add_products_in(&mut tx, &products(0..1_200))
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(shop.products(Page::first(10)).await.unwrap(), []);
}

/// What an attempt added whose answer was lost is no product that existed.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_looked_up() {
    for cut in [Cut::Reply, Cut::Before] {
        let db = Db::new().await;
        let proxy = Proxy::new(&db).await;
        let shop = PgInventory::new(proxy.pool(2).await);
        add(&shop, "pot-000007", 77).await;
        proxy.trap(b"COMMIT", cut);
        let existing = shop.add_products(&products(0..20)).await.unwrap();
        assert!(!proxy.armed());
        assert_eq!(existing, [sku("pot-000007")]);
        assert_balanced(&db.pool).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_beside_each_other_add_each_product_once() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    let imports = [0..3_000, 500..2_500, 1_000..4_000, 0..4_000].map(|range| {
        let shop = shop.clone();
        tokio::spawn(async move {
            let mut products = products(range);
            products.reverse();
            let existing = shop.add_products(&products).await.unwrap();
            products.len() - existing.len()
        })
    });
    let mut added = 0;
    for import in imports {
        added += import.await.unwrap();
    }
    assert_eq!(added, 4_000);
    assert_balanced(&db.pool).await;
}
