//! The delays between attempts.

use rand::{Rng, RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use std::time::Duration;

/// The delays of a [`RetryPolicy`](crate::RetryPolicy): growing, jittered, without end.
///
/// Every delay is between zero and the policy's maximum, whatever the settings.
///
/// ```
/// use optilock::{Jitter, RetryPolicy};
/// use std::time::Duration;
///
/// let policy = RetryPolicy::new().with_jitter(Jitter::None);
/// let delays: Vec<Duration> = policy.backoff().take(3).collect();
/// assert_eq!(delays, [5, 10, 20].map(Duration::from_millis));
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    delays: Delays,
    position: Position,
}

impl Backoff {
    pub(super) fn new(delays: Delays) -> Self {
        let position = Position::new(&delays);
        Self { delays, position }
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.position.next(&self.delays))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

/// How delays are spread, so that conflicting writers do not retry in step.
///
/// The formulas are those of the AWS Architecture Blog, "Exponential Backoff and Jitter" (2015),
/// with the growing delay `d = min(cap, base * factor^n)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Jitter {
    /// Between 0 and `d`. Causes the least work in total; the default.
    #[default]
    Full,
    /// Between `d / 2` and `d`. Keeps a minimum delay.
    Equal,
    /// Between `base` and three times the previous delay, at most `cap`.
    Decorrelated,
    /// Exactly `d`. For a single writer, or for tests.
    None,
}

/// The settings of a sequence of delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delays {
    pub(super) base: Duration,
    pub(super) max: Duration,
    pub(super) factor: u32,
    pub(super) jitter: Jitter,
    pub(super) seed: Option<u64>,
}

/// The position in a sequence of delays. Separate from the settings, so that the future of a retry,
/// which borrows its policy, stays small.
#[derive(Clone, Debug)]
pub(super) struct Position {
    /// The next delay before jitter; for decorrelated jitter, the previous delay.
    step: Duration,
    /// Seeds the generator of the next draw: 8 bytes instead of a generator's 32.
    seed: u64,
}

impl Position {
    pub(super) fn new(delays: &Delays) -> Self {
        Self {
            step: delays.base,
            seed: delays.seed.unwrap_or_else(rand::random),
        }
    }

    pub(super) fn next(&mut self, delays: &Delays) -> Duration {
        let cap = delays.max;
        let step = self.step.min(cap);
        self.step = step.saturating_mul(delays.factor);
        match delays.jitter {
            Jitter::Full => self.between(Duration::ZERO, step),
            Jitter::Equal => self.between(step / 2, step),
            Jitter::Decorrelated => {
                let base = delays.base.min(cap);
                let delay = self
                    .between(base, step.saturating_mul(3).max(base))
                    .min(cap);
                self.step = delay;
                delay
            }
            Jitter::None => step,
        }
    }

    fn between(&mut self, low: Duration, high: Duration) -> Duration {
        // A named generator: a seed gives the same delays on every platform.
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        self.seed = generator.next_u64();
        generator.random_range(low..=high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RetryPolicy;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn seeded(jitter: Jitter) -> RetryPolicy {
        RetryPolicy::new().with_jitter(jitter).with_seed(7)
    }

    #[test]
    fn delays_grow_to_the_cap() {
        let delays: Vec<_> = seeded(Jitter::None).backoff().take(8).collect();
        assert_eq!(delays, [5, 10, 20, 40, 80, 160, 250, 250].map(ms));
        let level = seeded(Jitter::None).with_factor(0);
        assert!(level.backoff().take(5).all(|delay| delay == ms(5)));
    }

    #[test]
    fn delays_have_no_end() {
        assert_eq!(RetryPolicy::new().backoff().size_hint(), (usize::MAX, None));
    }

    #[test]
    fn equal_jitter_keeps_half_of_the_delay() {
        let growing = seeded(Jitter::None).backoff();
        for (delay, full) in seeded(Jitter::Equal).backoff().zip(growing).take(1_000) {
            assert!(delay >= full / 2 && delay <= full, "{delay:?} of {full:?}");
        }
    }

    #[test]
    fn decorrelated_jitter_is_at_most_three_times_the_previous_delay() {
        let mut before = ms(5);
        for delay in seeded(Jitter::Decorrelated).backoff().take(1_000) {
            assert!(delay >= ms(5) && delay <= before * 3, "{delay:?}");
            before = delay;
        }
        assert!(
            seeded(Jitter::Decorrelated)
                .backoff()
                .take(100)
                .any(|delay| delay > ms(50))
        );
    }

    #[test]
    fn full_jitter_spreads_evenly() {
        let policy = seeded(Jitter::Full).with_base_delay(ms(250));
        let mut quarters = [0; 4];
        for delay in policy.backoff().take(4_000) {
            quarters[((delay.as_nanos() * 4 / ms(250).as_nanos()) as usize).min(3)] += 1;
        }
        assert!(
            quarters.iter().all(|count| (900..1_100).contains(count)),
            "{quarters:?}"
        );
    }

    #[test]
    fn a_seed_gives_the_same_delays_each_time() {
        for jitter in [Jitter::Full, Jitter::Equal, Jitter::Decorrelated] {
            let delays = |seed| seeded(jitter).with_seed(seed).backoff().take(20);
            assert!(delays(7).eq(delays(7)));
            assert!(delays(7).ne(delays(8)));
            let unseeded = || RetryPolicy::new().with_jitter(jitter).backoff().take(20);
            assert!(unseeded().ne(unseeded()));
        }
    }

    #[test]
    fn a_seed_gives_the_same_delays_on_every_platform() {
        let nanos: Vec<_> = seeded(Jitter::Full)
            .backoff()
            .take(3)
            .map(|d| d.as_nanos())
            .collect();
        assert_eq!(nanos, [860_579, 7_883_875, 17_169_170]);
    }
}
