//! Clean-ups beside locks, backlogs and rows that the database refuses.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use optilock::{
    RetryPolicy,
    inventory::{Cleanup, Inventory, OrderId, PgInventory},
    sqlx::{self, AssertSqlSafe, PgPool},
};
use tokio::task::JoinSet;
use tracing::{Event, Subscriber, field::Visit, instrument::WithSubscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use uuid::Uuid;

use crate::{
    support::db::{Db, Default, assert_books, deadlocks, eventually, pool_options},
    support::goods::{add, cart, sku, stock_of},
};

const OLD: Duration = Duration::from_secs(60);

async fn run(pool: &PgPool, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool);
    done.await.unwrap();
}

/// Orders of one unit, an hour old, number n of the product `p` and n % `products`, in good books; number 0
/// is the oldest. The first `first` are of `p0`.
async fn unpaid(pool: &PgPool, orders: u32, products: u32, first: u32) {
    run(
        pool,
        &format!(
            "CREATE TABLE public.made AS SELECT gen_random_uuid() AS id, n,
                 'p' || CASE WHEN n < {first} THEN 0 ELSE 1 + n % ({products} - 1) END AS sku
             FROM generate_series(0, {orders} - 1) AS n;
         INSERT INTO optilock.products (sku, name, price, currency, stock)
             SELECT 'p' || n, 'p', 100, 'MXN', 1000000 FROM generate_series(0, {products} - 1) AS n;
         INSERT INTO optilock.movements (sku, version, kind, delta, stock_after)
             SELECT sku, 1, 8, stock, stock FROM optilock.products;
         INSERT INTO optilock.orders (id, total, currency, created_at, pending_since)
             SELECT id, 100, 'MXN', at, at FROM public.made, LATERAL (
                 SELECT now() - interval '1 hour' + n * interval '1 millisecond' AS at) t;
         INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
             SELECT id, sku, 1, 100 FROM public.made;
         INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id)
             SELECT sku, 1 + k, 1, -1, 1000000 - k, id FROM (
                 SELECT *, row_number() OVER (PARTITION BY sku ORDER BY n) AS k FROM public.made) m;
         UPDATE optilock.products p SET stock = p.stock - m.count, version = 1 + m.count
             FROM (SELECT sku, count(*) FROM public.made GROUP BY sku) m WHERE m.sku = p.sku;
         ANALYZE"
        ),
    )
    .await;
}

/// Holds of one unit of one product, which holds nothing else, an hour past their time.
async fn expired(pool: &PgPool, name: &str, holds: u32) {
    run(
        pool,
        &format!(
            "CREATE TEMP TABLE held AS SELECT gen_random_uuid() AS id, n FROM generate_series(1, {holds}) n;
         INSERT INTO optilock.reservations (id, remaining) SELECT id, 1 FROM held;
         INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
             SELECT id, '{name}', 1, 1, now() - interval '1 hour' FROM held;
         INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, reservation_id)
             SELECT '{name}', p.version + n, 4, 0, p.stock, held.id
             FROM held, optilock.products p WHERE p.sku = '{name}';
         UPDATE optilock.products SET reserved = {holds}, version = version + {holds} WHERE sku = '{name}';
         DROP TABLE held; ANALYZE"
        ),
    )
    .await;
}

async fn due(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM optilock.orders WHERE status IN (0, 1) AND pending_since < now() - interval '30 minutes'")
        .fetch_one(pool)
        .await
        .unwrap()
}

/// The longest and the 99th percentile.
fn latencies(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    assert!(!times.is_empty());
    (times[times.len() - 1], times[times.len() * 99 / 100])
}

/// Buyers of any of these products until `stop`; how long each sale took.
fn buyers(
    shop: &PgInventory,
    count: usize,
    skus: std::ops::Range<u32>,
    stop: &Arc<AtomicBool>,
) -> JoinSet<Vec<Duration>> {
    let mut buyers = JoinSet::new();
    for _ in 0..count {
        let (shop, stop, skus) = (shop.clone(), Arc::clone(stop), skus.clone());
        buyers.spawn(async move {
            let mut times = Vec::new();
            while !stop.load(Relaxed) {
                let name = format!("p{}", rand::random_range(skus.clone()));
                let start = Instant::now();
                shop.checkout(cart(&[(&name, 1)])).await.unwrap();
                times.push(start.elapsed());
            }
            times
        });
    }
    buyers
}

