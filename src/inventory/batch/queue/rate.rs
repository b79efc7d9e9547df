use std::time::Duration;

/// The measured service rate of a queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    /// Requests per second, averaged over the last batches; `None` before the first one.
    per_second: Option<f64>,
}

impl Rate {
    /// Records that a batch of `count` requests took this time.
    pub(super) fn record(&mut self, count: usize, took: Duration) {
        let rate = count as f64 / took.as_secs_f64().max(1e-6);
        let averaged = self.per_second.map(|before| before * 0.9 + rate * 0.1);
        self.per_second = Some(averaged.unwrap_or(rate));
    }

    /// Returns when this number of requests will be served: 1 ms to 60 s, and 1 s before the first batch, when the rate
    /// is unknown.
    pub(super) fn drained_in(&self, queued: usize) -> Duration {
        let seconds = self.per_second.map_or(1.0, |rate| queued as f64 / rate);
        Duration::from_secs_f64(seconds.clamp(0.001, 60.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_an_average_of_batches() {
        let mut rate = Rate::default();
        assert_eq!(rate.drained_in(7), Duration::from_secs(1));
        rate.record(1, Duration::from_millis(100)); // ten per second
        assert_eq!(rate.drained_in(2), Duration::from_millis(200));
        rate.record(6, Duration::from_millis(100));
        assert_eq!(rate.drained_in(15), Duration::from_secs(1));
        assert_eq!(rate.drained_in(usize::MAX), Duration::from_secs(60));
        assert_eq!(rate.drained_in(0), Duration::from_millis(1));
    }
}
