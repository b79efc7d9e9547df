//! Shops on a Citus cluster, a schema each: the whole contract, buyers of all shops at once, a locked product, and a
//! shop that is moved to another worker while it sells.

use std::{
    env,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

use optilock::{
    Class, Classify, RetryPolicy,
    inventory::{BatchOptions, BatchedInventory, Error, Inventory, PgInventory},
    migrate_schema,
    postgres::{TransactOptions, transact_with},
    sqlx::{self, AssertSqlSafe, PgPool, Row, postgres::PgConnectOptions},
    testing::fulfils_contract as fulfil,
};
use tokio::task::JoinSet;

use crate::support::{
    SHUTDOWN,
    db::pool_options,
    goods::{add, cart, sku, stock_of},
    idle_hook::IdleHook,
    strategies::STRATEGIES,
    triggers::run,
};

const SHOPS: usize = 8;

/// Shops of their own, which are dropped at the end of a test that passes.
struct Cluster {
    pool: PgPool,
    names: Vec<String>,
}

impl Cluster {
    /// Creates eight shops, each in a schema that Citus places on one worker.
    async fn new() -> Self {
        let url = env::var("OPTILOCK_CITUS_URL").expect(
            "this test needs a Citus cluster: run tests/engines/citus, or set OPTILOCK_CITUS_URL to its coordinator",
        );
        let options: PgConnectOptions = url.parse().unwrap();
        let options = options.options([("citus.enable_schema_based_sharding", "on")]);
        let pool = pool_options(40).connect_with(options).await.unwrap();
        let test = rand::random::<u32>();
        let names: Vec<String> = (0..SHOPS)
            .map(|shop| format!("shop_{test:08x}_{shop}"))
            .collect();
        for name in &names {
            migrate_schema(&pool, name).await.unwrap();
            migrate_schema(&pool, name).await.unwrap();
        }
        let cluster = Self { pool, names };
        let mut workers = Vec::new();
        for name in &cluster.names {
            workers.push(cluster.worker_of(name).await);
        }
        workers.sort();
        workers.dedup();
        assert!(workers.len() > 1, "the shops are on {workers:?}");
        cluster
    }

    fn shop(&self, number: usize) -> PgInventory {
        let shop = PgInventory::new(self.pool.clone());
        shop.in_schema(&self.names[number]).unwrap()
    }

    /// Returns the name and the port of the worker that has a shop.
    async fn worker_of(&self, shop: &str) -> (String, i32) {
        let worker = "SELECT DISTINCT nodename, nodeport FROM citus_shards
            WHERE table_name IN (SELECT c.oid FROM pg_class c WHERE c.relnamespace = $1::regnamespace)";
        let rows = sqlx::query(worker)
            .bind(shop)
            .fetch_all(&self.pool)
            .await
            .unwrap();
        assert_eq!(rows.len(), 1, "{shop} is on one worker");
        (rows[0].get("nodename"), rows[0].get("nodeport"))
    }

    /// Asserts that the audit of each shop is clean, and drops the shops.
    async fn end(self) {
        for (number, name) in self.names.iter().enumerate() {
            let audit = self.shop(number).audit().await.unwrap();
            assert!(audit.is_clean(), "{name}: {audit}");
        }
        for name in &self.names {
            run(&self.pool, format!("DROP SCHEMA {name} CASCADE")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Citus cluster"]
async fn every_shop_fulfils_the_contract() {
    let cluster = Cluster::new().await;
    for (number, strategy) in STRATEGIES.into_iter().enumerate() {
        fulfil(&cluster.shop(number).with_strategy(strategy)).await;
    }
    let batches = BatchOptions::new().always();
    let batched = BatchedInventory::new(cluster.shop(3).with_outbox(), batches);
    let hooked = cluster.shop(4).with_hook(Arc::new(IdleHook));
    tokio::join!(fulfil(&batched), fulfil(&hooked));
    batched.shutdown(SHUTDOWN).await.unwrap();
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Citus cluster"]
async fn buyers_of_all_shops_lose_nothing() {
    const BUYERS: i64 = 256;
    const CARTS: i64 = 5;
    let cluster = Cluster::new().await;
    let shops: Vec<PgInventory> = (0..SHOPS).map(|number| cluster.shop(number)).collect();
    for shop in &shops {
        add(shop, "pot", BUYERS * CARTS).await;
        add(shop, "mug", BUYERS * CARTS).await;
    }
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        let shop = shops[usize::try_from(buyer).unwrap() % SHOPS].clone();
        buyers.spawn(async move {
            for _ in 0..CARTS {
                let sold = shop.checkout(cart(&[("mug", 1), ("pot", 2)])).await?;
                shop.mark_paid(sold.id).await?;
            }
            Ok::<_, Error>(())
        });
    }
    for ended in buyers.join_all().await {
        ended.unwrap();
    }
    let carts = BUYERS * CARTS / i64::try_from(SHOPS).unwrap();
    for shop in &shops {
        let left = (stock_of(shop, "mug").await, stock_of(shop, "pot").await);
        assert_eq!(left, (BUYERS * CARTS - carts, BUYERS * CARTS - 2 * carts));
    }
    cluster.end().await;
}

/// The limit of a wait is a setting of the coordinator's session. The wait is on the worker.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Citus cluster"]
async fn a_locked_product_is_refused_in_time() {
    let cluster = Cluster::new().await;
    let (shop, name) = (cluster.shop(0), &cluster.names[0]);
    add(&shop, "pot", 9).await;
    let mut holder = cluster.pool.begin().await.unwrap();
    let lock = format!("SELECT FROM {name}.products WHERE sku = 'pot' FOR UPDATE");
    sqlx::query(AssertSqlSafe(lock))
        .execute(&mut *holder)
        .await
        .unwrap();
    let options = TransactOptions::new().with_lock_timeout(Duration::from_millis(300));
    let policy = RetryPolicy::new().with_max_attempts(1);
    let (start, wanted) = (Instant::now(), cart(&[("pot", 1)]));
    let refused = transact_with(&cluster.pool, &policy, &options, async |tx| {
        shop.checkout_in(tx, &wanted).await
    });
    let refused = refused.await.unwrap_err();
    let class = refused.error.class();
    assert!(matches!(class, Class::Busy { .. }), "{refused:?}");
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    holder.rollback().await.unwrap();
    assert_eq!(stock_of(&shop, "pot").await, 9);
    cluster.end().await;
}

/// Buyers see at most that the shop is busy, or a conflict, and no sale is lost.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Citus cluster"]
async fn a_shop_that_is_moved_loses_nothing() {
    let cluster = Cluster::new().await;
    let (shop, name) = (cluster.shop(0), &cluster.names[0]);
    add(&shop, "pot", 1_000_000).await;
    let from = cluster.worker_of(name).await;
    let mut to = from.clone();
    for other in &cluster.names {
        if to == from {
            to = cluster.worker_of(other).await;
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut buyers = JoinSet::new();
    for _ in 0..16 {
        let (shop, stop) = (shop.clone(), Arc::clone(&stop));
        buyers.spawn(async move {
            let mut sold = 0;
            while !stop.load(Relaxed) {
                match shop.checkout(cart(&[("pot", 1)])).await {
                    Ok(_) => sold += 1,
                    Err(error) => {
                        let class = error.class();
                        let fits = matches!(class, Class::Busy { .. } | Class::Conflict);
                        assert!(fits, "{error:?}");
                    }
                }
            }
            sold
        });
    }
    let moved = sqlx::query("SELECT citus_schema_move($1::regnamespace, $2, $3)")
        .bind(name)
        .bind(&to.0)
        .bind(to.1)
        .execute(&cluster.pool);
    let moved = moved.await;
    stop.store(true, Relaxed);
    let sold: i64 = buyers.join_all().await.into_iter().sum();
    moved.unwrap();
    assert_eq!(cluster.worker_of(name).await, to);
    assert!(sold > 0);
    assert_eq!(stock_of(&shop, "pot").await, 1_000_000 - sold);
    let product = shop.product(&sku("pot")).await.unwrap();
    assert_eq!(product.version.get(), sold + 1);
    cluster.end().await;
}