/// The longest that a session has slept on a lock, over samples taken until `stop`, of those sessions that
/// wait for one that runs a statement with this text, or run one.
fn longest_wait(pool: &PgPool, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<f64> {
    let (pool, stop) = (pool.clone(), Arc::clone(stop));
    tokio::spawn(async move {
        let mut longest: f64 = 0.0;
        while !stop.load(Relaxed) {
            let waits = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - l.waitstart)), 0)::float8
                FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
                WHERE NOT l.granted AND a.datname = current_database() AND EXISTS (
                    SELECT FROM pg_stat_activity b WHERE (b.pid = a.pid OR b.pid = ANY (pg_blocking_pids(a.pid)))
                        AND (b.query LIKE '%unpaid AS MATERIALIZED%' OR b.query LIKE '%locked_order%'
                            OR b.query LIKE '%lock_timeout%'))";
            let wait: f64 = sqlx::query_scalar(waits).fetch_one(&pool).await.unwrap();
            longest = longest.max(wait);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        longest
    })
}

/// 3,000 orders due, the 300 oldest of a product that another session holds.
async fn beside_a_holder(orders: u32, hold_for: Duration, bars: bool) {
    let db = Db::with(Default::ReadCommitted, 32).await;
    unpaid(&db.pool, orders, 1_000, orders / 10).await;
    let shop = PgInventory::new(db.pool.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let mut holder = db.pool.begin().await.unwrap();
    let lock = "SELECT sku FROM optilock.products WHERE sku = 'p0' FOR UPDATE";
    sqlx::query(lock).execute(&mut *holder).await.unwrap();
    let held = Instant::now();
    let selling = buyers(&shop, 4, 1..1_000, &stop);
    let payers = {
        let (shop, stop) = (shop.clone(), Arc::clone(&stop));
        let ids: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM public.made ORDER BY n % 300, n")
            .fetch_all(&db.pool)
            .await
            .unwrap();
        tokio::spawn(async move {
            let (mut times, mut paid) = (Vec::new(), 0);
            for id in ids.into_iter().take(100) {
                if stop.load(Relaxed) {
                    break;
                }
                let start = Instant::now();
                paid += u64::from(shop.mark_paid(OrderId::from(id)).await.is_ok());
                times.push(start.elapsed());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            (times, paid)
        })
    };
    let others = i64::from(orders / 10);
    let cleaning = {
        let (shop, pool) = (shop.clone(), db.pool.clone());
        tokio::spawn(async move {
            let mut all = Cleanup::default();
            while due(&pool).await > 0 {
                all = all.plus(shop.cleanup_failed_orders(OLD).await.unwrap());
            }
            all
        })
    };
    let start = Instant::now();
    eventually("the others are cancelled", async || {
        due(&db.pool).await <= others
    })
    .await;
    let took = start.elapsed();
    println!("the others after {took:?}");
    tokio::time::sleep(hold_for.saturating_sub(held.elapsed())).await;
    assert!(due(&db.pool).await > 0);
    let released = Instant::now();
    holder.rollback().await.unwrap();
    eventually("the rest is cancelled", async || due(&db.pool).await == 0).await;
    let rest = released.elapsed();
    println!("the rest {rest:?} after the release");
    stop.store(true, Relaxed);
    let sold = selling.join_all().await.into_iter().flatten().collect();
    let ((paying, paid), done) = (payers.await.unwrap(), cleaning.await.unwrap());
    let (sold, paying) = (latencies(sold), latencies(paying));
    println!("buyers {sold:?}, payments {paying:?}, {done:?}");
    assert_eq!(done.orders + paid, u64::from(orders));
    let within = |limit: u64| Duration::from_millis(if bars { limit } else { limit * 5 });
    assert!(took <= within(2_000) && rest <= within(2_000));
    for (max, p99) in [sold, paying] {
        assert!(p99 <= within(100) && max <= within(250), "{max:?} {p99:?}");
    }
    assert_books(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_locked_product_delays_no_other() {
    beside_a_holder(600, Duration::from_secs(2), false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "12 s, and its limits need a machine of its own"]
async fn one_locked_product_delays_no_other_full_size() {
    beside_a_holder(3_000, Duration::from_secs(10), true).await;
}

/// What stays locked is left when the deadline has passed, and counted.
#[tokio::test(flavor = "multi_thread")]
async fn what_stays_locked_is_left() {
    let db = Db::new().await;
    unpaid(&db.pool, 300, 100, 30).await;
    run(
        &db.pool,
        "UPDATE optilock.products SET stock = 1000000 WHERE sku IN ('p98', 'p99')",
    )
    .await;
    for policy in [
        RetryPolicy::new().with_deadline(Some(Duration::from_millis(300))),
        RetryPolicy::new().with_deadline(None),
    ] {
        let shop = PgInventory::new(db.pool.clone()).with_policy(policy);
        let mut holder = db.pool.begin().await.unwrap();
        let lock = "SELECT sku FROM optilock.products WHERE sku = 'p0' FOR UPDATE";
        sqlx::query(lock).execute(&mut *holder).await.unwrap();
        let start = Instant::now();
        let done = shop.cleanup_failed_orders(OLD).await.unwrap();
        assert_eq!(done.skipped, 30, "{done:?}");
        assert!(start.elapsed() < Duration::from_secs(20));
        assert_eq!(due(&db.pool).await, 30);
        holder.rollback().await.unwrap();
    }
    let done = PgInventory::new(db.pool.clone())
        .cleanup_failed_orders(OLD)
        .await;
    let done = done.unwrap();
    assert_eq!((done.orders, done.skipped), (30, 0));
}

/// Buyers of a product that all orders have, which is locked whenever it is looked at.
async fn beside_buyers(default: Default, limit: f64) {
    let db = Db::with(default, 40).await;
    unpaid(&db.pool, 300, 2, 300).await;
    let shop = PgInventory::new(db.pool.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let watch = pool_options(1)
        .connect_with(db.database.options())
        .await
        .unwrap();
    let selling = buyers(&shop, 32, 0..1, &stop);
    let waited = longest_wait(&watch, &stop);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (start, mut done) = (Instant::now(), Cleanup::default());
    while done.orders < 300 && start.elapsed() < Duration::from_secs(10) {
        done = done.plus(shop.cleanup_failed_orders(OLD).await.unwrap());
    }
    println!("{default:?}: {done:?} after {:?}", start.elapsed());
    stop.store(true, Relaxed);
    let sold = selling.join_all().await;
    println!("{} sold", sold.iter().map(Vec::len).sum::<usize>());
    assert_eq!(done.orders, 300);
    let waited = waited.await.unwrap();
    println!("longest wait {waited}");
    assert!(waited <= limit, "{waited}");
    assert_eq!(deadlocks(&db.pool).await, 0);
    watch.close().await;
    assert_books(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_product_is_cleaned_up_under_every_default() {
    for default in [
        Default::ReadCommitted,
        Default::RepeatableRead,
        Default::Serializable,
    ] {
        beside_buyers(default, 1.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "its limits need a machine of its own"]
async fn nobody_waits_long_for_the_clean_up_of_a_hot_product() {
    beside_buyers(Default::ReadCommitted, 0.1).await;
}

/// Warnings of clean-ups, as text.
#[derive(Clone, Debug, std::default::Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{}={value:?} ", field.name());
            }
        }
        if event.metadata().target() == "optilock::cleanup"
            && *event.metadata().level() == tracing::Level::WARN
        {
            let mut text = Text(String::new());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }
    }
}

/// A trigger raises, or swallows the write, or a constraint refuses it: for one order of 3,000.
#[tokio::test(flavor = "multi_thread")]
async fn one_refused_order_is_left_and_named() {
    for refusal in [
        "ALTER TABLE optilock.products ADD CONSTRAINT mine CHECK (sku <> 'p0' OR stock < 1000000)",
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.sku = ''p0''
             THEN RAISE EXCEPTION ''no''; END IF; RETURN NEW; END';
         CREATE TRIGGER refuse BEFORE UPDATE ON optilock.products FOR EACH ROW EXECUTE FUNCTION public.refuse()",
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF OLD.sku = ''p0''
             THEN RETURN NULL; END IF; RETURN NEW; END';
         CREATE TRIGGER refuse BEFORE UPDATE ON optilock.products FOR EACH ROW EXECUTE FUNCTION public.refuse()",
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF OLD.sku = ''p0''
             THEN RETURN OLD; END IF; RETURN NEW; END';
         CREATE TRIGGER refuse BEFORE UPDATE ON optilock.products FOR EACH ROW EXECUTE FUNCTION public.refuse()",
    ] {
        let db = Db::new().await;
        unpaid(&db.pool, 3_000, 1_000, 1).await;
        run(&db.pool, refusal).await;
        let shop = PgInventory::new(db.pool.clone());
        let warnings = Warnings::default();
        let subscriber = tracing_subscriber::registry().with(warnings.clone());
        let done = shop.cleanup_failed_orders(OLD).with_subscriber(subscriber).await;
        let done = done.unwrap();
        assert_eq!((done.orders, done.refused, done.skipped), (2_999, 1, 0), "{refusal}");
        let culprit: Uuid = sqlx::query_scalar("SELECT id FROM public.made WHERE n = 0")
            .fetch_one(&db.pool)
            .await
            .unwrap();
        let warnings = warnings.0.lock().unwrap().clone();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(&format!("id={culprit}")), "{warnings:?}");
        assert_eq!(stock_of(&shop, "p0").await, 999_999);
        assert_books(&db.pool).await;
    }
}

#[test]
fn a_refused_order_is_counted_by_a_metric() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let db = Db::new().await;
            unpaid(&db.pool, 10, 5, 1).await;
            let refusal = "ALTER TABLE optilock.products ADD CONSTRAINT mine
                CHECK (sku <> 'p0' OR stock < 1000000)";
            run(&db.pool, refusal).await;
            let shop = PgInventory::new(db.pool.clone());
            let done = shop.cleanup_failed_orders(OLD).await.unwrap();
            assert_eq!((done.orders, done.refused), (9, 1));
        });
    });
    let counted = snapshotter.snapshot().into_vec();
    let refused = counted.into_iter().find(|(key, ..)| {
        key.key().name() == optilock::metrics::CLEANUP_REFUSED
            && key.key().labels().any(|label| label.value() == "orders")
    });
    assert!(
        matches!(refused, Some((.., DebugValue::Counter(1)))),
        "{refused:?}"
    );
}

