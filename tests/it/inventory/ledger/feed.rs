//! The feed returns each movement once, in whichever order the transactions commit.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use optilock::inventory::{Adjustment, FeedPosition, Inventory, Movement, Page, PgInventory};
use optilock::sqlx::{self, PgPool};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::task::{JoinHandle, JoinSet};

use crate::{
    support::db::{Db, Default, assert_balanced},
    support::goods::{add, cart, sku},
};

/// The number of times each movement was read, by its key.
type Read = BTreeMap<(String, i64), u32>;

async fn stored_movements(pool: &PgPool) -> Read {
    let rows: Vec<(String, i64)> = sqlx::query_as("SELECT sku, version FROM optilock.movements")
        .fetch_all(pool)
        .await
        .unwrap();
    rows.into_iter().map(|key| (key, 1)).collect()
}

fn count(read: &mut Read, movements: &[Movement]) {
    for movement in movements {
        let key = (movement.sku.to_string(), movement.version.get());
        *read.entry(key).or_default() += 1;
    }
}

/// The limit for a delay by transactions of other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// Polls `is_so` until it holds. A transaction of another test, in another database of the server, may
/// delay the feed.
async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < limit, "still not the case: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Reads all available movements after `from`, by pages of `limit`. Each position is written as text and
/// parsed again.
async fn read_all(shop: &PgInventory, from: &mut FeedPosition, limit: u32, read: &mut Read) {
    loop {
        let page = shop.movements_since(from, limit).await.unwrap();
        count(read, &page.movements);
        if page.movements.is_empty() {
            assert_eq!(page.next, *from);
            return;
        }
        *from = page.next.to_string().parse().unwrap();
    }
}

/// Starts 16 writers that run until `stop`, each in transactions of the caller. Each transaction is
/// committed or rolled back up to 200 ms after its write.
fn spawn_writers(shop: &PgInventory, pool: &PgPool, stop: &Arc<AtomicBool>) -> JoinSet<()> {
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let (shop, pool, stop) = (shop.clone(), pool.clone(), stop.clone());
        writers.spawn(async move {
            let mut random = StdRng::seed_from_u64(writer);
            while !stop.load(SeqCst) {
                let product = format!("sku-{}", random.random_range(0..39));
                let mut transaction = pool.begin().await.unwrap();
                shop.checkout_in(&mut transaction, &cart(&[(&product, 1)]))
                    .await
                    .unwrap();
                tokio::time::sleep(Duration::from_millis(random.random_range(0..200))).await;
                if random.random_bool(0.1) {
                    transaction.rollback().await.unwrap();
                } else {
                    transaction.commit().await.unwrap();
                }
            }
        });
    }
    writers
}

