//! How checkouts went lately, for the dashboard.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use optilock::inventory::{Error, Order};
use serde::Serialize;

/// So many seconds are looked back.
const SECONDS: usize = 10;

#[derive(Debug)]
pub struct Pulse(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    totals: Totals,
    /// Milliseconds that checkouts took, in each of the last seconds; this one at the end.
    took: VecDeque<Vec<f64>>,
}

/// Since the start of the program.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Totals {
    pub checkouts: u64,
    pub sold: u64,
    /// For want of stock.
    pub refused: u64,
}

/// In milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    p50: Option<f64>,
    p99: Option<f64>,
}

impl Pulse {
    pub fn new() -> Self {
        let took = VecDeque::from([Vec::new()]);
        let totals = Totals::default();
        Self(Mutex::new(State { totals, took }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn checkout(&self, took: Duration, answer: &Result<Order, Error>) {
        let mut state = self.state();
        state.totals.checkouts += 1;
        match answer {
            Ok(order) if !order.replayed => state.totals.sold += 1,
            Err(error) if error.is_insufficient_stock() => state.totals.refused += 1,
            _ => {}
        }
        if let Some(now) = state.took.back_mut() {
            now.push(took.as_secs_f64() * 1_000.0);
        }
    }

    /// Once a second.
    pub fn tick(&self) -> (Totals, Latency) {
        let mut state = self.state();
        let mut took: Vec<f64> = state.took.iter().flatten().copied().collect();
        state.took.push_back(Vec::new());
        if state.took.len() > SECONDS {
            state.took.pop_front();
        }
        let totals = state.totals;
        drop(state);
        took.sort_unstable_by(f64::total_cmp);
        let latency = Latency {
            p50: percentile(&took, 50),
            p99: percentile(&took, 99),
        };
        (totals, latency)
    }
}

/// What so many of a hundred did not exceed.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}
