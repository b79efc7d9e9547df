//! However many look at a product, the database is asked once.

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

use crate::{
    support::db::{Db, pool_options},
    support::goods::{add, cart, sku, stock_of},
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

async fn rename(db: &Db, from: &str, to: &str) {
    let rename = format!("ALTER TABLE optilock.{from} RENAME TO {to}");
    let rename = sqlx::query(AssertSqlSafe(rename));
    rename.execute(&db.pool).await.unwrap();
}

/// What is shown once the failure is forgotten.
async fn shown_again(shop: &CachedStock<PgInventory>) -> i64 {
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
async fn an_error_is_kept_for_a_moment() {
    let db = Db::new().await;
    let shop = CachedStock::new(PgInventory::new(db.pool.clone()));
    add(&shop, "pot", 5).await;
    rename(&db, "products", "away").await;
    let error = shop.display(&sku("pot")).await.unwrap_err();
    assert_eq!(error.code(), "database");
    rename(&db, "away", "products").await;
    assert_eq!(shown_again(&shop).await, 5);
    assert_eq!(stock_of(&shop, "pot").await, 5);
}

/// The inventory fails: it is asked once a moment, however many look.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_asks_a_failing_inventory_once() {
    let db = Db::new().await;
    let pg = PgInventory::new(db.pool.clone());
    let shop = Arc::new(CachedStock::new(pg.clone()).with_ttl(Duration::from_millis(1)));
    add(&*shop, "pot", 5).await;
    let crowd = async || {
        let (before, start) = (pg.stats().calls, Instant::now());
        let mut viewers = tokio::task::JoinSet::new();
        for _ in 0..500 {
            let shop = Arc::clone(&shop);
            viewers.spawn(async move { shop.display(&sku("pot")).await });
        }
        let answers = viewers.join_all().await;
        let calls = pg.stats().calls - before;
        assert!(calls <= 1 + start.elapsed().as_secs(), "{calls} calls");
        answers
    };
    rename(&db, "products", "away").await;
    // Nothing was seen yet.
    let answers = crowd().await;
    let busy = answers
        .iter()
        .filter(|it| it.as_ref().is_err_and(Error::is_busy));
    assert!(busy.count() >= 490);
    rename(&db, "away", "products").await;
    assert_eq!(shown_again(&shop).await, 5);
    rename(&db, "products", "away").await;
    // Older than it should be, and shown.
    tokio::time::sleep(Duration::from_millis(2)).await;
    for answer in crowd().await {
        assert_eq!(answer.unwrap().shown(), 5);
    }
    rename(&db, "away", "products").await;
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    rename(&db, "products", "away").await;
    // A sale through this value: what was seen before it is not shown.
    assert!(crowd().await.iter().all(Result::is_err));
    rename(&db, "away", "products").await;
    assert_eq!(shown_again(&shop).await, 4);
}

/// The database does not answer in time: one viewer asks, and all of them get the error together.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_is_told_nothing_is_told_so_together() {
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
    let let_go = "ROLLBACK";
    sqlx::raw_sql(let_go).execute(&mut holder).await.unwrap();
    assert_eq!(shown_again(&shop).await, 5);
    // A checkout that a busy database refuses changes nothing: what was seen last is shown.
    sqlx::raw_sql(hold).execute(&mut holder).await.unwrap();
    let refused = shop.checkout(cart(&[("pot", 1)])).await.unwrap_err();
    assert!(refused.is_busy(), "{refused:?}");
    assert_eq!(shop.display(&sku("pot")).await.unwrap().shown(), 5);
    sqlx::raw_sql(let_go).execute(&mut holder).await.unwrap();
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    assert_eq!(shown_again(&shop).await, 4);
}
