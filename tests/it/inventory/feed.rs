//! All movements, each once, whatever the order in which transactions commit.

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
use tokio::task::JoinSet;

use crate::{
    support::db::{Db, Default, assert_books},
    support::goods::{add, cart, sku},
};

/// Every movement by its key, and how often it was read.
type Read = BTreeMap<(String, i64), u32>;

async fn ledger(pool: &PgPool) -> Read {
    let rows: Vec<(String, i64)> = sqlx::query_as("SELECT sku, version FROM optilock.movements")
        .fetch_all(pool)
        .await
        .unwrap();
    rows.into_iter().map(|key| (key, 1)).collect()
}

fn note(read: &mut Read, movements: &[Movement]) {
    for movement in movements {
        let key = (movement.sku.to_string(), movement.version.get());
        *read.entry(key).or_default() += 1;
    }
}

/// Asks until it is so. A transaction of another test, in another database of the server, may delay it.
async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < limit, "never so: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

/// All that can be read from there on, by pages of `limit`; each position goes through its text.
async fn read_on(shop: &PgInventory, from: &mut FeedPosition, limit: u32, read: &mut Read) {
    loop {
        let page = shop.movements_since(from, limit).await.unwrap();
        note(read, &page.movements);
        if page.movements.is_empty() {
            assert_eq!(page.next, *from);
            return;
        }
        *from = page.next.to_string().parse().unwrap();
    }
}

/// 16 writers, each in transactions of the host's that are committed, or rolled back, up to 200 ms after
/// they wrote; and one transaction that wrote before all of them and stays open.
async fn each_movement_once(open: Duration) {
    let db = Db::with(Default::ReadCommitted, 24).await;
    let shop = PgInventory::new(db.pool.clone());
    for product in 0..40 {
        add(&shop, &format!("sku-{product}"), 1_000_000).await;
    }
    let over = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let (shop, pool, over) = (shop.clone(), db.pool.clone(), over.clone());
        writers.spawn(async move {
            let mut random = StdRng::seed_from_u64(writer);
            while !over.load(SeqCst) {
                let one = format!("sku-{}", random.random_range(0..39));
                let mut transaction = pool.begin().await.unwrap();
                shop.checkout_in(&mut transaction, &cart(&[(&one, 1)]))
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
    let through = Arc::new(AtomicBool::new(false));
    let reader = {
        let (shop, through, pool) = (shop.clone(), through.clone(), db.pool.clone());
        tokio::spawn(async move {
            let (mut position, mut read) = (FeedPosition::START, Read::new());
            while !through.load(SeqCst) {
                read_on(&shop, &mut position, 7, &mut read).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // The writers are through: what they left is read when their transactions are over.
            let limit = Instant::now() + PATIENCE;
            while read.len() < ledger(&pool).await.len() {
                assert!(Instant::now() < limit, "the feed never has every movement");
                read_on(&shop, &mut position, 7, &mut read).await;
            }
            (read, position)
        })
    };
    // Of a product that the writers leave alone, so that none of them waits for it.
    let slow = sku("sku-39");
    let more = Adjustment::new(slow.clone(), 1, "delivery").unwrap();
    let mut transaction = db.pool.begin().await.unwrap();
    shop.adjust_stock_in(&mut transaction, &more).await.unwrap();
    let since = Instant::now();
    let began = ledger(&db.pool).await.len();
    tokio::time::sleep(open).await;
    assert!(
        ledger(&db.pool).await.len() > began,
        "nobody wrote meanwhile"
    );
    transaction.commit().await.unwrap();
    // And then some more.
    tokio::time::sleep(open / 4).await;
    over.store(true, SeqCst);
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    // Nothing is committed after this.
    through.store(true, SeqCst);
    let (read, position) = reader.await.unwrap();
    println!("{} movements in {:.1?}", read.len(), since.elapsed());
    let all = ledger(&db.pool).await;
    let wrong: Vec<_> = all
        .keys()
        .chain(read.keys())
        .filter(|key| read.get(*key) != Some(&1))
        .collect();
    assert!(wrong.is_empty(), "not read once: {wrong:?}");
    let end = shop.movements_since(&position, 10).await.unwrap();
    assert_eq!((end.movements, end.next), (vec![], position));
    assert_books(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_movement_is_read_once() {
    each_movement_once(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes seven seconds"]
async fn each_movement_is_read_once_in_full() {
    each_movement_once(Duration::from_secs(5)).await;
}

/// A transaction that wrote delays those after it, and no reader of one product.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_ends_before_an_open_transaction() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    add(&shop, "mug", 5).await;
    let (mut position, mut read) = (FeedPosition::START, Read::new());
    // Another test's database is on the same server: its transactions delay this feed, too.
    eventually("both are read", async || {
        read_on(&shop, &mut position, 1, &mut read).await;
        read.len() == 2
    })
    .await;
    let mut open = db.pool.begin().await.unwrap();
    let more = Adjustment::new(sku("pot"), 1, "delivery").unwrap();
    shop.adjust_stock_in(&mut open, &more).await.unwrap();
    shop.checkout(cart(&[("mug", 1)])).await.unwrap();
    let page = shop.movements_since(&position, 10).await.unwrap();
    assert_eq!(page.movements, []);
    let own = shop.movements_since_in(&mut open, &position, 10).await;
    assert_eq!(own.unwrap().movements, []);
    let ledger = shop.movements(&sku("mug"), Page::first(10)).await.unwrap();
    assert_eq!(ledger.len(), 2);
    open.commit().await.unwrap();
    eventually("all are read", async || {
        read_on(&shop, &mut position, 10, &mut read).await;
        read.len() == 4
    })
    .await;
    assert!(read.values().all(|times| *times == 1), "{read:?}");
}

/// Also the movements of one transaction, and those from before the feed.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_end_within_a_transaction() {
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
        eventually("all are read", async || {
            read_on(&shop, &mut position, limit, &mut read).await;
            read.len() == 16
        })
        .await;
        assert_eq!(read, ledger(&db.pool).await);
    }
    let page = shop.movements_since(&FeedPosition::START, 16).await;
    let page = page.unwrap().movements;
    let alone = shop
        .movements(&sku("a/b 3"), Page::first(10))
        .await
        .unwrap();
    let same: Vec<_> = page
        .into_iter()
        .filter(|it| it.sku == sku("a/b 3"))
        .collect();
    assert_eq!(same, alone);
}

/// As after a dump was restored: its transactions have other numbers.
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

/// A page is read by the index, however long the ledger, and nothing is sorted but the page.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_reads_no_more_than_itself() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    let many =
        "INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, transaction_id)
        SELECT 'pot', n, 3, 1, n, 1 + n / 100 FROM generate_series(1, 50000) AS n";
    sqlx::raw_sql(many).execute(&db.pool).await.unwrap();
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
    // At once: the statistics are those of this session's own snapshot.
    let rows: Option<i64> = sqlx::query_scalar(
        "SELECT seq_scan FROM pg_stat_user_tables WHERE relid = 'optilock.movements'::regclass",
    )
    .fetch_one(&db.pool)
    .await
    .unwrap();
    assert!(
        rows.unwrap_or_default() <= 1,
        "{rows:?} scans of the whole ledger"
    );
}
