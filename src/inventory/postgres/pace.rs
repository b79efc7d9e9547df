use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How fast a clean-up goes: it rests between batches, so that sales have their share of the server.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: Option<u32>,
    began: Instant,
    done: u64,
}

impl Pace {
    /// So many per second, at least one; `None` for as many as can be.
    pub(super) fn of(per_second: Option<u32>) -> Self {
        Self {
            per_second,
            began: Instant::now(),
            done: 0,
        }
    }

    /// After so many more, until it is their time. Nothing is held meanwhile.
    pub(super) async fn rest(&mut self, done: u64) {
        let Some(per_second) = self.per_second else {
            return;
        };
        self.done += done;
        let nanos = u128::from(self.done) * 1_000_000_000 / u128::from(per_second.max(1));
        let due = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        if self.began.elapsed() < due {
            sleep_until(self.began + due).await;
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
        // Who was held up does not rest.
        tokio::time::advance(Duration::from_secs(1)).await;
        let began = Instant::now();
        pace.rest(500).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        Pace::of(None).rest(u64::MAX).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
