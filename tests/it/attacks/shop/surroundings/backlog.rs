//! 7: backlogs.

use std::{
    sync::atomic::Ordering::SeqCst,
    time::{Duration, Instant},
};

use optilock::sqlx;

use super::{Answer, Bench, Case, Cell, Subject, books, case::Setup, holder::neighbours};

/// A run may not take longer than that beside a backlog that is not its own.
const USUAL: Duration = Duration::from_secs(2);

/// Expired holds of one pot each, on this case's pots: a request that is short needs them.
pub async fn expired_holds(bench: &Bench, subject: &Subject, cell: &str, holds: i64) -> Cell {
    const HOLDS: &str = "
        WITH p AS (
            UPDATE optilock.products SET stock = stock + $2, reserved = reserved + $2, version = version + 1
            WHERE sku = $1 AND NOT retired RETURNING sku, version, stock),
        m AS (
            INSERT INTO optilock.movements (sku, version, kind, delta, stock_after)
            SELECT sku, version, 3, $2, stock FROM p),
        r AS (
            INSERT INTO optilock.reservations (id, remaining)
            SELECT gen_random_uuid(), 1 FROM p, generate_series(1, $2) RETURNING id)
        INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
        SELECT r.id, $1, 1, 1, statement_timestamp() - interval '30 minutes' FROM r";
    if matches!(
        subject.operation.method,
        "product_at" | "retire_product" | "count_stock"
    ) {
        return Cell::CannotApply("it names a version; the holds of a backlog change it");
    }
    let (case, _) = bench.case(subject).await;
    let pool = &bench.db.pool;
    let stored = sqlx::query(HOLDS)
        .bind(case.pot())
        .bind(holds)
        .execute(pool)
        .await
        .unwrap();
    if stored.rows_affected() == 0 {
        return Cell::CannotApply("there is no product yet");
    }
    sqlx::raw_sql("ANALYZE optilock.holds, optilock.products")
        .execute(pool)
        .await
        .unwrap();
    let before = shape(&case, pool).await;
    let start = Instant::now();
    let (answer, ()) = tokio::join!(bench.attempt(subject, &case, cell), neighbours(bench, cell));
    let after = shape(&case, pool).await;
    let fits = match &answer {
        Answer::Done => subject.operation.writes() != (before == after),
        // What expired is given back piece by piece, and the caller may come again.
        Answer::NotDone(error) => error.is_busy() && before == after,
        Answer::Nothing | Answer::Unknown(_) => false,
    };
    assert!(
        fits,
        "{cell}: {answer:?}, and stored is\n  {after}\nbefore it was\n  {before}"
    );
    if !subject.operation.is_cleanup() {
        assert!(
            start.elapsed() < USUAL,
            "{cell}: it took {:?}",
            start.elapsed()
        );
    }
    Cell::Held
}

/// What is stored, without the backlog.
async fn shape(case: &Case, pool: &sqlx::PgPool) -> String {
    const SHAPE: &str = "SELECT concat_ws(' | ',
        (SELECT string_agg(concat_ws(' ', split_part(sku, ' ', 1), stock, revision, retired, paused), ', '
                ORDER BY sku)
            FROM optilock.products WHERE sku = ANY ($1)),
        (SELECT string_agg(concat_ws(' ', status, version, idempotency_key), ', ') FROM optilock.orders
            WHERE id = $2),
        (SELECT string_agg(concat_ws(' ', split_part(sku, ' ', 1), held, state, expires_at), ', ' ORDER BY sku)
            FROM optilock.holds WHERE sku = ANY ($1) AND quantity > 1))";
    sqlx::query_scalar(SHAPE)
        .bind(case.skus())
        .bind(case.order.uuid())
        .fetch_one(pool)
        .await
        .unwrap()
}

/// Orders of another product, unpaid and due, or paid and old. Made where they are not there.
pub async fn orders(
    bench: &Bench,
    subject: &Subject,
    cell: &str,
    (status, count): (i16, i64),
) -> Cell {
    const ORDERS: &str = "
        WITH o AS (
            INSERT INTO optilock.orders
                (id, customer, idempotency_key, status, total, currency, created_at, pending_since)
            SELECT gen_random_uuid(), 'crowd', n::text, $2, 1, 'MXN',
                statement_timestamp() - interval '2 days', statement_timestamp() - interval '2 days'
            FROM generate_series(1, $1) n RETURNING id),
        l AS (
            INSERT INTO optilock.order_lines (order_id, sku, quantity, price) SELECT id, 'crowd', 1, 1 FROM o),
        p AS (
            INSERT INTO optilock.products (sku, name, price, currency, stock, version)
            VALUES ('crowd', 'crowd', 1, 'MXN', 0, $1 + 1)),
        f AS (
            INSERT INTO optilock.movements (sku, version, kind, delta, stock_after)
            VALUES ('crowd', 1, 8, $1, $1))
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id)
        SELECT 'crowd', 1 + n, 1, -1, $1 - n, id FROM (SELECT id, row_number() OVER () AS n FROM o) o";
    let operation = subject.operation;
    let of_orders = matches!(
        operation.method,
        "checkout" | "report" | "audit" | "return_items"
    ) || matches!(
        operation.setup,
        Setup::Ordered(_) | Setup::CancelledAndTaken
    ) || operation.is_cleanup();
    if !of_orders {
        return Cell::CannotApply("it meets no orders");
    }
    let pool = &bench.db.pool;
    let there: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM optilock.orders WHERE customer = 'crowd' AND status = $1)",
    )
    .bind(status)
    .fetch_one(pool)
    .await
    .unwrap();
    if !there {
        books::clear(pool).await;
        sqlx::query(ORDERS)
            .bind(count)
            .bind(status)
            .execute(pool)
            .await
            .unwrap();
        sqlx::raw_sql("ANALYZE optilock.orders, optilock.order_lines, optilock.movements")
            .execute(pool)
            .await
            .unwrap();
    }
    let start = Instant::now();
    let made = bench.case(subject).await;
    let (answer, ()) = tokio::join!(
        bench.attempt(subject, &made.0, cell),
        neighbours(bench, cell)
    );
    bench.judge(subject, &made, Some(&answer), cell).await;
    assert!(answer.is_done(), "{cell}: {answer:?}");
    // The books of a backlog are compared after each clean-up, and after the last operation: they take longer
    // than a cell.
    let last = operation.is_cleanup() || operation.method == "audit";
    bench.keep.store(!last, SeqCst);
    if !operation.is_cleanup() {
        assert!(
            start.elapsed() < USUAL,
            "{cell}: it took {:?}",
            start.elapsed()
        );
    }
    Cell::Held
}
