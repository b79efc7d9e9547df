//! The table of one number of products: a row for each number of buyers.

use support::table::{Cell, Table};

use super::{Measured, method::Method};

pub(super) fn of<'a>(products: u64, measured: impl Iterator<Item = &'a Measured>) -> Table {
    let mut titles = vec![
        match products {
            1 => "one product, buyers".to_owned(),
            _ => format!("{products} products, buyers"),
        },
        "by hand\norders/s".to_owned(),
    ];
    let compared = Method::ALL[1..].iter();
    titles.extend(compared.map(|method| format!("{}\nx by hand", method.name())));
    titles.extend([
        "batched\norders/s".to_owned(),
        "batched\nx guarded".to_owned(),
    ]);
    let mut table = Table::new(titles);
    for row in measured {
        let [by_hand, .., guarded, batched] = row.rates;
        let mut cells = vec![
            Cell::number(row.buyers),
            Cell::number(format!("{by_hand:.0}")),
        ];
        let ratios = row.rates[1..].iter().map(|rate| rate / by_hand);
        cells.extend(ratios.map(|ratio| Cell::number(format!("{ratio:.2}"))));
        cells.push(Cell::number(format!("{batched:.0}")));
        cells.push(Cell::number(format!("{:.2}", batched / guarded)));
        table.add_row(cells);
    }
    table
}
