//! 7: backlogs.

use std::{
    sync::atomic::Ordering::SeqCst,
    time::{Duration, Instant},
};

use optilock::sqlx::{self, PgPool};

use super::{
    Answer, Cell, Fixture, Harness, NO_PRODUCT, Prepared, Variant, balances, fixture::Setup,
    lock_holder::assert_other_rows_work,
};
use crate::support::triggers::run;

/// The most orders whose audit ends within the limit of a cell.
const MOST_OF_AUDIT: u32 = 100_000;

/// More holds than these are a backlog only for operations that read them.
const MANY: i64 = 10_000;

/// The longest time that an operation may take beside a backlog.
const USUAL: Duration = Duration::from_secs(2);

/// There are expired holds of one pot each on the fixture's pots. A request beyond the available stock needs them.
pub async fn expired_holds(harness: &Harness, variant: &Variant, cell: &str, holds: i64) -> Cell {
    const HOLDS: &str = "
        WITH product AS (
            UPDATE optilock.products SET stock = stock + $2, reserved = reserved + $2, version = version + 1
            WHERE sku = $1 AND NOT retired RETURNING sku, version, stock),
        movement AS (
            INSERT INTO optilock.movements (sku, version, kind, delta, stock_after)
            SELECT sku, version, 3, $2, stock FROM product),
        reservation AS (
            INSERT INTO optilock.reservations (id, remaining)
            SELECT gen_random_uuid(), 1 FROM product, generate_series(1, $2) RETURNING id)
        INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
        SELECT id, $1, 1, 1, statement_timestamp() - interval '30 minutes' FROM reservation";
    if matches!(
        variant.operation.method,
        "product_at" | "retire_product" | "count_stock"
    ) {
        return Cell::CannotApply("it names a version; the holds of a backlog change it");
    }
    let reads_holds = matches!(
        variant.operation.method,
        "report" | "audit" | "audit_range" | "run_once"
    ) || matches!(
        variant.operation.setup,
        Setup::ExpiredHolds
            | Setup::CancelledBehindExpiredHolds
            | Setup::Reserved
            | Setup::ExpiredReservation
    );
    if holds > MANY && !reads_holds {
        return Cell::CannotApply("it reads no holds, and another cell has ten thousand of them");
    }
    let Prepared { fixture, .. } = harness.prepare(variant).await;
    let pool = &harness.db.pool;
    let stored = sqlx::query(HOLDS)
        .bind(fixture.pot())
        .bind(holds)
        .execute(pool)
        .await
        .unwrap();
    if stored.rows_affected() == 0 {
        return NO_PRODUCT;
    }
    run(pool, "ANALYZE optilock.holds, optilock.products").await;
    let before = shape(&fixture, pool).await;
    let start = Instant::now();
    let (answer, ()) = tokio::join!(
        harness.attempt(variant, &fixture, cell),
        assert_other_rows_work(harness, cell)
    );
    let after = shape(&fixture, pool).await;
    let fits = match &answer {
        Answer::Done => variant.operation.writes() != (before == after),
        // Holds expire in bounded rounds, and the caller may try again.
        Answer::NotDone(error) => error.is_busy() && before == after,
        Answer::NothingToDo | Answer::Unknown(_) => false,
    };
    assert!(
        fits,
        "{cell}: {answer:?}, and stored is\n  {after}\nbefore it was\n  {before}"
    );
    assert_in_time(variant, start, cell);
    Cell::Passed
}

/// Asserts the usual latency, except of a clean-up and of the audit, which work on the backlog itself.
fn assert_in_time(variant: &Variant, start: Instant, cell: &str) {
    let took = start.elapsed();
    assert!(
        variant.operation.is_cleanup() || variant.operation.method == "audit" || took < USUAL,
        "{cell}: it took {took:?}"
    );
}