/// Everything is refused: the call ends, and what is left is counted.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_everywhere_is_counted() {
    let db = Db::new().await;
    unpaid(&db.pool, 1_000, 100, 1).await;
    run(
        &db.pool,
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER refuse BEFORE UPDATE ON optilock.orders FOR EACH ROW EXECUTE FUNCTION public.refuse()",
    )
    .await;
    let shop = PgInventory::new(db.pool.clone());
    let done = shop.cleanup_failed_orders(OLD).await.unwrap();
    assert_eq!((done.orders, done.units, done.refused), (0, 0, 1_000));
    assert_eq!(due(&db.pool).await, 1_000);
    assert_books(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_product_leaves_the_holds_of_others_expired() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    for name in ["pot", "mug", "jug"] {
        add(&shop, name, 1_000).await;
        expired(&db.pool, name, 1_000).await;
    }
    run(&db.pool, "ALTER TABLE optilock.products ADD CONSTRAINT mine CHECK (sku <> 'mug' OR reserved >= 1000)").await;
    let warnings = Warnings::default();
    let subscriber = tracing_subscriber::registry().with(warnings.clone());
    let done = shop
        .cleanup_reservations()
        .with_subscriber(subscriber)
        .await
        .unwrap();
    assert_eq!((done.holds, done.units, done.refused), (2_000, 2_000, 1));
    let warnings = warnings.0.lock().unwrap().clone();
    assert!(
        warnings.len() == 1 && warnings[0].contains("id=mug"),
        "{warnings:?}"
    );
    let mut holder = db.pool.begin().await.unwrap();
    run(
        &db.pool,
        "ALTER TABLE optilock.products DROP CONSTRAINT mine",
    )
    .await;
    // Locked, it is skipped; released, its holds expire in the same call.
    let lock = "SELECT sku FROM optilock.products WHERE sku = 'mug' FOR UPDATE";
    sqlx::query(lock).execute(&mut *holder).await.unwrap();
    let (done, ()) = tokio::join!(shop.cleanup_reservations(), async {
        crate::support::bank::until_waiting(&db.pool).await;
        holder.rollback().await.unwrap();
    });
    let done = done.unwrap();
    assert_eq!((done.holds, done.skipped, done.refused), (1_000, 0, 0));
    assert_books(&db.pool).await;
}

