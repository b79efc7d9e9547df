//! A shop after years: no operation reads a whole table. `OPTILOCK_TEST_ORDERS` sets the number of orders, a million by
//! default; a tenth of the movements sell.

use std::time::{Duration, Instant};

use optilock::{
    Version,
    inventory::{
        ArchivePosition, AuditPosition, DiscrepancyKind as Kind, Inventory, Janitor, OrderFilter,
        Page, PgInventory,
    },
    sqlx::{self, PgPool, postgres::PgPoolOptions},
};

use crate::support::{db::Db, goods::sku, triggers::run};

/// The movements of the product that sells most.
const HOT: i64 = 1_000_000;

/// Products of the other orders.
const PRODUCTS: i64 = 1_000;

/// Stores products `name` and their ledgers: version 1 adds a million units, and of ten versions one sells a unit to an
/// order of its own. All orders are paid, over three years; the youngest hundredth has its keys.
fn ledgers(name: &str, products: i64, versions: i64) -> String {
    format!(
        "INSERT INTO optilock.products (sku, name, price, currency, stock, version)
            SELECT '{name}-' || p, 'A', 100, 'MXN', 1000000 - ({versions} + 8) / 10, {versions}
            FROM generate_series(1, {products}) AS p;
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, moved_at, transaction_id)
            SELECT '{name}-' || p, v,
                CASE WHEN v = 1 THEN 8 WHEN v % 10 = 2 THEN 1 ELSE 7 END,
                CASE WHEN v = 1 THEN 1000000 WHEN v % 10 = 2 THEN -1 ELSE 0 END,
                1000000 - (v + 8) / 10,
                CASE WHEN v % 10 = 2 THEN
                    (lpad(to_hex(v), 12, '0') || '70008000' || lpad(to_hex(p), 12, '{digit}'))::uuid END,
                now() - (1 - v::float8 / {versions}) * interval '1095 days', 1
            FROM generate_series(1, {versions}) AS v, generate_series(1, {products}) AS p;
        INSERT INTO optilock.orders (id, customer, status, total, currency, created_at, pending_since, idempotency_key)
            SELECT o.id, 'customer ' || o.at % 100000, 2, 100, 'MXN', o.created_at, o.created_at,
                CASE WHEN o.v > 0.99 * {versions} THEN o.id::text END
            FROM (SELECT (lpad(to_hex(v), 12, '0') || '70008000' || lpad(to_hex(p), 12, '{digit}'))::uuid AS id, v,
                    (v / 10) * 7919 + p AS at,
                    now() - (1 - v::float8 / {versions}) * interval '1095 days' AS created_at
                FROM generate_series(2, {versions}, 10) AS v, generate_series(1, {products}) AS p) o;
        INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
            SELECT (lpad(to_hex(v), 12, '0') || '70008000' || lpad(to_hex(p), 12, '{digit}'))::uuid,
                '{name}-' || p, 1, 100
            FROM generate_series(2, {versions}, 10) AS v, generate_series(1, {products}) AS p",
        digit = if products == 1 { 'f' } else { '0' },
    )
}

async fn grown(pool: &PgPool) -> i64 {
    let orders = std::env::var("OPTILOCK_TEST_ORDERS").unwrap_or_else(|_| "1000000".to_owned());
    let orders: i64 = orders.parse().expect("a number of orders");
    run(pool, ledgers("hot", 1, HOT)).await;
    run(pool, ledgers("pot", PRODUCTS, orders * 10 / PRODUCTS)).await;
    let held = "INSERT INTO optilock.reservations (id, remaining)
            SELECT ('11111111-1111-7111-8111-' || lpad(to_hex(n), 12, '0'))::uuid, 0 FROM generate_series(1, 100000) n;
        INSERT INTO optilock.holds (reservation_id, sku, quantity, held, state, expires_at)
            SELECT id, 'pot-1', 1, 0, 1, now() - interval '1 year' FROM optilock.reservations";
    run(pool, held).await;
    for table in [
        "products",
        "orders",
        "order_lines",
        "movements",
        "reservations",
        "holds",
    ] {
        run(pool, format!("VACUUM (ANALYZE, FREEZE) optilock.{table}")).await;
    }
    orders
}

/// Audits in ranges of 100,000 rows. Returns the kinds of discrepancies, the number of ranges and the longest time.
async fn audited(shop: &PgInventory) -> (Vec<Kind>, u32, Duration) {
    let (mut kinds, mut ranges, mut longest) = (Vec::new(), 0, Duration::ZERO);
    let mut position = Some(AuditPosition::START);
    while let Some(from) = position {
        let start = Instant::now();
        let range = shop.audit_range(&from, 100_000).await.unwrap();
        longest = longest.max(start.elapsed());
        ranges += 1;
        kinds.extend(range.discrepancies.iter().map(|it| it.kind));
        position = range.next;
    }
    kinds.sort_unstable();
    (kinds, ranges, longest)
}

