//! 64 buyers, and the answers that they got.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use optilock::{
    RetryPolicy,
    inventory::{
        BatchOptions, BatchedInventory, Checkout, Inventory, OrderId, PgInventory, Strategy,
    },
    sqlx::{self, PgPool},
};
use tokio::task::JoinSet;

use crate::{
    attacks::inventory::balances,
    support::{
        goods::{add, cart},
        proxy::Proxy,
    },
};

const BUYERS: usize = 64;

/// Gives up soon, so that buyers see the outcomes that are unknown.
const POLICY: RetryPolicy = RetryPolicy::new().with_max_attempts(3);

const NAMES: [&str; 5] = ["pot", "mug", "jug", "cup", "dish"];

/// Buyers that buy until each has made its orders.
pub struct Buyers {
    tasks: JoinSet<Answers>,
    /// How many orders were acknowledged so far.
    pub acknowledged: Arc<AtomicUsize>,
}

/// The answers of a buyer, or of all.
#[derive(Default)]
pub struct Answers {
    pub acknowledged: HashSet<OrderId>,
    /// The checkouts with an unknown outcome, by their ids.
    pub unknown: HashSet<OrderId>,
    /// Those of them that were not sent again.
    pub open: HashMap<OrderId, Checkout>,
}

/// Adds the products that the buyers want.
pub async fn stock_up(pool: &PgPool) {
    let shop = PgInventory::new(pool.clone());
    for name in NAMES {
        add(&shop, name, 1_000_000).await;
    }
}

impl Buyers {
    /// Lets 64 buyers make `orders` each, through the proxy: half of them in batches, the others by all strategies.
    pub async fn start(proxy: &Proxy, orders: usize) -> Self {
        Self::through(proxy.pool(16).await, proxy.pool(8).await, orders)
    }

    /// The same through a pool of their own and one of the batches.
    pub fn through(own: PgPool, of_batches: PgPool, orders: usize) -> Self {
        let plain = PgInventory::new(own).with_policy(POLICY);
        let batched = PgInventory::new(of_batches).with_policy(POLICY);
        let batched = BatchedInventory::new(batched, BatchOptions::new().always());
        let mut buyers = Self {
            tasks: JoinSet::new(),
            acknowledged: Arc::default(),
        };
        for buyer in 0..BUYERS {
            let shop: Arc<dyn Inventory> = match buyer % 8 {
                0 | 1 => Arc::new(plain.clone().with_strategy(Strategy::Guarded)),
                2 => Arc::new(plain.clone().with_strategy(Strategy::Optimistic)),
                3 => Arc::new(plain.clone().with_strategy(Strategy::Pessimistic)),
                _ => Arc::new(batched.clone()),
            };
            let acknowledged = buyers.acknowledged.clone();
            buyers
                .tasks
                .spawn(async move { buy(&*shop, buyer, orders, &acknowledged).await });
        }
        buyers
    }

    /// Waits until all have made their orders.
    pub async fn finish(self) -> Answers {
        let mut all = Answers::default();
        for answers in self.tasks.join_all().await {
            all.acknowledged.extend(answers.acknowledged);
            all.unknown.extend(answers.unknown);
            all.open.extend(answers.open);
        }
        all
    }
}

/// Every second buyer sends a checkout with an unknown outcome again; the others leave it and go on.
async fn buy(
    shop: &dyn Inventory,
    buyer: usize,
    orders: usize,
    acknowledged: &AtomicUsize,
) -> Answers {
    let mut answers = Answers::default();
    for order in 0..orders {
        let other = NAMES[(buyer + order) % NAMES.len()];
        let request = match order % 2 {
            0 => cart(&[("pot", 1)]),
            _ => cart(&[("pot", 1), (other, 1)]),
        };
        let request = request
            .with_customer(format!("buyer {buyer}"))
            .with_idempotency_key(request_key());
        let id = request.order_id();
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match shop.checkout(request.clone()).await {
                Ok(order) => {
                    assert_eq!(order.id, id);
                    answers.acknowledged.insert(id);
                    acknowledged.fetch_add(1, SeqCst);
                    break;
                }
                Err(error) if error.is_unknown() => {
                    answers.unknown.insert(id);
                    if buyer.is_multiple_of(2) {
                        answers.open.insert(id, request);
                        break;
                    }
                }
                // Three attempts may be too few for an optimistic one of many buyers.
                Err(error) => assert!(error.is_busy() || error.is_conflict(), "{error:?}"),
            }
            assert!(Instant::now() < deadline, "no server has accepted {id}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    answers
}

fn request_key() -> String {
    format!("click {:016x}", rand::random::<u64>())
}

/// Returns the orders of a server.
pub async fn stored(pool: &PgPool) -> HashSet<OrderId> {
    let stored = "SELECT id FROM optilock.orders WHERE status <> 4";
    let stored: Vec<uuid::Uuid> = sqlx::query_scalar(stored).fetch_all(pool).await.unwrap();
    stored.into_iter().map(OrderId::from).collect()
}

impl Answers {
    /// Checks the answers against the orders of the server: each acknowledged order is stored, each stored order was
    /// acknowledged or reported as unknown, and a checkout that was left unknown takes effect once when it is sent
    /// again.
    pub async fn check(&self, pool: &PgPool) {
        let orders = stored(pool).await;
        let lost: Vec<_> = self.acknowledged.difference(&orders).collect();
        assert!(lost.is_empty(), "acknowledged orders are lost: {lost:?}");
        let is_explained =
            |id: &&OrderId| self.acknowledged.contains(id) || self.unknown.contains(id);
        let unexplained: Vec<_> = orders.iter().filter(|id| !is_explained(id)).collect();
        assert!(
            unexplained.is_empty(),
            "not made by a buyer: {unexplained:?}"
        );
        let shop = PgInventory::new(pool.clone());
        for (id, request) in &self.open {
            for was_stored in [orders.contains(id), true] {
                let order = shop.checkout(request.clone()).await.unwrap();
                assert_eq!((order.id, order.replayed), (*id, was_stored));
            }
        }
        let all = self.acknowledged.len() + self.open.len();
        assert_eq!(stored(pool).await.len(), all);
        balances::assert_balanced(pool, "failover").await;
    }
}
