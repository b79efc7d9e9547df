//! Many buyers at once, with random carts or under killed backends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use optilock::{
    inventory::{
        Adjustment, BatchedInventory, Checkout, Error, Inventory, Line, Order, OrderId, PgInventory,
    },
    sqlx::{self, Connection, PgConnection},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use tokio::{
    task::JoinSet,
    time::{interval, sleep},
};

use super::{ISOLATION_LEVELS, OPTIONS, one_pot};
use crate::support::{
    connect::pool_of,
    db::{Db, assert_balanced, deadlocks, order_count},
    goods::{add, pesos, sku, units},
};

/// Two processes batch and one does not, among deliveries and price changes, so that the stock that a queue
/// knows is outdated all the time.
#[tokio::test(flavor = "multi_thread")]
async fn random_carts_of_three_processes_balance() {
    for default in ISOLATION_LEVELS {
        let db = Db::with(default, 16).await;
        let direct = PgInventory::new(db.pool.clone());
        let shops: [Arc<dyn Inventory>; 3] = [
            Arc::new(BatchedInventory::new(direct.clone(), OPTIONS)),
            Arc::new(BatchedInventory::new(direct.clone(), OPTIONS.with_batch(7))),
            Arc::new(direct.clone()),
        ];
        let names: Vec<String> = (0..20).map(|number| format!("sku-{number}")).collect();
        for name in &names {
            add(&direct, name, 100).await;
        }
        let mut buyers = JoinSet::new();
        for buyer in 0..48 {
            let shop = Arc::clone(&shops[buyer as usize % 3]);
            buyers.spawn(buy_random_carts(shop, names.clone(), buyer));
        }
        let sold: i64 = buyers.join_all().await.iter().sum();
        assert_eq!(deadlocks(&db.pool).await, 0, "{default:?}");
        assert_eq!(order_count(&db.pool).await, sold);
        assert!(sold > 100, "{sold}");
        assert_balanced(&db.pool).await;
    }
}

/// Sends fifteen checkouts, with a delivery or a price change after some. Returns the number of orders.
async fn buy_random_carts(shop: Arc<dyn Inventory>, mut names: Vec<String>, seed: u64) -> i64 {
    let mut random = StdRng::seed_from_u64(seed);
    let mut sold = 0;
    for _ in 0..15 {
        names.shuffle(&mut random);
        let lines = names[..3].iter().map(|name| {
            let line = Line::new(sku(name), units(random.random_range(1..4)));
            match random.random_range(0..8) {
                0 => line.expecting_price(pesos(1_000)),
                _ => line,
            }
        });
        match shop.checkout(Checkout::new(lines).unwrap()).await {
            Ok(order) => {
                assert!(order.lines.len() == 3 && !order.replayed);
                sold += 1;
            }
            Err(refused) => assert!(
                refused.is_insufficient_stock() || refused.code() == "price-changed",
                "{refused:?}"
            ),
        }
        match random.random_range(0..12) {
            0 => {
                let delivery = Adjustment::new(sku(&names[0]), 5, "delivery").unwrap();
                shop.adjust_stock(delivery).await.unwrap();
            }
            1 => {
                let mut product = shop.product(&sku(&names[0])).await.unwrap();
                product.price = pesos(1_000 + random.random_range(0..2));
                drop(shop.update_product(&product).await);
            }
            _ => {}
        }
    }
    sold
}

/// The orders of one buyer.
#[derive(Default)]
struct Purchases {
    acknowledged: Vec<OrderId>,
    unknown: Vec<OrderId>,
}

impl Purchases {
    fn add(&mut self, id: OrderId, answer: Result<Order, Error>) {
        match answer {
            Ok(order) => {
                assert_eq!(order.id, id);
                self.acknowledged.push(id);
            }
            Err(error) if error.is_unknown() => self.unknown.push(id),
            Err(error) => assert!(error.is_busy(), "{error:?}"),
        }
    }
}

/// Buyers that run until they are stopped.
struct Load {
    stopped: Arc<AtomicBool>,
    sold: Arc<AtomicU64>,
    buyers: JoinSet<Purchases>,
}

