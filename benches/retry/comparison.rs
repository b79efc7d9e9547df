//! Measures candidates: each by criterion, and all of them in turns.

use std::{hint::black_box, time::Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use support::table::{Cell, Table};
use tokio::runtime::{Builder, Runtime};

use crate::candidate::Candidate;

pub(crate) fn measure(criterion: &mut Criterion, name: &str, candidates: &[Candidate]) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);
    for candidate in candidates {
        group.throughput(Throughput::Elements(candidate.calls));
        group.bench_with_input(
            BenchmarkId::from_parameter(candidate.name),
            &candidate.calls,
            |bencher, calls| {
                bencher.iter(|| candidate.run(&runtime, *calls));
            },
        );
    }
    group.finish();
}

/// Measures the candidates in turns. Each round gives a ratio to the first candidate.
pub(crate) fn ratios(title: &str, candidates: &[Candidate], rounds: usize) -> Table {
    let runtime = runtime();
    let mut nanos = vec![Vec::new(); candidates.len()];
    let mut ratios = nanos.clone();
    for _ in 0..rounds {
        for (index, candidate) in candidates.iter().enumerate() {
            let start = Instant::now();
            black_box(candidate.run(&runtime, black_box(candidate.calls)));
            let each = start.elapsed().as_secs_f64() * 1e9 / candidate.calls as f64;
            let first = *nanos[0].last().unwrap_or(&each);
            ratios[index].push(each / if index == 0 { each } else { first });
            nanos[index].push(each);
        }
    }
    let mut table = Table::new([title, "ns per call", "ratio", "allocations per call"]);
    for (index, Candidate { name, calls, .. }) in candidates.iter().enumerate() {
        // The thread-locals of the runtime exist by now: only allocations of the call are counted.
        let allocations = allocation_counter::measure(|| {
            black_box(candidates[index].run(&runtime, *calls));
        });
        table.add_row([
            Cell::new(name),
            Cell::number(format!("{:.1}", median(&mut nanos[index]))),
            Cell::number(format!("{:.2}", median(&mut ratios[index]))),
            Cell::number(allocations.count_total as f64 / *calls as f64),
        ]);
    }
    table
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime can be built")
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
