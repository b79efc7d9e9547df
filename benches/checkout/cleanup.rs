//! The clean-up of unpaid orders.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use optilock::inventory::Inventory;
use support::table::{Cell, Table};

use crate::{bench::Bench, buyers, median, unpaid};

/// Orders per second.
const RATE_LIMIT: u32 = 20_000;
const UNPAID_AFTER: Duration = Duration::from_secs(30 * 60);

/// The orders per second that one round measured.
struct Round {
    cleanup_alone: f64,
    buyers_alone: f64,
    cleanup_beside: f64,
    buyers_beside: f64,
}

pub(crate) fn measure(bench: &Bench, criterion: &mut Criterion) {
    const ORDERS: u64 = 1_000;
    let mut group = criterion.benchmark_group("clean-up");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5))
        .throughput(Throughput::Elements(ORDERS));
    group.bench_function("1,000 unpaid orders", |bencher| {
        bencher.iter_custom(|times| {
            let mut total = Duration::ZERO;
            for _ in 0..times {
                let prepared = bench.execute(unpaid::statements(ORDERS));
                bench.runtime.block_on(prepared);
                let start = Instant::now();
                bench.runtime.block_on(clean_up(bench, None, ORDERS));
                total += start.elapsed();
            }
            total
        });
    });
    group.finish();
}

/// Prints the table of clean-ups with and without concurrent buyers.
pub(crate) fn compare(bench: &Bench, rounds: usize, orders: u64) {
    let rounds: Vec<Round> = (0..rounds).map(|_| round(bench, orders)).collect();
    let figure = |of: fn(&Round) -> f64| median(rounds.iter().map(of).collect());
    let share = figure(|round| round.buyers_beside / round.buyers_alone);
    let title = format!(
        "clean-up of {orders} unpaid orders, median of {} rounds",
        rounds.len()
    );
    let mut table = Table::new([&title, "orders/s", "ratio"]);
    let rows = [
        (
            "clean-up without a rate limit",
            figure(|round| round.cleanup_alone),
            None,
        ),
        (
            "8 buyers of other products",
            figure(|round| round.buyers_alone),
            None,
        ),
        (
            "clean-up limited to 20,000 orders/s, with the buyers",
            figure(|round| round.cleanup_beside),
            None,
        ),
        (
            "the buyers, with the clean-up",
            figure(|round| round.buyers_beside),
            Some(share),
        ),
    ];
    for (name, rate, ratio) in rows {
        table.add_row([
            Cell::new(name),
            Cell::number(format!("{rate:.0}")),
            Cell::number(ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))),
        ]);
    }
    println!("{table}");
}

fn round(bench: &Bench, orders: u64) -> Round {
    bench.runtime.block_on(async {
        bench.execute(unpaid::statements(orders)).await;
        let cleanup_alone = clean_up(bench, None, orders).await;
        bench.execute(unpaid::statements(orders)).await;
        let length = Duration::from_secs_f64(orders as f64 / f64::from(RATE_LIMIT));
        let pause = async {
            tokio::time::sleep(length).await;
            0.0
        };
        let (buyers_alone, _) = buyers::buy_during(bench, pause).await;
        let cleanup = clean_up(bench, Some(RATE_LIMIT), orders);
        let (buyers_beside, cleanup_beside) = buyers::buy_during(bench, cleanup).await;
        let audit = bench.inventory.audit().await.expect("the audit completes");
        assert!(audit.is_clean(), "{audit}");
        Round {
            cleanup_alone,
            buyers_alone,
            cleanup_beside,
            buyers_beside,
        }
    })
}

/// Cancels all unpaid orders. Returns the orders per second.
async fn clean_up(bench: &Bench, rate_limit: Option<u32>, orders: u64) -> f64 {
    let inventory = bench.inventory.clone().with_cleanup_rate_limit(rate_limit);
    let start = Instant::now();
    let cleaned = inventory.cleanup_failed_orders(UNPAID_AFTER).await;
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(cleaned.expect("the clean-up succeeds").orders, orders);
    orders as f64 / seconds
}
