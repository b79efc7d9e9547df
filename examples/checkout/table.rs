//! The tables that people read.

use std::io::{IsTerminal, stdout};

use comfy_table::{Cell, CellAlignment, Color, Table, presets::UTF8_FULL_CONDENSED};

use crate::{
    contender::Contender,
    report::{Flooded, Raced},
};

pub(crate) fn race(rows: &[Raced]) -> String {
    let mut table = table(&[
        "strategy",
        "sold",
        "oversold",
        "refused",
        "conflicts",
        "attempts\nat most",
        "conflicts\nescaped",
    ]);
    for row in rows {
        table.add_row(vec![
            Cell::new(row.strategy),
            number(row.sold),
            verdict(row.oversold),
            number(row.refused),
            number(row.conflicts),
            number(row.attempts_max),
            verdict(row.escaped),
        ]);
    }
    finish(table)
}

pub(crate) fn flood(rows: &[Flooded]) -> String {
    let mut table = table(&[
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
        table.add_row(vec![
            Cell::new(row.strategy),
            number(row.buyers),
            number(grouped(row.orders_per_second)),
            number(ratio(rows, row).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))),
            number(format!("{:.2}", row.p50_ms)),
            number(format!("{:.2}", row.p99_ms)),
            number(row.conflicts),
            number(format!("{:.2}", row.attempts_mean)),
            number(row.attempts_max),
            verdict(row.escaped),
        ]);
    }
    finish(table)
}

/// How many times the orders per second of what is written by hand with as many buyers, if that took part.
pub(crate) fn ratio(rows: &[Flooded], row: &Flooded) -> Option<f64> {
    let by_hand = rows
        .iter()
        .find(|hand| hand.strategy == Contender::ForUpdateByHand && hand.buyers == row.buyers)?;
    (by_hand.orders_per_second > 0.0).then(|| row.orders_per_second / by_hand.orders_per_second)
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let bold = |title: &&str| Cell::new(title).add_attribute(comfy_table::Attribute::Bold);
    table.set_header(header.iter().map(bold));
    table
}

fn finish(mut table: Table) -> String {
    // https://no-color.org: set and not empty.
    let colourless = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if colourless || !stdout().is_terminal() {
        table.force_no_tty();
    }
    table.to_string()
}

fn number(value: impl ToString) -> Cell {
    Cell::new(value).set_alignment(CellAlignment::Right)
}

/// Good when it is zero.
fn verdict(count: impl ToString + Default + PartialEq) -> Cell {
    let good = count == Default::default();
    number(count).fg(if good { Color::Green } else { Color::Red })
}

/// 1234.5 as "1,234".
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
