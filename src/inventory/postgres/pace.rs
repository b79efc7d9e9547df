use std::time::Duration;

use tokio::time::{Instant, sleep_until};

const CATCH_UP: Duration = Duration::from_secs(1);

/// How fast a clean-up goes: it rests between batches, so that sales have their share of the server.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: Option<u32>,
    due: Instant,
}

impl Pace {
    /// So many per second, at least one; `None` for as many as can be.
    pub(super) fn of(per_second: Option<u32>) -> Self {
        Self {
            per_second,
            due: Instant::now(),
        }
    }

    /// How many to do at once, of so many at most: a second's worth.
    pub(super) fn batch(&self, most: u64) -> u64 {
        self.per_second
            .map_or(most, |pace| most.min(pace.max(1).into()))
    }

    /// After so many more, until it is their time. Nothing is held meanwhile.
    pub(super) async fn rest(&mut self, done: u64) {
        let Some(per_second) = self.per_second else {
            return;
        };
        let nanos = u128::from(done) * 1_000_000_000 / u128::from(per_second.max(1));
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        // Time that was lost is made up for, but not more than a second of it.
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
    async fn it_rests_until_it_is_time() {
        let began = Instant::now();
        let mut pace = Pace::of(Some(20_000));
        for _ in 0..100 {
            pace.rest(500).await;
        }
        assert_eq!(began.elapsed(), Duration::from_millis(2_500));
        // Who was held up for long makes up for a second of it.
        tokio::time::advance(Duration::from_secs(60)).await;
        let began = Instant::now();
        for _ in 0..100 {
            pace.rest(500).await;
        }
        assert_eq!(began.elapsed(), Duration::from_millis(1_500));
        assert_eq!(
            (pace.batch(2_000), Pace::of(Some(10)).batch(2_000)),
            (2_000, 10)
        );
        let began = Instant::now();
        Pace::of(None).rest(u64::MAX).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