impl Load {
    fn start(shop: &BatchedInventory, buyers: usize) -> Self {
        let mut load = Self {
            stopped: Arc::default(),
            sold: Arc::default(),
            buyers: JoinSet::new(),
        };
        for _ in 0..buyers {
            let (shop, stopped) = (shop.clone(), Arc::clone(&load.stopped));
            let sold = Arc::clone(&load.sold);
            load.buyers.spawn(async move {
                let mut purchases = Purchases::default();
                while !stopped.load(Relaxed) {
                    let request = one_pot();
                    let id = request.order_id();
                    let answer = shop.checkout(request).await;
                    sold.fetch_add(u64::from(answer.is_ok()), Relaxed);
                    purchases.add(id, answer);
                }
                purchases
            });
        }
        load
    }

    /// Returns the number of orders that are acknowledged within the next second.
    async fn orders_in_a_second(&self) -> u64 {
        let before = self.sold.load(Relaxed);
        sleep(Duration::from_secs(1)).await;
        self.sold.load(Relaxed) - before
    }

    async fn stop(self) -> Vec<Purchases> {
        self.stopped.store(true, Relaxed);
        self.buyers.join_all().await
    }
}

/// Terminates every other session of the database every 50 ms.
async fn kill_backends(killer: &mut PgConnection, duration: Duration) {
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> 'killer'";
    let end = Instant::now() + duration;
    let mut ticks = interval(Duration::from_millis(50));
    while Instant::now() < end {
        ticks.tick().await;
        sqlx::query(kill).execute(&mut *killer).await.unwrap();
    }
}

/// Asserts that the database contains every acknowledged order, and besides those only orders with an unknown
/// outcome. Returns the number of unknown outcomes.
async fn assert_stored(conn: &mut PgConnection, buyers: &[Purchases]) -> usize {
    let (mut acknowledged, mut unknown) = (0, 0);
    for purchases in buyers {
        let ids: Vec<_> = purchases.acknowledged.iter().map(|id| id.uuid()).collect();
        let stored = "SELECT count(*) FROM optilock.orders WHERE id = ANY ($1) AND status = 0";
        let found: i64 = sqlx::query_scalar(stored)
            .bind(&ids)
            .fetch_one(&mut *conn)
            .await
            .unwrap();
        assert_eq!(found, ids.len() as i64, "an acknowledged order is missing");
        acknowledged += ids.len();
        unknown += purchases.unknown.len();
    }
    let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM optilock.orders WHERE status <> 4")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    assert!(
        (acknowledged..=acknowledged + unknown).contains(&usize::try_from(orders).unwrap()),
        "{acknowledged} {unknown} {orders}"
    );
    unknown
}

/// Every backend is killed every 50 ms under 256 buyers, for two seconds or for `OPTILOCK_KILL_SECONDS`. The
/// variable also says that no other test runs at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn killed_backends_lose_no_acknowledged_order() {
    let seconds = std::env::var("OPTILOCK_KILL_SECONDS").ok();
    let runs_alone = seconds.is_some();
    let duration = Duration::from_secs(seconds.map_or(2, |text| text.parse().unwrap()));
    let db = Db::new().await;
    let shop = BatchedInventory::new(PgInventory::new(pool_of(&db, 32).await), OPTIONS);
    add(&shop, "pot", 1_000_000_000).await;
    let load = Load::start(&shop, 256);
    let before = load.orders_in_a_second().await;
    let options = db.database.options().application_name("killer");
    let mut killer = PgConnection::connect_with(&options).await.unwrap();
    kill_backends(&mut killer, duration).await;
    let recovered = load.orders_in_a_second().await;
    let again = load.orders_in_a_second().await;
    let unknown = assert_stored(&mut killer, &load.stop().await).await;
    println!(
        "orders in a second: {before} before, {recovered} and {again} after the last kill; {unknown} unknown"
    );
    // Beside other tests a third of the rate is enough. Alone, half of it returns within a second.
    assert!(again > before / 3, "{before} before, {again} afterwards");
    assert!(
        !runs_alone || recovered > before / 2,
        "{before} before, {recovered} in the second afterwards"
    );
    let audit = PgInventory::new(pool_of(&db, 1).await).audit().await;
    let audit = audit.unwrap();
    assert!(audit.is_clean(), "{audit}");
}
