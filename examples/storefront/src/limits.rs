//! The rate limit of each user.

use std::num::NonZeroU32;

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};

use crate::problem::Problem;

/// Requests per second of one user.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// The rate limits, by the user's name.
#[derive(Debug)]
pub(crate) struct Limits(DefaultKeyedRateLimiter<String>);

impl Limits {
    pub(crate) fn new() -> Self {
        Self(RateLimiter::keyed(Quota::per_second(PER_SECOND)))
    }

    /// Counts a request of the user.
    ///
    /// # Errors
    ///
    /// `too-many-requests`, with the time to wait.
    pub(crate) fn check(&self, user: &str) -> Result<(), Problem> {
        let now = DefaultClock::default().now();
        self.0
            .check_key(&user.to_owned())
            .map_err(|not_until| Problem::too_many_requests(not_until.wait_time_from(now)))
    }

    /// Forgets users without recent requests.
    pub(crate) fn clean_up(&self) {
        self.0.retain_recent();
    }
}
