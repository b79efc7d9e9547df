//! However many look at a product, the database is asked once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use optilock::{
    RetryPolicy,
    cache::CachedStock,
    inventory::{Inventory, PgInventory},
    sqlx::{self, Connection},
};

use crate::{
    db::{Db, pool_options},
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

/// The database does not answer in time: each viewer is told so after his own wait, and not after that of
/// everybody before him.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_is_told_nothing_is_told_so_together() {
    let db = Db::new().await;
    add(&PgInventory::new(db.pool.clone()), "pot", 5).await;
    let options = db
        .database
        .options()
        .options([("statement_timeout", "300")]);
    let pool = pool_options(32).connect_with(options).await.unwrap();
    let policy = RetryPolicy::new().with_max_attempts(1);
    let shop = PgInventory::new(pool).with_policy(policy);
    let shop = Arc::new(CachedStock::new(shop));
    let mut holder = sqlx::PgConnection::connect_with(&db.database.options())
        .await
        .unwrap();
    let hold = "BEGIN; LOCK TABLE optilock.products IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(hold).execute(&mut holder).await.unwrap();
    let mut viewers = tokio::task::JoinSet::new();
    let start = Instant::now();
    for _ in 0..60 {
        let shop = Arc::clone(&shop);
        viewers.spawn(async move { shop.display(&sku("pot")).await.unwrap_err() });
    }
    let errors = viewers.join_all().await;
    assert!(errors.iter().all(|error| error.is_busy()), "{errors:?}");
    // One after the other it would be 18 seconds.
    let took = start.elapsed();
    assert!(took < Duration::from_secs(9), "{took:?}");
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut holder)
        .await
        .unwrap();
    assert_eq!(shop.display(&sku("pot")).await.unwrap().shown(), 5);
}
