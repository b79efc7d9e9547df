use std::time::Duration;

/// A histogram of durations, with buckets an eighth of an octave wide: a quantile is at most an eighth too
/// high.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    buckets: [u32; Self::BUCKETS],
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            buckets: [0; Self::BUCKETS],
        }
    }
}

impl Latency {
    /// The number of buckets: up to 2^28 µs, about four and a half minutes. Longer durations are counted in
    /// the last bucket.
    const BUCKETS: usize = 8 * 26;

    pub(crate) fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket(micros).min(Self::BUCKETS - 1);
        self.buckets[bucket] = self.buckets[bucket].saturating_add(1);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (own, other) in self.buckets.iter_mut().zip(&other.buckets) {
            *own = own.saturating_add(*other);
        }
    }

    /// Returns the duration that 99 of 100 did not exceed; `None` when nothing was recorded.
    pub(crate) fn p99(&self) -> Option<Duration> {
        let count: u64 = self.buckets.iter().map(|count| u64::from(*count)).sum();
        let rank = (count * 99).div_ceil(100);
        let mut seen = 0;
        let at = self.buckets.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank && seen > 0
        })?;
        Some(Duration::from_micros(largest(at)))
    }
}

fn bucket(micros: u64) -> usize {
    let bucket = match micros {
        0..8 => micros,
        _ => {
            let octave = u64::from(micros.ilog2());
            (octave - 2) * 8 + ((micros >> (octave - 3)) & 7)
        }
    };
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

fn largest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    match bucket {
        0..8 => bucket,
        _ => ((9 + bucket % 8) << (bucket / 8 - 1)) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_an_eighth_wide() {
        // All values up to 2^16; above, values around each bound of a bucket.
        let bounds = (0..Latency::BUCKETS).map(largest);
        let near = bounds.flat_map(|bound| [bound.saturating_sub(1), bound, bound + 1]);
        for micros in (0..1 << 16).chain(near).filter(|micros| *micros < 1 << 28) {
            let reported = largest(bucket(micros));
            assert!(
                reported >= micros && reported <= micros + micros / 8,
                "{micros} is reported as {reported}"
            );
        }
    }

    #[test]
    fn p99_is_what_99_of_100_did_not_exceed() {
        let mut latency = Latency::default();
        assert_eq!(latency.p99(), None);
        for _ in 0..99 {
            latency.record(Duration::from_micros(5));
        }
        latency.record(Duration::from_secs(3_600));
        assert_eq!(latency.p99(), Some(Duration::from_micros(5)));
        latency.record(Duration::from_secs(3_600));
        assert_eq!(latency.p99(), Some(Duration::from_micros((1 << 28) - 1)));
        let mut both = Latency::default();
        both.add(&latency);
        both.add(&latency);
        assert_eq!(both.p99(), latency.p99());
    }
}