/// Describes what is stored, without the backlog.
async fn shape(fixture: &Fixture, pool: &PgPool) -> String {
    const SHAPE: &str = "SELECT concat_ws(' | ',
        (SELECT string_agg(concat_ws(' ', split_part(sku, ' ', 1), stock, revision, retired, paused), ', '
                ORDER BY sku)
            FROM optilock.products WHERE sku = ANY ($1)),
        (SELECT string_agg(concat_ws(' ', status, version, idempotency_key), ', ') FROM optilock.orders
            WHERE id = $2),
        (SELECT string_agg(concat_ws(' ', split_part(sku, ' ', 1), held, state, expires_at), ', ' ORDER BY sku)
            FROM optilock.holds WHERE sku = ANY ($1) AND quantity > 1),
        (SELECT count(*) || ' opening balances' FROM optilock.movements WHERE sku = ANY ($1) AND kind = 15),
        (SELECT count(*) || ' entries' FROM optilock.outbox WHERE order_id = $2))";
    sqlx::query_scalar(SHAPE)
        .bind(fixture.skus())
        .bind(fixture.order.uuid())
        .fetch_one(pool)
        .await
        .unwrap()
}

/// Orders of another product: `$1` is their number, `$2` their status.
const ORDERS: &str = "
    WITH new_order AS (
        INSERT INTO optilock.orders
            (id, customer, idempotency_key, status, total, currency, created_at, pending_since)
        SELECT gen_random_uuid(), 'crowd', CASE WHEN n <= 50000 THEN n::text END, $2, 1, 'MXN',
            statement_timestamp() - interval '2 days', statement_timestamp() - interval '2 days'
        FROM generate_series(1, $1) n RETURNING id),
    line AS (
        INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
        SELECT id, 'crowd', 1, 1 FROM new_order),
    product AS (
        INSERT INTO optilock.products (sku, name, price, currency, stock, version)
        VALUES ('crowd', 'crowd', 1, 'MXN', 0, $1 + 1)),
    first_movement AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after)
        VALUES ('crowd', 1, 8, $1, $1))
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id)
    SELECT 'crowd', 1 + n, 1, -1, $1 - n, id
    FROM (SELECT id, row_number() OVER () AS n FROM new_order) numbered";

/// Stores `count` old orders unless they exist.
async fn ensure_orders(pool: &PgPool, (status, count): (i16, u32)) {
    let exists: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM optilock.orders WHERE customer = 'crowd' AND status = $1)",
    )
    .bind(status)
    .fetch_one(pool)
    .await
    .unwrap();
    if exists {
        return;
    }
    balances::clear(pool).await;
    sqlx::query(ORDERS)
        .bind(i64::from(count))
        .bind(status)
        .execute(pool)
        .await
        .unwrap();
    // The index is for this test's own look at the rows, twice per cell.
    let analyze = "CREATE INDEX IF NOT EXISTS lines_of_product ON optilock.order_lines (sku);
        ANALYZE optilock.orders, optilock.order_lines, optilock.movements";
    run(pool, analyze).await;
}

/// There are old orders of another product, unpaid or paid.
pub async fn orders(harness: &Harness, variant: &Variant, cell: &str, orders: (i16, u32)) -> Cell {
    let operation = variant.operation;
    let reads_orders = matches!(
        operation.method,
        "checkout" | "report" | "audit" | "return_items"
    ) || matches!(
        operation.setup,
        Setup::Ordered(_) | Setup::Announced | Setup::CancelledBehindExpiredHolds
    ) || operation.is_cleanup();
    // The balance check of a backlog takes longer than a cell, so it runs only after clean-ups and the last operation.
    harness.keep_rows.store(true, SeqCst);
    if !reads_orders {
        return Cell::CannotApply("it reads no orders");
    }
    let is_large = orders.1 > MOST_OF_AUDIT;
    if operation.method == "audit" && is_large {
        harness.keep_rows.store(false, SeqCst);
        return Cell::CannotApply("it reads every row, which takes more than the limit of a cell");
    }
    ensure_orders(&harness.db.pool, orders).await;
    let prepared = harness.prepare(variant).await;
    let start = Instant::now();
    let mut patient = harness.clone();
    if operation.is_cleanup() {
        // It handles up to 20,000 rows a second.
        patient.limit += Duration::from_micros(100) * orders.1;
    }
    let (answer, ()) = tokio::join!(
        patient.attempt(variant, &prepared.fixture, cell),
        assert_other_rows_work(harness, cell)
    );
    assert_in_time(variant, start, cell);
    harness.judge(variant, &prepared, Some(&answer), cell).await;
    assert!(answer.is_done(), "{cell}: {answer:?}");
    let last = operation.method == "audit" || (operation.is_cleanup() && !is_large);
    harness.keep_rows.store(!last, SeqCst);
    Cell::Passed
}
