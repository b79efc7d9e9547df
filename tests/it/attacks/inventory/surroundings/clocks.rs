//! 20: clocks.

use std::time::Duration;

use super::{
    Answer, Cell, Harness, NO_PRODUCT, Prepared, Variant,
    lock_holder::{LockHolder, LockOutcome, run_behind_lock},
};

/// Transactions commit in another order than they began. A session that began first and wrote last commits while the
/// operation waits for it. Its clock is a second ahead.
pub async fn commit_order(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    const WRITE: &str = "WITH product AS (
            UPDATE optilock.products SET version = version + 1, updated_at = clock_timestamp() + interval '1 s'
            WHERE sku = ($1::text[])[1] AND $2 IS NOT NULL AND NOT retired
            RETURNING sku, version, stock, updated_at)
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, moved_at)
        SELECT sku, version, 7, 0, stock, updated_at FROM product";
    let Prepared { fixture, before } = harness.prepare(variant).await;
    let Some(holder) = LockHolder::of(harness, &fixture, &[WRITE]).await else {
        return NO_PRODUCT;
    };
    let meanwhile = tokio::time::sleep(Duration::from_millis(10));
    let outcome = run_behind_lock(harness, variant, &fixture, cell, holder, meanwhile).await;
    let stored = fixture
        .stored(&harness.db.pool)
        .await
        .replacen(" 7:0", "", 1);
    let after = variant.operation.after.unwrap_or(&before);
    let answer = outcome.answer();
    let fits = match answer {
        Answer::Done => stored == after,
        Answer::NothingToDo => variant.operation.is_cleanup() && stored == before,
        Answer::NotDone(_) => answer.is_refused("conflict") && stored == before,
        Answer::Unknown(_) => false,
    };
    assert!(fits, "{cell}: {answer:?}, and stored is\n  {stored}");
    match outcome {
        LockOutcome::NotBlocked(_) => {
            Cell::CannotApply("it does not wait for the session that writes the product")
        }
        _ => Cell::Passed,
    }
}

pub async fn clients_clock(_: &Harness, _: &Variant, _: &str) -> Cell {
    Cell::CannotApply(
        "no time of the client reaches the database, except in the ids that it creates",
    )
}
