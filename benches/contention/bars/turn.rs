//! One turn of a candidate: callers that repeat an operation until the time is over.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

/// The result of one turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) done: u64,
    pub(crate) elapsed: Duration,
    /// Latencies of one run of the operation: half of the runs, and 99 of 100, were faster.
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Turn {
    /// Operations per second.
    pub(crate) fn rate(&self) -> f64 {
        self.done as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn new(done: u64, elapsed: Duration, mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        let percentile = |per_cent: usize| {
            let rank = (latencies.len() * per_cent).div_ceil(100);
            rank.checked_sub(1)
                .map_or(Duration::ZERO, |at| latencies[at])
        };
        Self {
            done,
            elapsed,
            p50: percentile(50),
            p99: percentile(99),
        }
    }
}

/// Runs `operation` in as many tasks as there are callers. It returns how many operations it made; with 0 its
/// caller ends early.
pub(crate) async fn take<F, Fut>(callers: u64, window: Duration, operation: F) -> Turn
where
    F: Fn() -> Fut + Clone + Send + 'static,
    Fut: Future<Output = u64> + Send,
{
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let operation = operation.clone();
        tasks.spawn(async move {
            let (mut done, mut latencies) = (0, Vec::new());
            let mut now = Instant::now();
            while now < start + window {
                let made = operation().await;
                if made == 0 {
                    break;
                }
                done += made;
                let end = Instant::now();
                latencies.push(end - now);
                now = end;
            }
            (done, latencies)
        });
    }
    let callers = tasks.join_all().await;
    let elapsed = start.elapsed();
    let done = callers.iter().map(|(done, _)| done).sum();
    let latencies = callers.into_iter().flat_map(|(_, latencies)| latencies);
    Turn::new(done, elapsed, latencies.collect())
}
