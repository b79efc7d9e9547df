//! The inventory, by each strategy and batched: strictly serializable.
//!
//! Each product and each order is a list. A product's list is its ledger, in which its version is the number of
//! movements; an order's list has its checkout and its payment or cancellation. A checkout of three products appends to
//! four lists, and an answer that has a version is a read of that many elements.

mod buyer;
mod orders;
mod stored;

use std::sync::Arc;

use optilock::{
    RetryPolicy,
    inventory::{BatchOptions, BatchedInventory, Inventory, PgInventory, Strategy},
    sqlx::PgPool,
};
use tokio::task::JoinSet;

use super::{
    effects::Effects,
    faults::Faults,
    history::{Outcome, append},
    level::{Level, dependencies},
    lists,
    recorder::Recorder,
};
use crate::support::{
    SHUTDOWN,
    db::{Db, Default, assert_balanced},
    goods::new_product,
};
use buyer::Buyer;
use orders::Orders;

const BUYERS: usize = 16;

/// Units of each product at first. A few deliveries follow, so that some checkouts are refused.
const UNITS: i64 = 25;

/// How a shop sells.
#[derive(Clone, Copy, Debug)]
enum Path {
    By(Strategy),
    /// Every checkout waits for a batch.
    Batched,
    /// A checkout waits for a batch if its product is contended.
    BatchedIfContended,
}

const PATHS: [Path; 5] = [
    Path::By(Strategy::Guarded),
    Path::By(Strategy::Optimistic),
    Path::By(Strategy::Pessimistic),
    Path::Batched,
    Path::BatchedIfContended,
];

#[tokio::test(flavor = "multi_thread")]
async fn every_strategy_is_strictly_serializable() {
    for path in PATHS {
        run(path, Default::ReadCommitted, 300).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn every_strategy_is_strictly_serializable_in_long_histories() {
    for path in PATHS {
        for default in [
            Default::ReadCommitted,
            Default::RepeatableRead,
            Default::Serializable,
        ] {
            run(path, default, 8_000).await;
        }
    }
}

/// Records operations under faults, compares their outcomes with the ledger and checks the history.
async fn run(path: Path, default: Default, transactions: usize) {
    let db = Db::new().await;
    let recorder = Arc::new(Recorder::default());
    add_products(&db, &recorder, transactions).await;
    let faults = Faults::start(&db, &recorder).await;
    let pool = faults.pool(default).await;
    // One attempt, so that the caller learns of an unknown outcome; or several, which find out what is stored.
    let policies = [RetryPolicy::new().with_max_attempts(1), RetryPolicy::new()];
    let shops = policies.map(|policy| Shop::open(&pool, policy, path));
    let orders = Arc::new(Orders::default());
    let mut buyers = JoinSet::new();
    for number in 0..BUYERS {
        let shop = shops[number % shops.len()].inventory();
        let mut buyer = Buyer::new(number, shop, Arc::clone(&recorder), Arc::clone(&orders));
        buyers.spawn(async move {
            while buyer.wants_more(transactions) {
                buyer.step().await;
            }
        });
    }
    buyers.join_all().await;
    for shop in shops {
        shop.close().await;
    }
    let counts = faults.stop(&db).await;
    let stored = stored::lists(&db.pool).await;
    let mut history = recorder.take();
    let effects = Effects::of(&history, &stored).unwrap_or_else(|found| panic!("{found:#?}"));
    history.finish(&stored);
    let edges = dependencies(&history);
    println!("{path:?}, {default:?}: {effects}; {edges} dependencies; {counts}");
    Level::StrictSerializable.assert_holds(&history);
    assert_balanced(&db.pool).await;
    counts.assert_all_happened();
    assert!(effects.unknown > 0 && effects.refused > 0, "{effects}");
    assert!(effects.done > transactions / 3, "{effects}");
}

/// Adds the products of all transactions, without faults.
async fn add_products(db: &Db, recorder: &Recorder, transactions: usize) {
    let shop = PgInventory::new(db.pool.clone());
    for number in 0..lists::needed(transactions) {
        let name = name(number as i64);
        let steps = vec![append(&name, format!("added {name}"))];
        let number = recorder.begin(BUYERS, steps.clone());
        shop.add_product(new_product(&name, UNITS)).await.unwrap();
        recorder.end(number, Outcome::Done(steps));
    }
}

/// Returns the SKU of a list.
fn name(list: i64) -> String {
    format!("product-{list:05}")
}

/// An inventory of one process.
enum Shop {
    Direct(PgInventory),
    Batched(BatchedInventory),
}

impl Shop {
    fn open(pool: &PgPool, policy: RetryPolicy, path: Path) -> Self {
        let shop = PgInventory::new(pool.clone()).with_policy(policy);
        match path {
            Path::By(strategy) => Self::Direct(shop.with_strategy(strategy)),
            Path::Batched => {
                Self::Batched(BatchedInventory::new(shop, BatchOptions::new().always()))
            }
            Path::BatchedIfContended => {
                Self::Batched(BatchedInventory::new(shop, BatchOptions::new()))
            }
        }
    }

    fn inventory(&self) -> Arc<dyn Inventory> {
        match self {
            Self::Direct(shop) => Arc::new(shop.clone()),
            Self::Batched(shop) => Arc::new(shop.clone()),
        }
    }

    async fn close(self) {
        if let Self::Batched(shop) = self {
            shop.shutdown(SHUTDOWN).await.expect("the queue drains");
        }
    }
}