/// However many holds a product has, a statement ends a page of them.
async fn one_product(holds: u32, limit: Duration) {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone()).with_cleanup_rate_limit(None);
    let pot = crate::support::goods::new_product("p0", i64::from(holds) + 1_000_000);
    shop.add_product(pot).await.unwrap();
    expired(&db.pool, "p0", holds).await;
    let stop = Arc::new(AtomicBool::new(false));
    let selling = buyers(&shop, 2, 0..1, &stop);
    let (start, mut done) = (Instant::now(), 0);
    while done < u64::from(holds) {
        done += shop.cleanup_reservations().await.unwrap().holds;
        assert!(start.elapsed() < Duration::from_secs(300), "{done}");
    }
    println!("{holds} holds in {:?}", start.elapsed());
    stop.store(true, Relaxed);
    let sold = latencies(selling.join_all().await.into_iter().flatten().collect());
    println!("buyers {sold:?}");
    assert!(sold.0 <= limit, "{sold:?}");
    assert_eq!(shop.product(&sku("p0")).await.unwrap().reserved.get(), 0);
    assert_books(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_holds_of_one_product() {
    one_product(10_000, Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute, and its limits need a machine of its own"]
async fn a_backlog_of_holds_of_one_product_full_size() {
    one_product(500_000, Duration::from_millis(250)).await;
}

/// A payment in between: what was skipped is asked for again before it is cancelled.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_paid_meanwhile_is_no_longer_due() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    let order = shop.checkout(cart(&[("pot", 2)])).await.unwrap().id;
    let mut payment = db.pool.begin().await.unwrap();
    shop.mark_paid_in(&mut payment, order).await.unwrap();
    let (done, ()) = tokio::join!(shop.cleanup_failed_orders(Duration::ZERO), async {
        crate::support::bank::until_waiting(&db.pool).await;
        payment.commit().await.unwrap();
    });
    assert_eq!(done.unwrap(), Cleanup::default());
    assert_books(&db.pool).await;
}

/// Keys are looked for page by page, behind the last order that was read.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_forgotten_page_by_page() {
    let db = Db::new().await;
    unpaid(&db.pool, 3_000, 10, 1).await;
    run(
        &db.pool,
        "UPDATE optilock.orders o SET idempotency_key = 'key' || m.n FROM public.made m
             WHERE m.id = o.id AND m.n % 3 = 0",
    )
    .await;
    let shop = PgInventory::new(db.pool.clone());
    let mut payment = db.pool.begin().await.unwrap();
    let lock = "SELECT id FROM optilock.orders WHERE idempotency_key = 'key3' FOR UPDATE";
    sqlx::query(lock).execute(&mut *payment).await.unwrap();
    let (forgotten, ()) = tokio::join!(shop.cleanup_idempotency_keys(OLD), async {
        crate::support::bank::until_waiting(&db.pool).await;
        payment.commit().await.unwrap();
    });
    assert_eq!(forgotten.unwrap(), 1_000);
    assert_eq!(shop.cleanup_idempotency_keys(OLD).await.unwrap(), 0);
}
