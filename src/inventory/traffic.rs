//! The outcomes of the checkouts of the last hour, in this process.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::model::{Error, Order, rates::Rates};
use crate::Attempt;

/// Counts checkouts per minute. The counts of a window contain only the checkouts of that window.
#[derive(Debug)]
pub(crate) struct Traffic {
    since: Instant,
    minutes: Mutex<VecDeque<Minute>>,
}

#[derive(Debug, Default)]
struct Minute {
    /// The index of the minute since the start.
    number: u64,
    rates: Rates,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            minutes: Mutex::default(),
        }
    }
}

impl Traffic {
    /// The number of minutes that are kept.
    const MINUTES: u64 = 60;

    /// Returns the clock of a checkout that begins now.
    pub(crate) fn clock(self: &Arc<Self>) -> Clock {
        Clock {
            traffic: Arc::clone(self),
            began: Instant::now(),
            attempts: AtomicU32::new(1),
            stopped: AtomicBool::new(false),
        }
    }

    /// Returns the counts of the whole minutes of this window and of the current one: at most an hour, and not
    /// before the start.
    pub(crate) fn over(&self, window: Duration) -> Rates {
        let asked = window.as_secs().div_ceil(60).clamp(1, Self::MINUTES);
        let now = self.since.elapsed();
        let first = (now.as_secs() / 60).saturating_sub(asked - 1);
        let mut sum = Rates {
            covers: now - Duration::from_secs(first * 60),
            ..Rates::default()
        };
        let minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        for Minute { rates, .. } in minutes.iter().filter(|minute| minute.number >= first) {
            sum.checkouts += rates.checkouts;
            sum.attempts += rates.attempts;
            sum.conflicts += rates.conflicts;
            sum.latency.add(&rates.latency);
        }
        sum
    }

    fn record(&self, took: Duration, attempts: u32, conflict: bool) {
        let number = self.since.elapsed().as_secs() / 60;
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        if minutes.back().is_none_or(|last| last.number < number) {
            minutes.retain(|minute| minute.number + Self::MINUTES > number);
            minutes.push_back(Minute {
                number,
                rates: Rates::default(),
            });
        }
        // A caller that was delayed before the lock counts for the current minute.
        if let Some(Minute { rates, .. }) = minutes.back_mut() {
            rates.checkouts += 1;
            rates.attempts += u64::from(attempts);
            rates.conflicts += u64::from(conflict);
            rates.latency.record(took);
        }
    }
}

/// Measures one checkout.
#[derive(Debug)]
pub(crate) struct Clock {
    traffic: Arc<Traffic>,
    began: Instant,
    attempts: AtomicU32,
    stopped: AtomicBool,
}

/// Records a dropped checkout as well: its caller has waited.
impl Drop for Clock {
    fn drop(&mut self) {
        self.record(false);
    }
}

impl Clock {
    pub(crate) fn attempt(&self, attempt: Attempt) {
        self.attempts.store(attempt.number(), Relaxed);
    }

    /// Records the answer, and stops.
    pub(crate) fn stop(&self, answer: &Result<Order, Error>) {
        self.record(answer.as_ref().is_err_and(Error::is_conflict));
    }

    fn record(&self, conflict: bool) {
        if !self.stopped.swap(true, Relaxed) {
            let (took, attempts) = (self.began.elapsed(), self.attempts.load(Relaxed));
            self.traffic.record(took, attempts, conflict);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_window_contains_its_minutes_and_nothing_before_them() {
        let traffic = Traffic::default();
        for minute in 0..100 {
            traffic.record(Duration::from_millis(minute), 2, minute % 2 == 0);
            advance(MINUTE).await;
        }
        // Half a minute into minute 100: nothing was recorded in it yet.
        advance(MINUTE / 2).await;
        let all = traffic.over(Duration::MAX);
        assert_eq!((all.checkouts, all.attempts, all.conflicts), (59, 118, 29));
        assert_eq!(all.covers, 59 * MINUTE + MINUTE / 2);
        let last = traffic.over(MINUTE * 5);
        assert_eq!((last.checkouts, last.conflicts), (4, 2));
        assert_eq!(last.covers, 4 * MINUTE + MINUTE / 2);
        assert_eq!(traffic.over(Duration::ZERO).checkouts, 0);
        assert!(traffic.minutes.lock().unwrap().len() <= 61);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_covers_no_time_before_the_start() {
        let traffic = Arc::new(Traffic::default());
        let clock = traffic.clock();
        advance(Duration::from_secs(3)).await;
        clock.attempt(Attempt::FIRST);
        clock.stop(&Err(Error::invalid("request", "is a test")));
        let rates = traffic.over(MINUTE * 10);
        assert_eq!(rates.covers, Duration::from_secs(3));
        assert_eq!((rates.checkouts, rates.conflicts), (1, 0));
        let p99 = rates.latency.p99().unwrap();
        assert!(p99 >= Duration::from_secs(3) && p99 < Duration::from_millis(3_400));
    }
}
