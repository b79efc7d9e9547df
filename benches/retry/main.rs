//! What a retry costs when nothing goes wrong, and when something does: optilock beside a bare
//! call, backon and tokio-retry2, all in one run.
//!
//! `cargo bench --bench retry` ends with tables of ratios: medians of rounds in which the contestants
//! take turns, so that a machine that changes its pace does so for all of them. The feature `metrics`
//! is on; "counting recorder" is optilock with a recorder that only counts, the other rows have none.

use backon::{ConstantBuilder, ExponentialBuilder, Retryable};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use criterion::{BenchmarkId, Criterion, Throughput};
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit, with_local_recorder,
};
use optilock::{Class, Classify, RetryPolicy, with_retry};
use std::{
    cell::Cell,
    future::{Future, ready},
    hint::black_box,
    pin::pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Runtime};
use tokio_retry2::{
    Retry, RetryError,
    strategy::{ExponentialFactorBackoff, FixedInterval},
};

#[derive(Debug)]
struct Lost;

impl Classify for Lost {
    fn class(&self) -> Class {
        Class::Conflict
    }
}

/// The operation of all contestants: neither what goes in nor what comes out can be foreseen.
async fn operation(input: u64) -> Result<u64, Lost> {
    match black_box(input) {
        u64::MAX => Err(Lost),
        value => Ok(black_box(value + 1)),
    }
}

async fn waiting(input: u64) -> Result<u64, Lost> {
    tokio::task::yield_now().await;
    operation(input).await
}

/// Fails three times, then succeeds.
async fn unlucky(tries: &Cell<u64>) -> Result<u64, Lost> {
    tries.set(black_box(tries.get() + 1));
    match tries.get() {
        1..=3 => Err(Lost),
        tries => Ok(tries),
    }
}

/// tokio-retry2 wants to be told with the error what to do about it.
async fn transient<T>(
    attempt: impl Future<Output = Result<T, Lost>>,
) -> Result<T, RetryError<Lost>> {
    attempt.await.map_err(RetryError::transient)
}

/// The same for all: 12 attempts, delays from 5 ms, doubled up to 250 ms.
const POLICY: RetryPolicy = RetryPolicy::new();
const BACKON: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(5))
    .with_max_delay(Duration::from_millis(250))
    .with_factor(2.0)
    .with_max_times(11);

fn tokio_retry2() -> impl Iterator<Item = Duration> {
    ExponentialFactorBackoff::from_millis(5, 2.0)
        .max_delay(Duration::from_millis(250))
        .take(11)
}

/// No delay between attempts.
const AT_ONCE: RetryPolicy = POLICY.with_base_delay(Duration::ZERO);
const BACKON_AT_ONCE: ConstantBuilder = ConstantBuilder::new()
    .with_delay(Duration::ZERO)
    .with_max_times(11);

/// A recorder that only counts: what is recorded costs as little as a recorder can make it.
#[derive(Default)]
struct Counting(Arc<Counted>);

#[derive(Default)]
struct Counted(AtomicU64);

static COUNTING: LazyLock<Counting> = LazyLock::new(Counting::default);

impl CounterFn for Counted {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Relaxed);
    }

    fn absolute(&self, _: u64) {}
}

impl HistogramFn for Counted {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Recorder for Counting {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::clone(&self.0))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::clone(&self.0))
    }
}

struct Contestant {
    name: &'static str,
    /// In one measured block: enough that the harness does not drown a nanosecond, few for those
    /// who sleep.
    calls: u64,
    run: fn(&Runtime, u64) -> u64,
    /// Whether the recorder that counts is installed meanwhile.
    counted: bool,
}

impl Contestant {
    const fn counted(self) -> Self {
        Self {
            name: "optilock, counting recorder",
            counted: true,
            ..self
        }
    }

    fn run(&self, runtime: &Runtime, calls: u64) -> u64 {
        if self.counted {
            with_local_recorder(&*COUNTING, || (self.run)(runtime, calls))
        } else {
            (self.run)(runtime, calls)
        }
    }
}

macro_rules! contestant {
    ($name:literal, $calls:literal, |$input:pat_param| $call:expr) => {
        Contestant {
            name: $name,
            calls: $calls,
            counted: false,
            run: |runtime, calls| {
                runtime.block_on(async move {
                    let mut sum = 0_u64;
                    for $input in 0..calls {
                        let result: Result<u64, _> = $call;
                        sum = sum.wrapping_add(black_box(result.unwrap()));
                    }
                    sum
                })
            },
        }
    };
}

macro_rules! polled {
    ($name:literal, $calls:literal, |$input:pat_param| $future:expr) => {
        Contestant {
            name: $name,
            calls: $calls,
            counted: false,
            run: |_, calls| {
                let mut context = Context::from_waker(Waker::noop());
                let mut sum = 0_u64;
                for $input in 0..calls {
                    let Poll::Ready(result) = pin!($future).poll(&mut context) else {
                        unreachable!("nothing to wait for");
                    };
                    let result: Result<u64, _> = result;
                    sum = sum.wrapping_add(black_box(result.unwrap()));
                }
                sum
            },
        }
    };
}

const OPTILOCK_AWAITED: Contestant =
    contestant!("optilock", 10_000, |input| with_retry(&POLICY, |_| {
        operation(input)
    })
    .await);

