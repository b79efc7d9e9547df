//! `CachedStock` sends one query for all viewers of a product.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use optilock::{
    RetryPolicy,
    cache::CachedStock,
    inventory::{Error, Inventory, PgInventory},
    sqlx::{self, AssertSqlSafe, Connection},
};

use tokio::task::JoinSet;

use crate::{
    support::db::{Db, pool_options},
    support::goods::{add, cart, sku, stock_of},
};

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_viewers_share_one_query() {
    let db = Db::new().await;
    let pg = PgInventory::new(db.pool.clone());
    let shop = Arc::new(CachedStock::new(pg.clone()));
    add(&*shop, "pot", 5).await;
    let assert_one_query = async |shown: i64| {
        let before = pg.stats().calls;
        let mut viewers = JoinSet::new();
        for _ in 0..200 {
            let shop = Arc::clone(&shop);
            viewers.spawn(async move { shop.display(&sku("pot")).await.unwrap().shown() });
        }
        assert_eq!(viewers.join_all().await, [shown; 200]);
        assert_eq!(pg.stats().calls, before + 1);
    };
    assert_one_query(5).await;
    // A sale discards the cached stock.
    shop.checkout(cart(&[("pot", 2)])).await.unwrap();
    assert_one_query(3).await;
}

async fn rename(db: &Db, from: &str, to: &str) {
    let rename = format!("ALTER TABLE optilock.{from} RENAME TO {to}");
    let rename = sqlx::query(AssertSqlSafe(rename));
    rename.execute(&db.pool).await.unwrap();
}

/// Returns the stock that is shown after the cached error has expired.
async fn shown_after_recovery(shop: &CachedStock<PgInventory>) -> i64 {
    let start = Instant::now();
    loop {
        match shop.display(&sku("pot")).await {
            Ok(stock) => return stock.shown(),
            Err(error) => assert!(error.is_busy(), "{error:?}"),
        }
        assert!(start.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_cached_error_expires() {
    let db = Db::new().await;
    let shop = CachedStock::new(PgInventory::new(db.pool.clone()));
    add(&shop, "pot", 5).await;
    rename(&db, "products", "away").await;
    let error = shop.display(&sku("pot")).await.unwrap_err();
    assert_eq!(error.code(), "database");
    rename(&db, "away", "products").await;
    assert_eq!(shown_after_recovery(&shop).await, 5);
    assert_eq!(stock_of(&shop, "pot").await, 5);
}

/// While the inventory fails, it is queried at most once per second.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_viewers_share_one_query_to_a_failing_inventory() {
    let db = Db::new().await;
    let pg = PgInventory::new(db.pool.clone());
    let shop = Arc::new(CachedStock::new(pg.clone()).with_ttl(Duration::from_millis(1)));
    add(&*shop, "pot", 5).await;
    let viewers = async || {
        let (before, start) = (pg.stats().calls, Instant::now());
        let mut tasks = JoinSet::new();
        for _ in 0..500 {
            let shop = Arc::clone(&shop);
            tasks.spawn(async move { shop.display(&sku("pot")).await });
        }
        let answers = tasks.join_all().await;
        let calls = pg.stats().calls - before;
        assert!(calls <= 1 + start.elapsed().as_secs(), "{calls} calls");
        answers
    };
    rename(&db, "products", "away").await;
    // No stock was read before the failure.
    let answers = viewers().await;
    let busy = answers
        .iter()
        .filter(|it| it.as_ref().is_err_and(Error::is_busy));
    assert!(busy.count() >= 490);
    rename(&db, "away", "products").await;
    assert_eq!(shown_after_recovery(&shop).await, 5);
    rename(&db, "products", "away").await;
    // The stock is older than its time to live and is shown nevertheless.
    tokio::time::sleep(Duration::from_millis(2)).await;
    for answer in viewers().await {
        assert_eq!(answer.unwrap().shown(), 5);
    }
    rename(&db, "away", "products").await;
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    rename(&db, "products", "away").await;
    // The stock from before a sale through the same cache is not shown.
    assert!(viewers().await.iter().all(Result::is_err));
    rename(&db, "away", "products").await;
    assert_eq!(shown_after_recovery(&shop).await, 4);
}

/// If the database does not answer in time, all viewers get the error of one query.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_viewers_share_a_timeout() {
    let db = Db::new().await;
    add(&PgInventory::new(db.pool.clone()), "pot", 5).await;
    let options = db.database.options().options([("lock_timeout", "300")]);
    let pool = pool_options(32).connect_with(options).await.unwrap();
    let policy = RetryPolicy::new().with_max_attempts(1);
    let shop = PgInventory::new(pool).with_policy(policy);
    let shop = Arc::new(CachedStock::new(shop).with_ttl(Duration::from_millis(1)));
    let mut holder = sqlx::PgConnection::connect_with(&db.database.options())
        .await
        .unwrap();
    let hold = "BEGIN; LOCK TABLE optilock.products IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(hold).execute(&mut holder).await.unwrap();
    let mut viewers = JoinSet::new();
    let start = Instant::now();
    for _ in 0..60 {
        let shop = Arc::clone(&shop);
        viewers.spawn(async move { shop.display(&sku("pot")).await.unwrap_err() });
    }
    let errors = viewers.join_all().await;
    assert!(errors.iter().all(|error| error.is_busy()), "{errors:?}");
    // One query per viewer would take 18 seconds.
    let took = start.elapsed();
    assert!(took < Duration::from_secs(9), "{took:?}");
    let release = "ROLLBACK";
    sqlx::raw_sql(release).execute(&mut holder).await.unwrap();
    assert_eq!(shown_after_recovery(&shop).await, 5);
    // A checkout that ends as busy keeps the cached stock.
    sqlx::raw_sql(hold).execute(&mut holder).await.unwrap();
    let refused = shop.checkout(cart(&[("pot", 1)])).await.unwrap_err();
    assert!(refused.is_busy(), "{refused:?}");
    assert_eq!(shop.display(&sku("pot")).await.unwrap().shown(), 5);
    sqlx::raw_sql(release).execute(&mut holder).await.unwrap();
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    assert_eq!(shown_after_recovery(&shop).await, 4);
}
