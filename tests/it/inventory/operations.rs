//! The guide's questions to the database are asked as they stand there.

use std::time::{Duration, Instant};

use optilock::{
    inventory::{FeedPosition, Inventory, PgInventory, Reserve},
    sqlx::{self, Row},
};

use crate::{
    inventory::exactly_once::until_somebody_waits,
    support::db::{Db, sql_of},
    support::goods::{add, cart, sku, units},
};

const GUIDE: &str = include_str!("../../../src/guide/operations.md");

#[tokio::test]
async fn the_guides_questions_have_answers() {
    let [waits, ledger, holds, orders, hot, paused, restored] = sql_of(GUIDE);
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "clay-pot", 9).await;
    let request = cart(&[("clay-pot", 2)]).with_customer("ana@example.org");
    shop.checkout(request).await.unwrap();
    let held = Reserve::new([(sku("clay-pot"), units(3))]).unwrap();
    shop.reserve(held).await.unwrap();
    let ask = async |question: &'static str| {
        let answer = sqlx::query(question).fetch_all(&db.pool).await;
        answer.unwrap()
    };

    let ledger = ask(ledger).await;
    let kinds: Vec<i16> = ledger.iter().map(|row| row.get("kind")).collect();
    assert_eq!(kinds, [4, 1, 8]);
    let holds = ask(holds).await;
    assert_eq!(holds[0].get::<i64, _>("held"), 3);
    assert!(!holds[0].get::<bool, _>("run_out"));
    assert_eq!(ask(orders).await[0].get::<i16, _>("status"), 0);
    assert_eq!(ask(hot).await.len(), 1);
    assert_eq!(ask(paused).await.len(), 0);
    shop.pause(&sku("clay-pot")).await.unwrap();
    assert_eq!(ask(paused).await.len(), 1);
    shop.resume(&sku("clay-pot")).await.unwrap();

    // A reader that had read all of them goes on behind them.
    ask(restored).await;
    let position: FeedPosition = "2/0/".parse().unwrap();
    assert!(GUIDE.contains(&format!("the position `{position}`")));
    let product = shop.pause(&sku("clay-pot")).await.unwrap();
    let resumed = shop.resume(&product.sku).await.unwrap();
    // Transactions of other tests, in other databases of the server, delay it.
    let limit = Instant::now() + Duration::from_secs(60);
    let page = loop {
        let page = shop.movements_since(&position, 9).await.unwrap().movements;
        if page.len() > 1 {
            break page;
        }
        assert!(Instant::now() < limit, "{page:?}");
    };
    let versions: Vec<_> = page.iter().map(|it| it.version).collect();
    assert_eq!(versions, [product.version, resumed.version]);

    let mut tx = db.pool.begin().await.unwrap();
    shop.checkout_in(&mut tx, &cart(&[("clay-pot", 1)]))
        .await
        .unwrap();
    let waiting = tokio::spawn({
        let shop = shop.clone();
        async move { shop.checkout(cart(&[("clay-pot", 1)])).await }
    });
    until_somebody_waits(&db).await;
    let waits = ask(waits).await;
    assert_eq!(waits[0].get::<&str, _>("state"), "idle in transaction");
    tx.commit().await.unwrap();
    waiting.await.unwrap().unwrap();
}
