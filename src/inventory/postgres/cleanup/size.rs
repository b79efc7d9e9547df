use std::time::Duration;

/// The aimed duration of a batch: buyers of its products wait for as long.
const AIM: Duration = Duration::from_millis(50);
const LEAST: u64 = 50;
const MOST: u64 = 2_000;
const FIRST: u64 = 200;

/// The number of rows in the next batch, by the duration of the last one.
#[derive(Debug)]
pub(crate) struct Size {
    rows: u64,
    most: u64,
}

impl Size {
    /// Creates a size of at most `limit` rows.
    pub(crate) fn new(limit: Option<u32>) -> Self {
        let most = limit.map_or(MOST, |limit| MOST.min(limit.max(1).into()));
        Self {
            rows: FIRST.min(most),
            most,
        }
    }

    pub(crate) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Records that a batch of `rows` took `time`.
    pub(crate) fn took(&mut self, rows: u64, time: Duration) {
        if rows == 0 {
            return;
        }
        let fit = u128::from(rows) * AIM.as_micros() / time.as_micros().max(1);
        let fit = u64::try_from(fit).unwrap_or(u64::MAX);
        let fit = fit.clamp(self.rows / 2, self.rows * 2);
        self.rows = fit.clamp(LEAST.min(self.most), self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_follows_the_duration_of_batches() {
        let mut size = Size::new(None);
        let sizes = |size: &mut Size, rate: u64| -> Vec<u64> {
            let mut took = || {
                let time = Duration::from_micros(size.rows() * 1_000_000 / rate);
                size.took(size.rows(), time);
                size.rows()
            };
            (0..6).map(|_| took()).collect()
        };
        // 30,000 rows per second are 1,500 in 50 ms.
        assert_eq!(
            sizes(&mut size, 30_000),
            [400, 800, 1_500, 1_500, 1_500, 1_500]
        );
        assert_eq!(sizes(&mut size, 2_000), [750, 375, 187, 100, 100, 100]);
        assert_eq!(sizes(&mut size, 10), [50; 6]);
        assert_eq!(sizes(&mut size, 1_000_000)[5], MOST);
        size.took(0, Duration::from_secs(9));
        assert_eq!(size.rows(), MOST);
        let mut few = Size::new(Some(10));
        assert_eq!((few.rows(), sizes(&mut few, 1)[5]), (10, 10));
    }
}
