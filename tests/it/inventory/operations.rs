//! The queries of the operations guide, run as they are printed there.

use std::time::{Duration, Instant};

use optilock::{
    inventory::{FeedPosition, Inventory, PgInventory, Reserve},
    sqlx::{self, Row},
};

use crate::{
    support::bank::until_waiting,
    support::db::{Db, sql_of},
    support::goods::{add, cart, sku, units},
};

const GUIDE: &str = include_str!("../../../src/guide/operations.md");

#[tokio::test]
async fn the_queries_of_the_guide_return_the_documented_rows() {
    let [
        waits,
        ledger,
        holds,
        orders,
        hot,
        paused,
        restored,
        for_standby,
        ledgers,
    ] = sql_of(GUIDE);
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "clay-pot", 9).await;
    let request = cart(&[("clay-pot", 2)]).with_customer("ana@example.org");
    shop.checkout(request).await.unwrap();
    let held = Reserve::new([(sku("clay-pot"), units(3))]).unwrap();
    shop.reserve(held).await.unwrap();
    let run = async |query: &'static str| {
        let rows = sqlx::query(query).fetch_all(&db.pool).await;
        rows.unwrap()
    };

    let ledger = run(ledger).await;
    let kinds: Vec<i16> = ledger.iter().map(|row| row.get("kind")).collect();
    assert_eq!(kinds, [4, 1, 8]);
    let holds = run(holds).await;
    assert_eq!(holds[0].get::<i64, _>("held"), 3);
    assert!(!holds[0].get::<bool, _>("run_out"));
    assert_eq!(run(orders).await[0].get::<i16, _>("status"), 0);
    assert_eq!(run(hot).await.len(), 1);
    assert_eq!(run(paused).await.len(), 0);
    shop.pause(&sku("clay-pot")).await.unwrap();
    assert_eq!(run(paused).await.len(), 1);
    shop.resume(&sku("clay-pot")).await.unwrap();

    assert_eq!(run(ledgers).await[0].get::<i64, _>("movements"), 5);

    // This server has no standby.
    assert_eq!(run(for_standby).await.len(), 0);

    // A reader that had read all movements continues after them.
    run(restored).await;
    let position: FeedPosition = "2/0/".parse().unwrap();
    assert!(GUIDE.contains(&format!("the position `{position}`")));
    let product = shop.pause(&sku("clay-pot")).await.unwrap();
    let resumed = shop.resume(&product.sku).await.unwrap();
    // Transactions of other tests, in other databases of the server, delay the feed.
    let limit = Instant::now() + Duration::from_secs(60);
    let page = loop {
        let page = shop.movements_since(&position, 9).await.unwrap().movements;
        if page.len() > 1 {
            break page;
        }
        assert!(Instant::now() < limit, "{page:?}");
    };
    let versions: Vec<_> = page.iter().map(|movement| movement.version).collect();
    assert_eq!(versions, [product.version, resumed.version]);

    let mut tx = db.pool.begin().await.unwrap();
    shop.checkout_in(&mut tx, &cart(&[("clay-pot", 1)]))
        .await
        .unwrap();
    let waiting = tokio::spawn({
        let shop = shop.clone();
        async move { shop.checkout(cart(&[("clay-pot", 1)])).await }
    });
    until_waiting(&db.pool).await;
    let waits = run(waits).await;
    assert_eq!(waits[0].get::<&str, _>("state"), "idle in transaction");
    tx.commit().await.unwrap();
    waiting.await.unwrap().unwrap();
}