/// One fault of every kind, those of the ledger within the longest one.
const FAULTS: &str = "
    ALTER TABLE optilock.products DROP CONSTRAINT products_check;
    UPDATE optilock.products SET stock = stock + 1 WHERE sku = 'hot-1';
    DELETE FROM optilock.movements WHERE sku = 'hot-1' AND version = 900007;
    UPDATE optilock.movements SET stock_after = stock_after + 1 WHERE sku = 'hot-1' AND version = 950001;
    UPDATE optilock.products SET reserved = 2000000 WHERE sku = 'pot-7';
    UPDATE optilock.order_lines SET quantity = 2, price = 50, returned = 1 WHERE order_id = (
        SELECT order_id FROM optilock.movements WHERE sku = 'hot-1' AND version = 960002);
    UPDATE optilock.orders SET total = 7 WHERE id = (
        SELECT order_id FROM optilock.movements WHERE sku = 'hot-1' AND version = 970002);
    INSERT INTO optilock.orders (id, total, currency) VALUES ('ffffffff-ffff-ffff-ffff-ffffffffffff', 0, 'MXN');
    INSERT INTO optilock.reservations (id, remaining) VALUES ('ffffffff-ffff-ffff-ffff-ffffffffffff', 1);
    UPDATE optilock.holds SET state = 2 WHERE reservation_id = '11111111-1111-7111-8111-000000000007'";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn a_shop_of_years_reads_no_whole_table() {
    let db = Db::new().await;
    // One connection, whose statistics are written before they are read.
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = pool
        .connect_with((*db.pool.connect_options()).clone())
        .await
        .unwrap();
    let shop = PgInventory::new(pool.clone());
    let begun = Instant::now();
    let orders = grown(&db.pool).await;
    println!("{orders} orders in {:.0?}", begun.elapsed());

    // Orders of a customer, the newest first.
    let filter = OrderFilter::all()
        .with_customer("customer 7")
        .newest_first();
    let mut times = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        let page = shop.orders(filter.clone(), Page::first(20)).await.unwrap();
        times.push(start.elapsed());
        assert!(!page.is_empty());
    }
    times.sort_unstable();
    println!("the newest orders of a customer: {:.2?}", times[10]);
    let mut all = vec![times[10]];

    // The first clean-ups after a start.
    let read = async || {
        let flush = sqlx::query("SELECT pg_stat_force_next_flush()");
        flush.execute(&pool).await.unwrap();
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT relname::text, seq_tup_read FROM pg_stat_user_tables
            WHERE schemaname = 'optilock' AND relname IN ('orders', 'order_lines', 'movements', 'holds') ORDER BY 1",
        )
        .fetch_all(&pool)
        .await
        .unwrap();
        rows
    };
    let before = read().await;
    let janitor = Janitor::new(shop.clone()).with_keys_after(Duration::from_secs(86_400 * 400));
    let start = Instant::now();
    janitor.run_once().await.unwrap();
    println!("the first clean-ups: {:.2?}", start.elapsed());
    assert_eq!(read().await, before, "read as a whole");

    let (kinds, ranges, longest) = audited(&shop).await;
    println!("audit: {ranges} ranges, at most {longest:.2?}");
    assert_eq!(kinds, []);
    assert_eq!(read().await, before, "the audit reads a whole table");
    all.push(longest);

    // Two of three years leave, page by page.
    let year: String = sqlx::query_scalar(
        "SELECT to_char(now() AT TIME ZONE 'UTC' - interval '365 days', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    let mut position = Some(ArchivePosition::before(year.parse().unwrap()));
    let (mut pages, mut longest, mut left) = (0_u32, Duration::ZERO, (0, 0));
    let start = Instant::now();
    while let Some(from) = position {
        let begun = Instant::now();
        let page = shop.archive(&from, 10_000).await.unwrap();
        longest = longest.max(begun.elapsed());
        pages += 1;
        left = (left.0 + page.orders.len(), left.1 + page.movements.len());
        position = page.next;
    }
    println!(
        "archive: {} orders and {} movements in {pages} pages, {:.0?}, at most {longest:.2?}",
        left.0,
        left.1,
        start.elapsed()
    );
    assert!(left.0 as f64 > 0.6 * orders as f64, "{left:?}");
    assert_eq!(read().await, before, "the archive reads a whole table");
    let (kinds, ranges, longest_range) = audited(&shop).await;
    println!("audit: {ranges} ranges, at most {longest_range:.2?}");
    assert_eq!(kinds, []);
    let opening = shop.movements(&sku("hot-1"), Page::first(1)).await.unwrap();
    assert!(
        opening[0].version > Version::new(600_000).unwrap(),
        "{opening:?}"
    );

    run(&db.pool, FAULTS).await;
    let (mut kinds, ..) = audited(&shop).await;
    kinds.dedup();
    assert_eq!(kinds, Kind::ALL);

    assert!(all[0] < Duration::from_millis(2), "orders: {:?}", all[0]);
    assert!(all[1] < Duration::from_secs(1), "a range: {:?}", all[1]);
}
