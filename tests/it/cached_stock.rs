//! However many look at a product, the database is asked once.

use std::sync::Arc;

use optilock::{
    cache::CachedStock,
    inventory::{Inventory, PgInventory},
};

use crate::{
    db::Db,
    goods::{add, cart, sku, stock_of},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_viewers_asks_once() {
    let db = Db::new().await;
    let pg = PgInventory::new(db.pool.clone());
    let shop = Arc::new(CachedStock::new(pg.clone()));
    add(&*shop, "pot", 5).await;
    let crowd = async |shown: i64| {
        let before = pg.stats().calls;
        let mut viewers = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let shop = Arc::clone(&shop);
            viewers.spawn(async move { shop.display(&sku("pot")).await.unwrap().shown() });
        }
        assert_eq!(viewers.join_all().await, [shown; 200]);
        assert_eq!(pg.stats().calls, before + 1);
    };
    crowd(5).await;
    // After a sale, once more.
    shop.checkout(cart(&[("pot", 2)])).await.unwrap();
    crowd(3).await;
}

#[tokio::test]
async fn an_error_is_told_and_not_kept() {
    let db = Db::new().await;
    let shop = CachedStock::new(PgInventory::new(db.pool.clone()));
    add(&shop, "pot", 5).await;
    let rename = async |from: &str, to: &str| {
        let rename = format!("ALTER TABLE optilock.{from} RENAME TO {to}");
        let rename = optilock::sqlx::AssertSqlSafe(rename);
        optilock::sqlx::query(rename)
            .execute(&db.pool)
            .await
            .unwrap();
    };
    rename("products", "away").await;
    assert_eq!(
        shop.display(&sku("pot")).await.unwrap_err().code(),
        "database"
    );
    rename("away", "products").await;
    assert_eq!(shop.display(&sku("pot")).await.unwrap().shown(), 5);
    assert_eq!(stock_of(&shop, "pot").await, 5);
}
