//! Pauses between the checkouts of 256 buyers.

use optilock::inventory::{BatchOptions, BatchedInventory, Inventory, PgInventory, Strategy};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::rules::is_paused;
use crate::{
    support::db::{Db, Default, assert_balanced, pool_options},
    support::goods::{add, cart, sku},
};

/// Pauses and resumes through `clerk` what the buyers of `shop` buy. Asserts that each pause takes at most
/// `limit` and that no sale follows a pause before the resume.
async fn among_buyers(
    shop: Arc<dyn Inventory>,
    clerk: Arc<dyn Inventory>,
    pauses: u32,
    limit: Duration,
) {
    add(&*shop, "pot", 100_000_000).await;
    let pot = sku("pot");
    let (sold, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let stopped = Arc::new(AtomicBool::new(false));
    let mut buyers = JoinSet::new();
    for _ in 0..256 {
        let (shop, sold, refused, stopped) =
            (shop.clone(), sold.clone(), refused.clone(), stopped.clone());
        buyers.spawn(async move {
            while !stopped.load(SeqCst) {
                match shop.checkout(cart(&[("pot", 1)])).await {
                    Ok(_) => sold.fetch_add(1, SeqCst),
                    Err(error) if is_paused(&error, "pot") => refused.fetch_add(1, SeqCst),
                    Err(error) => panic!("{error:?}"),
                };
            }
        });
    }
    let wait_for_more = async |count: &AtomicU64, by: u64| {
        let from = count.load(SeqCst);
        let since = Instant::now();
        while count.load(SeqCst) < from + by {
            assert!(
                since.elapsed() < Duration::from_secs(20),
                "no buyer makes progress"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let mut slowest = Duration::ZERO;
    for _ in 0..pauses {
        wait_for_more(&sold, 256).await;
        let began = Instant::now();
        let paused = clerk.pause(&pot).await.unwrap();
        slowest = slowest.max(began.elapsed());
        wait_for_more(&refused, 512).await;
        let resumed = clerk.resume(&pot).await.unwrap();
        assert_eq!(
            resumed.version.get(),
            paused.version.get() + 1,
            "a change while the sale was paused"
        );
    }
    stopped.store(true, SeqCst);
    buyers.join_all().await;
    println!("the slowest of {pauses} pauses took {slowest:.1?}");
    assert!(slowest <= limit, "{slowest:?}");
}

/// A limit for a machine that runs other tests as well.
const LIMIT: Duration = Duration::from_secs(5);

macro_rules! storms {
    ($($name:ident, $in_full:ident: $shop:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let db = Db::with(Default::ReadCommitted, 40).await;
            let shop = ($shop)(PgInventory::new(db.pool.clone()));
            among_buyers(shop.clone(), shop, 5, LIMIT).await;
            assert_balanced(&db.pool).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        #[ignore = "needs an idle machine"]
        async fn $in_full() {
            let db = Db::with(Default::ReadCommitted, 40).await;
            let shop = ($shop)(PgInventory::new(db.pool.clone()));
            // Through the pool of the buyers, the pause would wait for a connection behind 216 of them.
            let pool = pool_options(1).connect_with(db.database.options()).await.unwrap();
            let clerk = Arc::new(PgInventory::new(pool));
            among_buyers(shop, clerk, 60, Duration::from_millis(200)).await;
            assert_balanced(&db.pool).await;
        }
    )*};
}

storms! {
    no_sale_follows_a_pause_guarded, a_pause_takes_under_200_ms_guarded: |shop: PgInventory| Arc::new(shop);
    no_sale_follows_a_pause_optimistic, a_pause_takes_under_200_ms_optimistic: |shop: PgInventory| {
        Arc::new(shop.with_strategy(Strategy::Optimistic))
    };
    no_sale_follows_a_pause_pessimistic, a_pause_takes_under_200_ms_pessimistic: |shop: PgInventory| {
        Arc::new(shop.with_strategy(Strategy::Pessimistic))
    };
    no_sale_follows_a_pause_in_batches, a_pause_takes_under_200_ms_in_batches: |shop: PgInventory| {
        Arc::new(BatchedInventory::new(shop, BatchOptions::new()))
    };
}
