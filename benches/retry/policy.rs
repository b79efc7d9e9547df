//! The same policy for each library: 12 attempts, delays from 5 ms, doubled up to 250 ms.

use std::time::Duration;

use backon::{ConstantBuilder, ExponentialBuilder};
use optilock::RetryPolicy;
use tokio_retry2::strategy::{ExponentialFactorBackoff, FixedInterval};

pub(crate) const OPTILOCK: RetryPolicy = RetryPolicy::new();

pub(crate) const BACKON: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(5))
    .with_max_delay(Duration::from_millis(250))
    .with_factor(2.0)
    .with_max_times(11);

pub(crate) fn tokio_retry2() -> impl Iterator<Item = Duration> {
    ExponentialFactorBackoff::from_millis(5, 2.0)
        .max_delay(Duration::from_millis(250))
        .take(11)
}

pub(crate) const OPTILOCK_NO_DELAY: RetryPolicy = OPTILOCK.with_base_delay(Duration::ZERO);

pub(crate) const BACKON_NO_DELAY: ConstantBuilder = ConstantBuilder::new()
    .with_delay(Duration::ZERO)
    .with_max_times(11);

pub(crate) fn tokio_retry2_no_delay() -> impl Iterator<Item = Duration> {
    FixedInterval::new(Duration::ZERO).take(11)
}
