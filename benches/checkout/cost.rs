//! The cost of single operations by one client.

use std::time::Duration;

use criterion::Criterion;
use optilock::inventory::{Inventory, Quantity, Reserve};
use support::table::{Cell, Table};

use crate::{
    bench::{Bench, OTHERS, cart, sku},
    median,
};

/// Lines per cart.
const LINES: [u64; 3] = [1, 5, 20];

pub(crate) fn measure(bench: &Bench, criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one client");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(2));
    let factor = |times: u64| u32::try_from(times).expect("fewer than 2^32");
    for lines in LINES {
        group.bench_function(format!("checkout, lines: {lines}"), |bencher| {
            bencher.iter_custom(|times| {
                bench.time(times, async |number| buy(bench, number, lines).await) * factor(times)
            });
        });
    }
    group.bench_function("reserve and release a line", |bencher| {
        bencher.iter_custom(|times| {
            bench.time(times, async |number| {
                reserve_and_release(bench, number).await;
            }) * factor(times)
        });
    });
    group.finish();
}

/// Prints the table of costs. The operations take turns, and the ratios are those to a checkout of one line.
pub(crate) fn compare(bench: &Bench, rounds: usize, times: u64, catalogue: u64) {
    let in_ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    let mut carts = LINES.map(|_| Vec::new());
    let (mut reserved, mut large) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for (lines, times_of) in LINES.into_iter().zip(&mut carts) {
            let time = bench.time(times, async |number| buy(bench, number, lines).await);
            times_of.push(in_ms(time));
        }
        let time = bench.time(times, async |number| {
            reserve_and_release(bench, number).await;
        });
        reserved.push(in_ms(time));
    }
    let filled = bench.execute(catalogue_statements(catalogue));
    bench.runtime.block_on(filled);
    // Warms up: the statements are planned again, and pages are read into memory.
    bench.time(times, async |number| buy(bench, number, 1).await);
    for _ in 0..rounds {
        let time = bench.time(times, async |number| buy(bench, number, 1).await);
        large.push(in_ms(time));
    }
    let reference = median(carts[0].clone());
    let mut table = Table::new(["one client", "ms", "ratio"]);
    let mut row = |name: String, times: Vec<f64>| {
        let time = median(times);
        table.add_row([
            Cell::new(name),
            Cell::number(format!("{time:.3}")),
            Cell::number(format!("{:.2}", time / reference)),
        ]);
    };
    for (lines, times) in LINES.into_iter().zip(carts) {
        row(format!("checkout, lines: {lines}"), times);
    }
    row("reserve and release a line".to_owned(), reserved);
    row(
        format!("checkout of a line, {catalogue} more products"),
        large,
    );
    println!("{table}");
}

async fn buy(bench: &Bench, number: u64, lines: u64) {
    let cart = cart((0..lines).map(|line| number * 31 + line * 41));
    let order = bench.inventory.checkout(cart).await;
    order.expect("there is stock");
}

async fn reserve_and_release(bench: &Bench, number: u64) {
    let request = Reserve::new([(sku("other", number % OTHERS), Quantity::ONE)]);
    let request = request.expect("a valid reservation");
    let reserved = bench.inventory.reserve(request).await;
    let released = bench
        .inventory
        .release(reserved.expect("there is stock").id)
        .await;
    released.expect("the reservation exists");
}

/// Returns statements that add products which no checkout names.
fn catalogue_statements(products: u64) -> String {
    format!(
        "INSERT INTO optilock.products (sku, name, price, currency, stock)
             SELECT 'catalogue-' || n, 'Pot', 100, 'MXN', 9 FROM generate_series(1, {products}) AS n;
         INSERT INTO optilock.movements (sku, version, kind, delta, stock_after)
             SELECT 'catalogue-' || n, 1, 8, 9, 9 FROM generate_series(1, {products}) AS n"
    )
}
