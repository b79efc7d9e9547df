//! 19: the largest numbers, pages and durations.

use optilock::{
    inventory::Stock,
    sqlx::{self, AssertSqlSafe},
};

use super::{Answer, Cell, Fixture, Harness, NO_PRODUCT, Prepared, Variant, balances};

/// Asserts that the operation is done, or is refused as invalid and stores nothing.
async fn expect_done_or_invalid(
    harness: &Harness,
    variant: &Variant,
    cell: &str,
    fixture: &Fixture,
) {
    let pool = &harness.db.pool;
    let before = fixture.stored(pool).await;
    let answer = harness.attempt(variant, fixture, cell).await;
    let stored = fixture.stored(pool).await;
    let agrees = match &answer {
        Answer::Done if !variant.operation.writes() => stored == before,
        Answer::Done => stored != before,
        Answer::NothingToDo => stored == before && variant.operation.is_cleanup(),
        Answer::NotDone(error) => {
            let refused = matches!(error.code(), "invalid" | "stock-held");
            stored == before && refused && variant.operation.writes()
        }
        Answer::Unknown(_) => false,
    };
    assert!(
        agrees,
        "{cell}: {answer:?}, and stored is\n  {stored}\nbefore it was\n  {before}"
    );
}

/// The pot has had this stock from its first version.
pub async fn stock(harness: &Harness, variant: &Variant, cell: &str, stock: i64) -> Cell {
    let Prepared { fixture, .. } = harness.prepare(variant).await;
    let grow = "WITH grown AS (
            UPDATE optilock.products SET stock = $2 WHERE sku = $1 RETURNING sku, stock),
        growth AS (
            SELECT g.sku, g.stock - p.stock AS units
            FROM grown g JOIN optilock.products p ON p.sku = g.sku)
        UPDATE optilock.movements m
        SET stock_after = m.stock_after + g.units,
            delta = m.delta + CASE WHEN m.version = 1 THEN g.units ELSE 0 END
        FROM growth g WHERE m.sku = g.sku";
    // The stock before the sale must not exceed the largest number.
    let sold: i64 = sqlx::query_scalar(
        "SELECT coalesce(-sum(delta), 0)::bigint FROM optilock.movements
            WHERE sku = $1 AND delta < 0",
    )
    .bind(fixture.pot())
    .fetch_one(&harness.db.pool)
    .await
    .unwrap();
    let grown = sqlx::query(grow)
        .bind(fixture.pot())
        .bind(stock - if stock == i64::MAX { sold } else { 0 })
        .execute(&harness.db.pool)
        .await
        .unwrap();
    if grown.rows_affected() == 0 {
        return NO_PRODUCT;
    }
    expect_done_or_invalid(harness, variant, cell, &fixture).await;
    Cell::Passed
}

pub const LARGEST: i64 = Stock::MAX.get();

/// Sets a number of the fixture's rows by SQL, which the crate cannot do, and runs the operation. Returns `None` if
/// no row matches.
async fn with_number(
    harness: &Harness,
    variant: &Variant,
    cell: &str,
    set: &str,
) -> Option<Fixture> {
    let Prepared { fixture, .. } = harness.prepare(variant).await;
    let set = sqlx::query(AssertSqlSafe(set.to_owned()))
        .bind(fixture.skus())
        .bind(fixture.order.uuid())
        .execute(&harness.db.pool)
        .await
        .unwrap();
    if set.rows_affected() == 0 {
        return None;
    }
    expect_done_or_invalid(harness, variant, cell, &fixture).await;
    Some(fixture)
}

/// The products are at the largest version of a bigint.
pub async fn product_version(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    if matches!(
        variant.operation.method,
        "product_at" | "retire_product" | "count_stock"
    ) {
        return Cell::CannotApply("it expects the version from before");
    }
    if variant.operation.method == "archive" {
        return Cell::CannotApply("a ledger with a gap stays");
    }
    let set = "WITH product AS (
            UPDATE optilock.products SET version = 9223372036854775807
            WHERE sku = ANY ($1) AND $2 IS NOT NULL RETURNING sku)
        UPDATE optilock.movements m SET version = 9223372036854775807
        FROM product p WHERE m.sku = p.sku
            AND m.version = (SELECT max(l.version) FROM optilock.movements l WHERE l.sku = m.sku)";
    let Some(_fixture) = with_number(harness, variant, cell, set).await else {
        return NO_PRODUCT;
    };
    // The ledger has a gap, which only this test can create.
    balances::clear(&harness.db.pool).await;
    Cell::Passed
}

pub async fn order_version(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    if variant.operation.method == "step" {
        return Cell::CannotApply("it expects the version from before");
    }
    let set = "UPDATE optilock.orders SET version = 9223372036854775807
        WHERE id = $2 AND $1 IS NOT NULL";
    match with_number(harness, variant, cell, set).await {
        Some(_) => Cell::Passed,
        None => Cell::CannotApply("there is no order yet"),
    }
}

pub async fn price(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let set = "UPDATE optilock.products SET price = 9223372036854775807
        WHERE sku = ANY ($1) AND $2 IS NOT NULL";
    match with_number(harness, variant, cell, set).await {
        Some(_) => Cell::Passed,
        None => NO_PRODUCT,
    }
}

/// The request has the largest page or the longest duration.
pub async fn pages_and_durations(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let takes = [
        "products",
        "orders",
        "movements",
        "outbox_since",
        "movements_since",
        "report",
        "extend",
        "reserve",
    ];
    let operation = variant.operation;
    if !takes.contains(&operation.method)
        && !matches!(
            operation.method,
            "cleanup_failed_orders" | "cleanup_idempotency_keys" | "run_once"
        )
    {
        return Cell::CannotApply("it takes neither a page nor a duration");
    }
    let Prepared {
        mut fixture,
        before,
    } = harness.prepare(variant).await;
    fixture.extreme = true;
    let answer = harness.attempt(variant, &fixture, cell).await;
    match operation.is_cleanup() {
        // No row is this old.
        true => assert!(matches!(answer, Answer::NothingToDo), "{cell}: {answer:?}"),
        false => assert!(answer.is_done(), "{cell}: {answer:?}"),
    }
    assert_eq!(
        fixture.stored(&harness.db.pool).await == before,
        !matches!(operation.method, "extend" | "reserve"),
        "{cell}"
    );
    Cell::Passed
}