/// Starts a reader that reads until `complete`, and then on until it has read every movement.
fn spawn_reader(
    shop: &PgInventory,
    pool: &PgPool,
    complete: &Arc<AtomicBool>,
) -> JoinHandle<(Read, FeedPosition)> {
    let (shop, pool, complete) = (shop.clone(), pool.clone(), complete.clone());
    tokio::spawn(async move {
        let (mut position, mut read) = (FeedPosition::START, Read::new());
        while !complete.load(SeqCst) {
            read_all(&shop, &mut position, 7, &mut read).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The last movements are visible once older transactions have ended.
        let limit = Instant::now() + PATIENCE;
        while read.len() < stored_movements(&pool).await.len() {
            assert!(Instant::now() < limit, "the feed lacks a movement");
            read_all(&shop, &mut position, 7, &mut read).await;
        }
        (read, position)
    })
}

/// Writes and reads at the same time, with one transaction that wrote before all others and stays open.
async fn assert_each_movement_is_read_once(open: Duration) {
    let db = Db::with(Default::ReadCommitted, 24).await;
    let shop = PgInventory::new(db.pool.clone());
    for product in 0..40 {
        add(&shop, &format!("sku-{product}"), 1_000_000).await;
    }
    let (stop, complete) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let writers = spawn_writers(&shop, &db.pool, &stop);
    let reader = spawn_reader(&shop, &db.pool, &complete);
    // The writers do not use this product: none of them waits for its lock.
    let delivery = Adjustment::new(sku("sku-39"), 1, "delivery").unwrap();
    let mut transaction = db.pool.begin().await.unwrap();
    shop.adjust_stock_in(&mut transaction, &delivery)
        .await
        .unwrap();
    let since = Instant::now();
    let before = stored_movements(&db.pool).await.len();
    tokio::time::sleep(open).await;
    assert!(
        stored_movements(&db.pool).await.len() > before,
        "no writer committed while the transaction was open"
    );
    transaction.commit().await.unwrap();
    tokio::time::sleep(open / 4).await;
    stop.store(true, SeqCst);
    writers.join_all().await;
    complete.store(true, SeqCst);
    let (read, position) = reader.await.unwrap();
    println!("{} movements in {:.1?}", read.len(), since.elapsed());
    let all = stored_movements(&db.pool).await;
    let wrong: Vec<_> = all
        .keys()
        .chain(read.keys())
        .filter(|key| read.get(*key) != Some(&1))
        .collect();
    assert!(wrong.is_empty(), "not read once: {wrong:?}");
    let end = shop.movements_since(&position, 10).await.unwrap();
    assert_eq!((end.movements, end.next), (vec![], position));
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_movement_is_read_once() {
    assert_each_movement_is_read_once(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes seven seconds"]
async fn each_movement_is_read_once_in_five_seconds() {
    assert_each_movement_is_read_once(Duration::from_secs(5)).await;
}

/// An open transaction with a write delays later movements in the feed, and not the movements of a
/// product.
#[tokio::test(flavor = "multi_thread")]
async fn the_feed_ends_before_an_open_transaction() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    add(&shop, "mug", 5).await;
    let (mut position, mut read) = (FeedPosition::START, Read::new());
    eventually("both movements are read", async || {
        read_all(&shop, &mut position, 1, &mut read).await;
        read.len() == 2
    })
    .await;
    let mut open = db.pool.begin().await.unwrap();
    let delivery = Adjustment::new(sku("pot"), 1, "delivery").unwrap();
    shop.adjust_stock_in(&mut open, &delivery).await.unwrap();
    shop.checkout(cart(&[("mug", 1)])).await.unwrap();
    let page = shop.movements_since(&position, 10).await.unwrap();
    assert_eq!(page.movements, []);
    let own = shop.movements_since_in(&mut open, &position, 10).await;
    assert_eq!(own.unwrap().movements, []);
    let ledger = shop.movements(&sku("mug"), Page::first(10)).await.unwrap();
    assert_eq!(ledger.len(), 2);
    open.commit().await.unwrap();
    eventually("all movements are read", async || {
        read_all(&shop, &mut position, 10, &mut read).await;
        read.len() == 4
    })
    .await;
    assert!(read.values().all(|times| *times == 1), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_end_between_movements_of_one_transaction() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    let mut transaction = db.pool.begin().await.unwrap();
    for product in 0..10 {
        let new = crate::support::goods::new_product(&format!("a/b {product}"), 9);
        shop.add_product_in(&mut transaction, &new).await.unwrap();
    }
    for _ in 0..3 {
        let lines = [("a/b 3", 1), ("a/b 7", 1)];
        shop.checkout_in(&mut transaction, &cart(&lines))
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
    for limit in [0, 1, 3, 16, 100] {
        let (mut position, mut read) = (FeedPosition::START, Read::new());
        eventually("all movements are read", async || {
            read_all(&shop, &mut position, limit, &mut read).await;
            read.len() == 16
        })
        .await;
        assert_eq!(read, stored_movements(&db.pool).await);
    }
    let page = shop.movements_since(&FeedPosition::START, 16).await;
    let page = page.unwrap().movements;
    let ledger = shop
        .movements(&sku("a/b 3"), Page::first(10))
        .await
        .unwrap();
    let same: Vec<_> = page
        .into_iter()
        .filter(|it| it.sku == sku("a/b 3"))
        .collect();
    assert_eq!(same, ledger);
}

/// After a dump is restored, transactions have other ids.
#[tokio::test(flavor = "multi_thread")]
async fn a_position_ahead_of_the_database_is_refused() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    let ahead: FeedPosition = "9000000000000/1/pot".parse().unwrap();
    let refused = shop.movements_since(&ahead, 10).await.unwrap_err();
    assert_eq!(refused.code(), "invalid");
    assert!(
        refused.to_string().contains("ahead of this database"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_read_by_the_index() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    let movements =
        "INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, transaction_id)
        SELECT 'pot', n, 3, 1, n, 1 + n / 100 FROM generate_series(1, 50000) AS n";
    sqlx::raw_sql(movements).execute(&db.pool).await.unwrap();
    sqlx::raw_sql("VACUUM ANALYZE optilock.movements")
        .execute(&db.pool)
        .await
        .unwrap();
    let mut position = FeedPosition::START;
    for _ in 0..20 {
        let page = shop.movements_since(&position, 1_000).await.unwrap();
        assert_eq!(page.movements.len(), 1_000);
        position = page.next;
    }
    let rows: Option<i64> = sqlx::query_scalar(
        "SELECT seq_scan FROM pg_stat_user_tables WHERE relid = 'optilock.movements'::regclass",
    )
    .fetch_one(&db.pool)
    .await
    .unwrap();
    assert!(
        rows.unwrap_or_default() <= 1,
        "{rows:?} sequential scans of the ledger"
    );
}
