use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The most time without work that is caught up on.
const CATCH_UP: Duration = Duration::from_secs(1);

/// The rate limit of a clean-up, which pauses between batches, so that sales have their share of the server.
#[derive(Debug)]
pub(crate) struct RateLimit {
    per_second: Option<u32>,
    due: Instant,
}

impl RateLimit {
    /// Creates a limit in rows per second, at least 1; `None` for no limit.
    pub(crate) fn new(per_second: Option<u32>) -> Self {
        Self {
            per_second,
            due: Instant::now(),
        }
    }

    /// Waits until `done` more rows are within the limit. No lock is held during the wait.
    pub(crate) async fn rest(&mut self, done: u64) {
        let Some(per_second) = self.per_second else {
            return;
        };
        let nanos = u128::from(done) * 1_000_000_000 / u128::from(per_second.max(1));
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        let now = Instant::now();
        let since = self.due.max(now.checked_sub(CATCH_UP).unwrap_or(now));
        self.due = since + Duration::from_nanos(nanos);
        if now < self.due {
            sleep_until(self.due).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn batches_wait_for_the_rate_limit() {
        let began = Instant::now();
        let mut limit = RateLimit::new(Some(20_000));
        for _ in 0..100 {
            limit.rest(500).await;
        }
        assert_eq!(began.elapsed(), Duration::from_millis(2_500));
        // After a long interruption one second is caught up on.
        tokio::time::advance(Duration::from_secs(60)).await;
        let began = Instant::now();
        for _ in 0..100 {
            limit.rest(500).await;
        }
        assert_eq!(began.elapsed(), Duration::from_millis(1_500));
        let began = Instant::now();
        RateLimit::new(None).rest(u64::MAX).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