/// Awaited inside of a task, as hosts do: the state of the retry lies in the task's memory.
const AWAITED: [Contestant; 5] = [
    contestant!("bare call", 10_000, |input| operation(input).await),
    OPTILOCK_AWAITED,
    OPTILOCK_AWAITED.counted(),
    contestant!("backon", 10_000, |input| (|| operation(input))
        .retry(BACKON)
        .await),
    contestant!("tokio-retry2", 10_000, |input| Retry::spawn(
        tokio_retry2(),
        || transient(operation(input))
    )
    .await),
];

const OPTILOCK_WAITING: Contestant =
    contestant!("optilock", 10_000, |input| with_retry(&POLICY, |_| {
        waiting(input)
    })
    .await);

/// The same, by an operation that waits once, as every call of a database does at least.
const WAITING: [Contestant; 5] = [
    contestant!("bare call", 10_000, |input| waiting(input).await),
    OPTILOCK_WAITING,
    OPTILOCK_WAITING.counted(),
    contestant!("backon", 10_000, |input| (|| waiting(input))
        .retry(BACKON)
        .await),
    contestant!("tokio-retry2", 10_000, |input| Retry::spawn(
        tokio_retry2(),
        || transient(waiting(input))
    )
    .await),
];

const OPTILOCK_POLLED: Contestant =
    polled!("optilock", 10_000, |input| with_retry(&POLICY, |_| {
        operation(input)
    }));

/// Polled by hand, without a task around it: what the retry itself adds.
const POLLED: [Contestant; 5] = [
    polled!("bare call", 10_000, |input| operation(input)),
    OPTILOCK_POLLED,
    OPTILOCK_POLLED.counted(),
    polled!("backon", 10_000, |input| (|| operation(input))
        .retry(BACKON)),
    polled!("tokio-retry2", 10_000, |input| Retry::spawn(
        tokio_retry2(),
        || transient(operation(input))
    )),
];

const OPTILOCK_THREE_FAILURES: Contestant = contestant!("optilock", 1_000, |_| {
    let tries = Cell::new(0);
    with_retry(&AT_ONCE, |_| unlucky(&tries)).await
});

const THREE_FAILURES: [Contestant; 6] = [
    contestant!("bare loop", 1_000, |_| {
        let tries = Cell::new(0);
        loop {
            match unlucky(&tries).await {
                Err(Lost) if tries.get() < 12 => {}
                result => break result,
            }
        }
    }),
    OPTILOCK_THREE_FAILURES,
    OPTILOCK_THREE_FAILURES.counted(),
    contestant!("backon, sleeper replaced", 1_000, |_| {
        let tries = Cell::new(0);
        (|| unlucky(&tries))
            .retry(BACKON_AT_ONCE)
            .sleep(|_| ready(()))
            .await
    }),
    contestant!("backon", 1, |_| {
        let tries = Cell::new(0);
        (|| unlucky(&tries)).retry(BACKON_AT_ONCE).await
    }),
    contestant!("tokio-retry2", 1, |_| {
        let tries = Cell::new(0);
        let delays = FixedInterval::new(Duration::ZERO).take(11);
        Retry::spawn(delays, || transient(unlucky(&tries))).await
    }),
];

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

fn bench(criterion: &mut Criterion, name: &str, contestants: &[Contestant]) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);
    for contestant in contestants {
        let Contestant { name, calls, .. } = contestant;
        group.throughput(Throughput::Elements(*calls));
        group.bench_with_input(
            BenchmarkId::from_parameter(name),
            calls,
            |bencher, calls| {
                bencher.iter(|| contestant.run(&runtime, *calls));
            },
        );
    }
    group.finish();
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One contestant after the other, over and over; each round gives a ratio to the first one.
fn ratios(title: &str, contestants: &[Contestant], rounds: usize) {
    let runtime = runtime();
    let mut nanos = vec![Vec::new(); contestants.len()];
    let mut ratios = nanos.clone();
    for _ in 0..rounds {
        for (index, contestant) in contestants.iter().enumerate() {
            let start = Instant::now();
            black_box(contestant.run(&runtime, black_box(contestant.calls)));
            let each = start.elapsed().as_secs_f64() * 1e9 / contestant.calls as f64;
            let first = *nanos[0].last().unwrap_or(&each);
            ratios[index].push(each / if index == 0 { each } else { first });
            nanos[index].push(each);
        }
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([title, "ns per call", "ratio", "allocations per call"]);
    for (index, contestant) in contestants.iter().enumerate() {
        let Contestant { name, calls, .. } = contestant;
        // The runtime and its thread-locals are warm by now: what is counted is the call's own.
        let allocations = allocation_counter::measure(|| {
            black_box(contestant.run(&runtime, *calls));
        });
        table.add_row([
            (*name).to_owned(),
            format!("{:.1}", median(std::mem::take(&mut nanos[index]))),
            format!("{:.2}", median(std::mem::take(&mut ratios[index]))),
            format!("{}", allocations.count_total as f64 / *calls as f64),
        ]);
    }
    println!("{table}");
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion, "success, waiting", &WAITING);
    bench(&mut criterion, "success, awaited", &AWAITED);
    bench(&mut criterion, "success, polled", &POLLED);
    bench(&mut criterion, "three failures", &THREE_FAILURES);
    criterion.final_summary();

    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    if asked("--list") {
        return;
    }
    let rounds = if asked("--test") { 1 } else { 301 };
    ratios("first try succeeds, waiting once", &WAITING, rounds);
    ratios("first try succeeds, awaited", &AWAITED, rounds);
    ratios("first try succeeds, polled", &POLLED, rounds);
    ratios("three failures, zero delay", &THREE_FAILURES, rounds);
    assert_ne!(COUNTING.0.0.load(Relaxed), 0, "the recorder counts");
}
