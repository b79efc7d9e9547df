//! The delays of a policy, whatever its settings.

use std::time::Duration;

use optilock::{Jitter, RetryPolicy};
use proptest::prelude::*;

const JITTERS: [Jitter; 4] = [
    Jitter::Full,
    Jitter::Equal,
    Jitter::Decorrelated,
    Jitter::None,
];

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::from_nanos(1)),
        Just(Duration::MAX),
        (0..10_000_u64).prop_map(Duration::from_millis),
        (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(s, n)| Duration::new(s, n)),
    ]
}

fn factor() -> impl Strategy<Value = u32> {
    prop_oneof![0..4_u32, Just(u32::MAX), any::<u32>()]
}

proptest! {
    #[test]
    fn every_delay_is_within_the_cap(
        seed: u64, base in duration(), cap in duration(), factor in factor(), jitter in 0..4_usize,
    ) {
        let policy = RetryPolicy::new()
            .with_seed(seed)
            .with_base_delay(base)
            .with_max_delay(cap)
            .with_factor(factor)
            .with_jitter(JITTERS[jitter]);
        for delay in policy.backoff().take(10_000) {
            prop_assert!(delay <= cap, "{:?} above {:?}", delay, cap);
        }
    }
}
