//! Totals and latency of the recent checkouts, for the dashboard.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use optilock::inventory::{Error, Order};
use serde::Serialize;

/// How many seconds the latency covers.
const SECONDS: usize = 10;

/// Counts and times the checkouts of this process.
#[derive(Debug)]
pub(crate) struct Pulse(Mutex<State>);

#[derive(Debug)]
struct State {
    totals: Totals,
    /// Milliseconds of each checkout in each of the last seconds, the current second at the back.
    latencies: VecDeque<Vec<f64>>,
}

/// Counts since the start of the program.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Totals {
    pub(crate) checkouts: u64,
    pub(crate) sold: u64,
    /// Refused for insufficient stock.
    pub(crate) refused: u64,
}

/// Percentiles in milliseconds. They are `None` without a recent checkout.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Latency {
    p50: Option<f64>,
    p99: Option<f64>,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            totals: Totals::default(),
            latencies: VecDeque::from([Vec::new()]),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record_checkout(&self, took: Duration, outcome: &Result<Order, Error>) {
        let mut state = self.state();
        state.totals.checkouts += 1;
        match outcome {
            Ok(order) if !order.replayed => state.totals.sold += 1,
            Err(error) if error.is_insufficient_stock() => state.totals.refused += 1,
            _ => {}
        }
        if let Some(current) = state.latencies.back_mut() {
            current.push(took.as_secs_f64() * 1_000.0);
        }
    }

    /// Returns the figures, and begins a new second. Must be called once a second.
    pub(crate) fn tick(&self) -> (Totals, Latency) {
        let mut state = self.state();
        let mut latencies: Vec<f64> = state.latencies.iter().flatten().copied().collect();
        state.latencies.push_back(Vec::new());
        if state.latencies.len() > SECONDS {
            state.latencies.pop_front();
        }
        let totals = state.totals;
        drop(state);
        latencies.sort_unstable_by(f64::total_cmp);
        let latency = Latency {
            p50: percentile(&latencies, 50),
            p99: percentile(&latencies, 99),
        };
        (totals, latency)
    }
}

/// Returns the value that `percent` of the sorted values do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}
