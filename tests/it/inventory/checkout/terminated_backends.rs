//! Backends that the server terminates during checkouts.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
};

use optilock::{
    inventory::{Inventory, OrderId, PgInventory, Strategy},
    sqlx::{self, PgPool},
};
use tokio::task::JoinSet;

use crate::{
    support::db::{Db, assert_balanced, pool_options},
    support::goods::{add, cart},
    support::strategies::STRATEGIES,
};

/// Eight buyers and the results of their checkouts.
struct Buyers {
    /// Each buyer returns the orders that were acknowledged.
    tasks: JoinSet<Vec<OrderId>>,
    unknown: Arc<Mutex<HashSet<OrderId>>>,
    answers: Arc<AtomicI64>,
}

impl Buyers {
    fn spawn(shop: &PgInventory, strategy: Strategy) -> Self {
        let unknown = Arc::new(Mutex::new(HashSet::new()));
        let answers = Arc::new(AtomicI64::new(0));
        let mut tasks = JoinSet::new();
        for buyer in 0..8 {
            let (shop, unknown, answers) = (shop.clone(), unknown.clone(), answers.clone());
            tasks.spawn(async move {
                let mut acknowledged = Vec::new();
                for round in 0..60 {
                    let request = if (buyer + round) % 2 == 0 {
                        cart(&[("pot", 1)])
                    } else {
                        cart(&[("pot", 1), ("mug", 1)])
                    };
                    let id = request.order_id();
                    let answer = shop.checkout(request).await;
                    answers.fetch_add(1, SeqCst);
                    match answer {
                        Ok(order) => acknowledged.push(order.id),
                        Err(error) if error.is_unknown() => _ = unknown.lock().unwrap().insert(id),
                        Err(error) => assert!(error.is_busy(), "{strategy:?}: {error:?}"),
                    }
                }
                acknowledged
            });
        }
        Self {
            tasks,
            unknown,
            answers,
        }
    }

    /// Terminates one backend per five answers until the buyers end. Returns the number of terminated
    /// backends and the acknowledged orders.
    async fn terminate_backends(&mut self, pool: &PgPool) -> (i64, HashSet<OrderId>) {
        let terminate = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'victim' ORDER BY random() LIMIT 1) v";
        let (mut terminated, mut acknowledged) = (0, HashSet::new());
        while !self.tasks.is_empty() {
            while let Some(buyer) = self.tasks.try_join_next() {
                acknowledged.extend(buyer.unwrap());
            }
            // At a higher rate no checkout would complete.
            if self.answers.load(SeqCst) < 5 * terminated {
                tokio::task::yield_now().await;
                continue;
            }
            terminated += sqlx::query_scalar::<_, i64>(terminate)
                .fetch_one(pool)
                .await
                .unwrap();
        }
        (terminated, acknowledged)
    }
}

async fn stored_orders(pool: &PgPool) -> HashSet<OrderId> {
    let stored: Vec<uuid::Uuid> =
        sqlx::query_scalar("SELECT id FROM optilock.orders WHERE status <> 4")
            .fetch_all(pool)
            .await
            .unwrap();
    stored.into_iter().map(OrderId::from).collect()
}

/// Every acknowledged order is stored, and every stored order was acknowledged or reported as unknown.
#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_orders_survive_terminated_backends() {
    for strategy in STRATEGIES {
        let db = Db::new().await;
        let pool = pool_options(8)
            .connect_with(db.database.options().application_name("victim"))
            .await
            .unwrap();
        let shop = PgInventory::new(pool).with_strategy(strategy);
        let direct = PgInventory::new(db.pool.clone());
        for name in ["pot", "mug"] {
            add(&direct, name, 100_000).await;
        }
        let mut buyers = Buyers::spawn(&shop, strategy);
        let (terminated, acknowledged) = buyers.terminate_backends(&db.pool).await;
        assert!(
            terminated > 20,
            "{strategy:?}: only {terminated} were terminated"
        );
        assert!(!acknowledged.is_empty());
        let stored = stored_orders(&db.pool).await;
        assert!(
            acknowledged.is_subset(&stored),
            "{strategy:?}: an acknowledged order is missing"
        );
        let unknown = std::mem::take(&mut *buyers.unknown.lock().unwrap());
        let unexplained: Vec<_> = stored
            .difference(&acknowledged)
            .filter(|id| !unknown.contains(*id))
            .collect();
        assert!(unexplained.is_empty(), "{strategy:?}: {unexplained:?}");
        assert_balanced(&db.pool).await;
    }
}
