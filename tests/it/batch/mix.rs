//! Random mixes of all requests by three processes, while backends are killed and the database refuses some of the
//! requests.

mod buyer;
mod own;
mod stored;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use optilock::{
    inventory::{Adjustment, BatchedInventory, Inventory, PgInventory},
    sqlx::{self, PgPool},
};
use tokio::{
    task::JoinSet,
    time::{interval, timeout},
};

use super::OPTIONS;
use crate::{
    attacks::inventory::balances,
    support::{
        connect::pool_of,
        db::{Db, assert_idle, deadlocks, pool_options},
        goods::{add, sku, stock_of},
        triggers,
    },
};
use buyer::Buyer;

/// The first one is in most carts.
const NAMES: [&str; 6] = ["pot", "mug", "jug", "cup", "dish", "bowl"];

/// Buyers of each process.
const BUYERS: usize = 24;

/// How the idempotency keys of requests begin that the database refuses.
const REFUSED: &str = "refused";

/// The customer whose orders the database does not let change.
const FROZEN: &str = "frozen";

/// How often a storm kills, and for how long within each second.
const KILL_EVERY: Duration = Duration::from_millis(50);
const STORM: u32 = 6;
const CALM: u32 = 14;

/// The limit of one operation. Its policy ends it after a few seconds, and other tests share the machine.
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn random_mixes_of_all_requests_balance_under_kills() {
    run(Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn random_mixes_of_all_requests_balance_under_kills_for_a_minute() {
    run(Duration::from_secs(60)).await;
}

/// Runs buyers over three pools, then compares every answer with what is stored.
async fn run(duration: Duration) {
    let db = Db::new().await;
    // Without kills: for deliveries, and to look at the rows.
    let direct = PgInventory::new(db.pool.clone());
    for name in NAMES {
        add(&direct, name, 100).await;
    }
    poison(&db.pool).await;
    let shops = open_shops(&db).await;
    let ended = Arc::new(AtomicBool::new(false));
    let delivered: Arc<[AtomicI64]> = NAMES.map(|_| AtomicI64::new(0)).into();
    let mut buyers = JoinSet::new();
    for number in 0..BUYERS * shops.len() {
        let shop = shops[number % shops.len()].clone();
        let other = shops[(number + 1) % shops.len()].clone();
        let (mut buyer, ended) = (Buyer::new(shop, other, number), Arc::clone(&ended));
        buyers.spawn(async move {
            while !ended.load(Relaxed) {
                let step = timeout(LIMIT, buyer.step()).await;
                step.unwrap_or_else(|_| panic!("{} did not end in time", buyer.last()));
            }
            buyer
        });
    }
    let deliveries = tokio::spawn(deliver(
        direct.clone(),
        Arc::clone(&delivered),
        Arc::clone(&ended),
    ));
    let killed = kill_in_storms(&db, duration).await;
    assert!(killed > 0, "no session was killed");
    ended.store(true, Relaxed);
    deliveries.await.unwrap();
    let buyers = buyers.join_all().await;
    for shop in &shops {
        let shutdown = shop.shutdown(LIMIT).await;
        shutdown.expect("the queue drains");
        assert_eq!(shop.queue_depth(), 0);
    }
    assert_idle(&db.pool).await;
    assert_eq!(deadlocks(&db.pool).await, 0);
    balances::assert_balanced(&db.pool, "mix").await;
    stored::assert_answers_hold(&db.pool, &buyers).await;
    for (name, delivered) in NAMES.into_iter().zip(delivered.iter()) {
        let sold = stored::units_sold(&db.pool, name).await;
        assert_eq!(
            stock_of(&direct, name).await,
            100 + delivered.load(Relaxed) - sold,
            "{name}: what came, less what orders have"
        );
    }
    buyer::assert_all_operations_were_made(&buyers, duration);
}

/// Opens three inventories, each with a queue and a pool of its own.
async fn open_shops(db: &Db) -> Vec<BatchedInventory> {
    let mut shops = Vec::new();
    for options in [OPTIONS, OPTIONS.with_batch(7), OPTIONS.always()] {
        let connect = db.database.options().application_name("victim");
        let pool = pool_options(8).connect_with(connect).await.unwrap();
        shops.push(BatchedInventory::new(PgInventory::new(pool), options));
    }
    shops
}

/// Lets the database refuse rows as a constraint does, and as a trigger does.
async fn poison(pool: &PgPool) {
    let refuse = "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'refused' USING ERRCODE = TG_ARGV[0]; END $$;
        CREATE TRIGGER refused BEFORE INSERT ON optilock.orders FOR EACH ROW
            WHEN (NEW.idempotency_key LIKE 'refused%') EXECUTE FUNCTION public.refuse('23514');
        CREATE TRIGGER refused BEFORE INSERT ON optilock.reservations FOR EACH ROW
            WHEN (NEW.idempotency_key LIKE 'refused%') EXECUTE FUNCTION public.refuse('P0001');
        CREATE TRIGGER frozen BEFORE UPDATE ON optilock.orders FOR EACH ROW
            WHEN (OLD.customer = 'frozen') EXECUTE FUNCTION public.refuse('23514');";
    triggers::run(pool, refuse).await;
}

/// Delivers a few units of a product every few milliseconds.
async fn deliver(shop: PgInventory, delivered: Arc<[AtomicI64]>, ended: Arc<AtomicBool>) {
    let mut ticks = interval(Duration::from_millis(5));
    while !ended.load(Relaxed) {
        ticks.tick().await;
        let product = rand::random_range(0..NAMES.len());
        let units = rand::random_range(1..20);
        let delivery = Adjustment::new(sku(NAMES[product]), units, "delivery").unwrap();
        // Its sessions are not killed, but the row may be locked for longer than its policy waits.
        match shop.adjust_stock(delivery).await {
            Ok(_) => delivered[product].fetch_add(units, Relaxed),
            Err(error) => {
                assert!(error.is_busy(), "{error:?}");
                0
            }
        };
    }
}

/// Kills every session of the shops, again and again for a part of each second. Returns the number of kills.
async fn kill_in_storms(db: &Db, duration: Duration) -> i64 {
    let killer = pool_of(db, 1).await;
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'victim'";
    let mut ticks = interval(KILL_EVERY);
    let end = Instant::now() + duration;
    let mut killed = 0;
    for tick in 0_u32.. {
        ticks.tick().await;
        if Instant::now() >= end {
            break;
        }
        if tick % (STORM + CALM) >= CALM {
            let kills = sqlx::query_scalar::<_, i64>(kill).fetch_one(&killer);
            killed += kills.await.unwrap();
        }
    }
    killer.close().await;
    killed
}
