//! Numbers near the limits.

use std::time::Duration;

use proptest::{
    num,
    prelude::{Just, Strategy, any},
    prop_oneof,
    sample::select,
};

const LIMITS: [i64; 10] = [
    0,
    1,
    100,
    1_000,
    1_000_000_000,
    1_000_000_000_000,
    i32::MAX as i64,
    u32::MAX as i64,
    1 << 53,
    i64::MAX,
];

/// Any number, often one near a limit or small.
pub fn numbers() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![
        4 => (select(&LIMITS[..]), -2..=2_i64).prop_map(|(limit, by)| limit.saturating_add(by)),
        1 => (select(&LIMITS[..]), -2..=2_i64).prop_map(|(limit, by)| (-limit).saturating_sub(by)),
        1 => Just(i64::MIN),
        2 => -10..=10_i64,
        2 => num::i64::ANY,
    ]
}

/// Any duration, often one near a limit.
pub fn durations() -> impl Strategy<Value = Duration> + Clone {
    prop_oneof![
        4 => numbers().prop_map(|it| Duration::from_micros(it.unsigned_abs())),
        2 => numbers().prop_map(|it| Duration::from_secs(it.unsigned_abs())),
        1 => any::<(u64, u32)>().prop_map(|(secs, nanos)| {
            Duration::new(secs.min(u64::MAX - 5), nanos)
        }),
        1 => select(vec![Duration::ZERO, Duration::MAX, Duration::from_nanos(999)]),
    ]
}
