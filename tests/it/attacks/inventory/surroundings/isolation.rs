//! 1: the role's default isolation level. Another session changes the rows while the operation waits for them, which
//! makes such a level fail.

use super::{
    Cell, Harness, Variant,
    lock_holder::{LockHolder, LockOutcome, run_behind_lock},
};

const CHANGE: [&str; 3] = [
    "UPDATE optilock.products SET name = name WHERE sku = ANY ($1) AND $2 IS NOT NULL",
    "UPDATE optilock.orders SET total = total WHERE id = $2 AND $1 IS NOT NULL",
    "UPDATE optilock.holds SET held = held WHERE sku = ANY ($1) AND $2 IS NOT NULL",
];

pub async fn default_of(harness: &Harness, variant: &Variant, cell: &str, level: &str) -> Cell {
    let harness = harness
        .with_settings(2, &[("default_transaction_isolation", level)])
        .await;
    harness.expect_done(variant, cell).await;
    let prepared = harness.prepare(variant).await;
    let Some(holder) = LockHolder::of(&harness, &prepared.fixture, &CHANGE).await else {
        return Cell::CannotApply("there is no row that another session could change");
    };
    let outcome =
        run_behind_lock(&harness, variant, &prepared.fixture, cell, holder, async {}).await;
    harness
        .judge(variant, &prepared, Some(outcome.answer()), cell)
        .await;
    if variant.operation.is_cleanup() && !outcome.answer().is_done() {
        // The clean-up skipped the rows that the other session had locked.
        harness.expect_done(variant, cell).await;
        return Cell::Passed;
    }
    assert!(outcome.answer().is_done(), "{cell}: {:?}", outcome.answer());
    match outcome {
        LockOutcome::NotBlocked(_) => {
            Cell::CannotApply("it waits for no row that another session changes")
        }
        _ => Cell::Passed,
    }
}
