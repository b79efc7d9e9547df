//! The summary under the tables.

use crate::{method::Method, report::Report, table};

/// Summarizes the report in a few sentences.
pub(crate) fn of(report: &Report) -> String {
    let mut sentences = Vec::new();
    for row in report.race.iter().filter(|row| row.oversold > 0) {
        sentences.push(format!("{} oversold {} units.", row.strategy, row.oversold));
    }
    let mut others = report
        .race
        .iter()
        .filter(|row| row.strategy != Method::Naive)
        .peekable();
    if others.peek().is_some() && others.all(|row| row.oversold == 0) {
        let other = if sentences.is_empty() { "" } else { "other " };
        sentences.push(format!("No {other}strategy oversold."));
    }
    let fastest = report
        .flood
        .iter()
        .max_by(|a, b| a.orders_per_second.total_cmp(&b.orders_per_second));
    if let Some((row, ratio)) =
        fastest.and_then(|row| Some((row, table::ratio(&report.flood, row)?)))
    {
        sentences.push(format!(
            "Fastest under load: {}, {ratio:.2} x the handwritten FOR UPDATE.",
            row.strategy
        ));
    }
    for row in report
        .sale
        .iter()
        .filter(|row| row.strategy != Method::ForUpdateByHand)
    {
        if let Some(ratio) = table::ratio(&report.sale, row) {
            sentences.push(format!(
                "Whole sales: {}, {ratio:.2} x the handwritten FOR UPDATE.",
                row.strategy
            ));
        }
    }
    let audit = match (report.books_balance, report.source) {
        (true, "memory") => "Every sale that was reported to a buyer was made.",
        (true, _) => {
            "The books balance: every unit is in stock or in an order, every change in the ledger."
        }
        (false, _) => "THE BOOKS DO NOT BALANCE.",
    };
    sentences.push(audit.to_owned());
    sentences.join(" ")
}
