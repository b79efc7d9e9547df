//! 19: numbers at their ends. 20: clocks.

use optilock::{
    inventory::Stock,
    sqlx::{self, AssertSqlSafe},
};

use super::{
    Answer, Bench, Case, Cell, Subject, books,
    holder::{Holder, Met, behind},
};

/// Refused as invalid and nothing stored, or done.
async fn either(bench: &Bench, subject: &Subject, cell: &str, case: &Case) {
    let pool = &bench.db.pool;
    let before = case.stored(pool).await;
    let answer = bench.attempt(subject, case, cell).await;
    let stored = case.stored(pool).await;
    let is_true = match &answer {
        Answer::Done if !subject.operation.writes() => stored == before,
        Answer::Done => stored != before,
        Answer::Nothing => stored == before && subject.operation.is_cleanup(),
        Answer::NotDone(error) => {
            let refused = matches!(error.code(), "invalid" | "stock-held");
            stored == before && refused && subject.operation.writes()
        }
        Answer::Unknown(_) => false,
    };
    assert!(
        is_true,
        "{cell}: {answer:?}, and stored is\n  {stored}\nbefore it was\n  {before}"
    );
}

const NO_PRODUCT: Cell = Cell::CannotApply("there is no product yet");

/// This stock of pots, all of it from the beginning.
pub async fn stock(bench: &Bench, subject: &Subject, cell: &str, stock: i64) -> Cell {
    let (case, _) = bench.case(subject).await;
    let grow = "WITH p AS (
            UPDATE optilock.products SET stock = $2 WHERE sku = $1 RETURNING sku, stock),
        o AS (SELECT p.sku, p.stock - o.stock AS more FROM p JOIN optilock.products o ON o.sku = p.sku)
        UPDATE optilock.movements m
        SET stock_after = m.stock_after + o.more,
            delta = m.delta + CASE WHEN m.version = 1 THEN o.more ELSE 0 END
        FROM o WHERE m.sku = o.sku";
    // What was sold was sold from more.
    let sold: i64 = sqlx::query_scalar(
        "SELECT coalesce(-sum(delta), 0)::bigint FROM optilock.movements
            WHERE sku = $1 AND delta < 0",
    )
    .bind(case.pot())
    .fetch_one(&bench.db.pool)
    .await
    .unwrap();
    let grown = sqlx::query(grow)
        .bind(case.pot())
        .bind(stock - if stock == i64::MAX { sold } else { 0 })
        .execute(&bench.db.pool)
        .await
        .unwrap();
    if grown.rows_affected() == 0 {
        return NO_PRODUCT;
    }
    either(bench, subject, cell, &case).await;
    Cell::Held
}

pub const LARGEST: i64 = Stock::MAX.get();

/// Sets a number of the case's rows by SQL; its books are not the crate's any more.
async fn number(bench: &Bench, subject: &Subject, cell: &str, set: &str) -> Option<Case> {
    let (case, _) = bench.case(subject).await;
    let set = sqlx::query(AssertSqlSafe(set.to_owned()))
        .bind(case.skus())
        .bind(case.order.uuid())
        .execute(&bench.db.pool)
        .await
        .unwrap();
    if set.rows_affected() == 0 {
        return None;
    }
    either(bench, subject, cell, &case).await;
    Some(case)
}

/// The last version that a bigint can say.
pub async fn product_version(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    if matches!(
        subject.operation.method,
        "product_at" | "retire_product" | "count_stock"
    ) {
        return Cell::CannotApply("it expects the version that was there before");
    }
    let set = "WITH p AS (
            UPDATE optilock.products SET version = 9223372036854775807
            WHERE sku = ANY ($1) AND $2 IS NOT NULL RETURNING sku)
        UPDATE optilock.movements m SET version = 9223372036854775807
        FROM p WHERE m.sku = p.sku
            AND m.version = (SELECT max(l.version) FROM optilock.movements l WHERE l.sku = m.sku)";
    let Some(_case) = number(bench, subject, cell, set).await else {
        return NO_PRODUCT;
    };
    // It has a gap that only this test could make.
    books::clear(&bench.db.pool).await;
    Cell::Held
}

pub async fn order_version(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    if subject.operation.method == "step" {
        return Cell::CannotApply("it expects the version that was there before");
    }
    let set = "UPDATE optilock.orders SET version = 9223372036854775807
        WHERE id = $2 AND $1 IS NOT NULL";
    match number(bench, subject, cell, set).await {
        Some(_) => Cell::Held,
        None => Cell::CannotApply("there is no order yet"),
    }
}

pub async fn price(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    let set = "UPDATE optilock.products SET price = 9223372036854775807
        WHERE sku = ANY ($1) AND $2 IS NOT NULL";
    match number(bench, subject, cell, set).await {
        Some(_) => Cell::Held,
        None => NO_PRODUCT,
    }
}

/// The largest page, the longest durations.
pub async fn pages_and_durations(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    let takes = [
        "products",
        "orders",
        "movements",
        "report",
        "extend",
        "reserve",
    ];
    let operation = subject.operation;
    if !takes.contains(&operation.method)
        && !matches!(
            operation.method,
            "cleanup_failed_orders" | "cleanup_idempotency_keys"
        )
    {
        return Cell::CannotApply("it takes neither a page nor a duration");
    }
    let (mut case, before) = bench.case(subject).await;
    case.extreme = true;
    let answer = bench.attempt(subject, &case, cell).await;
    match operation.is_cleanup() {
        // Nothing is as old as that.
        true => assert!(matches!(answer, Answer::Nothing), "{cell}: {answer:?}"),
        false => assert!(answer.is_done(), "{cell}: {answer:?}"),
    }
    assert_eq!(
        case.stored(&bench.db.pool).await == before,
        !matches!(operation.method, "extend" | "reserve"),
        "{cell}"
    );
    Cell::Held
}

/// Transactions commit in another order than they began: a session that began first, and wrote last, commits
/// while the operation waits for it. Its clock is a second ahead.
pub async fn commit_order(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    const WRITE: &str = "WITH p AS (
            UPDATE optilock.products SET version = version + 1, updated_at = clock_timestamp() + interval '1 s'
            WHERE sku = ($1::text[])[1] AND $2 IS NOT NULL AND NOT retired
            RETURNING sku, version, stock, updated_at)
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, moved_at)
        SELECT sku, version, 7, 0, stock, updated_at FROM p";
    let (case, before) = bench.case(subject).await;
    let Some(holder) = Holder::of(bench, &case, &[WRITE]).await else {
        return NO_PRODUCT;
    };
    let meanwhile = tokio::time::sleep(std::time::Duration::from_millis(10));
    let met = behind(bench, subject, &case, cell, holder, meanwhile).await;
    let stored = case.stored(&bench.db.pool).await.replacen(" 7:0", "", 1);
    let after = subject.operation.after.unwrap_or(&before);
    let answer = met.answer();
    let fits = match answer {
        Answer::Done => stored == after,
        Answer::Nothing => subject.operation.is_cleanup() && stored == before,
        Answer::NotDone(_) => answer.is_refused("conflict") && stored == before,
        Answer::Unknown(_) => false,
    };
    assert!(fits, "{cell}: {answer:?}, and stored is\n  {stored}");
    match met {
        Met::Passed(_) => Cell::CannotApply("it does not wait for who writes the product"),
        _ => Cell::Held,
    }
}

pub async fn clients_clock(_: &Bench, _: &Subject, _: &str) -> Cell {
    Cell::CannotApply(
        "no time of the client's reaches the database, but for what is in the ids that it makes",
    )
}
