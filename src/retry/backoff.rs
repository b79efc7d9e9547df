//! The delays between attempts.

use super::policy::{Jitter, RetryPolicy};
use rand::{Rng, RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use std::time::Duration;

/// The delays of a [`RetryPolicy`]: growing, jittered, without end.
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
    policy: RetryPolicy,
    pace: Pace,
}

impl Backoff {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        let pace = Pace::new(&policy);
        Self { policy, pace }
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.pace.next(&self.policy))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

/// Where a sequence of delays stands. Kept apart from the policy, so that the future of a retry,
/// which borrows its policy, stays small.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// The next delay before jitter; for decorrelated jitter, the delay before.
    step: Duration,
    /// Seeds the generator of the next draw: 8 bytes instead of a generator's 32.
    seed: u64,
}

impl Pace {
    pub(super) fn new(policy: &RetryPolicy) -> Self {
        Self {
            step: policy.base_delay,
            seed: policy.seed.unwrap_or_else(rand::random),
        }
    }

    pub(super) fn next(&mut self, policy: &RetryPolicy) -> Duration {
        let cap = policy.max_delay;
        let step = self.step.min(cap);
        self.step = step.saturating_mul(policy.factor);
        match policy.jitter {
            Jitter::Full => self.between(Duration::ZERO, step),
            Jitter::Equal => self.between(step / 2, step),
            Jitter::Decorrelated => {
                let base = policy.base_delay.min(cap);
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
    fn grows_to_the_cap() {
        let delays: Vec<_> = seeded(Jitter::None).backoff().take(8).collect();
        assert_eq!(delays, [5, 10, 20, 40, 80, 160, 250, 250].map(ms));
        let level = seeded(Jitter::None).with_factor(0);
        assert!(level.backoff().take(5).all(|delay| delay == ms(5)));
    }

    #[test]
    fn equal_jitter_keeps_half() {
        let growing = seeded(Jitter::None).backoff();
        for (delay, full) in seeded(Jitter::Equal).backoff().zip(growing).take(1_000) {
            assert!(delay >= full / 2 && delay <= full, "{delay:?} of {full:?}");
        }
    }

    #[test]
    fn decorrelated_jitter_stays_within_thrice_the_delay_before() {
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
    fn a_seed_repeats_itself() {
        for jitter in [Jitter::Full, Jitter::Equal, Jitter::Decorrelated] {
            let delays = |seed| seeded(jitter).with_seed(seed).backoff().take(20);
            assert!(delays(7).eq(delays(7)));
            assert!(delays(7).ne(delays(8)));
            let unseeded = || RetryPolicy::new().with_jitter(jitter).backoff().take(20);
            assert!(unseeded().ne(unseeded()));
        }
    }

    #[test]
    fn a_seed_means_the_same_on_every_platform() {
        let nanos: Vec<_> = seeded(Jitter::Full)
            .backoff()
            .take(3)
            .map(|d| d.as_nanos())
            .collect();
        assert_eq!(nanos, [860_579, 7_883_875, 17_169_170]);
    }
}
