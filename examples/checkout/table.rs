//! The tables of the demo.

use support::table::{Cell, Table};

use crate::{
    method::Method,
    report::{Flooded, Raced},
};

pub(crate) fn race(rows: &[Raced]) -> Table {
    let mut table = Table::new([
        "strategy",
        "sold",
        "oversold",
        "refused",
        "conflicts",
        "attempts\nat most",
        "conflicts\nescaped",
    ]);
    for row in rows {
        table.add_row([
            Cell::new(row.strategy),
            Cell::number(row.sold),
            Cell::number(row.oversold).good(row.oversold == 0),
            Cell::number(row.refused),
            Cell::number(row.conflicts),
            Cell::number(row.attempts_max),
            Cell::number(row.escaped).good(row.escaped == 0),
        ]);
    }
    table
}

pub(crate) fn flood(rows: &[Flooded]) -> Table {
    let mut table = Table::new([
        "strategy",
        "buyers",
        "orders/s",
        "x for\nupdate",
        "p50\nms",
        "p99\nms",
        "conflicts",
        "attempts\nmean",
        "attempts\nat most",
        "conflicts\nescaped",
    ]);
    for row in rows {
        let ratio = ratio(rows, row).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        table.add_row([
            Cell::new(row.strategy),
            Cell::number(row.buyers),
            Cell::number(grouped(row.orders_per_second)),
            Cell::number(ratio),
            Cell::number(format!("{:.2}", row.p50_ms)),
            Cell::number(format!("{:.2}", row.p99_ms)),
            Cell::number(row.conflicts),
            Cell::number(format!("{:.2}", row.attempts_mean)),
            Cell::number(row.attempts_max),
            Cell::number(row.escaped).good(row.escaped == 0),
        ]);
    }
    table
}

pub(crate) fn sale(rows: &[Flooded]) -> Table {
    let mut table = Table::new([
        "strategy",
        "buyers",
        "sales/s",
        "x for\nupdate",
        "p50\nms",
        "p99\nms",
        "conflicts\nescaped",
    ]);
    for row in rows {
        let ratio = ratio(rows, row).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        table.add_row([
            Cell::new(row.strategy),
            Cell::number(row.buyers),
            Cell::number(grouped(row.orders_per_second)),
            Cell::number(ratio),
            Cell::number(format!("{:.2}", row.p50_ms)),
            Cell::number(format!("{:.2}", row.p99_ms)),
            Cell::number(row.escaped).good(row.escaped == 0),
        ]);
    }
    table
}

/// Returns the throughput relative to the handwritten `FOR UPDATE` with the same number of buyers, if
/// that was measured.
pub(crate) fn ratio(rows: &[Flooded], row: &Flooded) -> Option<f64> {
    let by_hand = rows
        .iter()
        .find(|hand| hand.strategy == Method::ForUpdateByHand && hand.buyers == row.buyers)?;
    (by_hand.orders_per_second > 0.0).then(|| row.orders_per_second / by_hand.orders_per_second)
}

/// Formats 1234.5 as "1,234".
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
