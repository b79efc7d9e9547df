//! 1: the role's default isolation level. Another session changes the rows while the operation waits for
//! them, which is what such a level fails by.

use super::{
    Bench, Cell, Subject,
    holder::{Holder, Met, behind},
};

const CHANGE: [&str; 3] = [
    "UPDATE optilock.products SET name = name WHERE sku = ANY ($1) AND $2 IS NOT NULL",
    "UPDATE optilock.orders SET total = total WHERE id = $2 AND $1 IS NOT NULL",
    "UPDATE optilock.holds SET held = held WHERE sku = ANY ($1) AND $2 IS NOT NULL",
];

pub async fn default_of(bench: &Bench, subject: &Subject, cell: &str, level: &str) -> Cell {
    let bench = bench
        .with_settings(2, &[("default_transaction_isolation", level)])
        .await;
    bench.run_well(subject, cell).await;
    let made = bench.case(subject).await;
    let Some(holder) = Holder::of(&bench, &made.0, &CHANGE).await else {
        return Cell::CannotApply("there is no row that another session could change");
    };
    let met = behind(&bench, subject, &made.0, cell, holder, async {}).await;
    bench.judge(subject, &made, Some(met.answer()), cell).await;
    if subject.operation.is_cleanup() && !met.answer().is_done() {
        // What another session held was skipped.
        bench.run_well(subject, cell).await;
        return Cell::Held;
    }
    assert!(met.answer().is_done(), "{cell}: {:?}", met.answer());
    match met {
        Met::Passed(_) => Cell::CannotApply("it waits for no row that another session changes"),
        _ => Cell::Held,
    }
}
