//! What an operation may know about its try.

use std::time::Duration;
use tokio::time::Instant;

/// One try of an operation, as [`with_retry`](crate::with_retry) hands it to the operation.
///
/// ```
/// use optilock::{Attempt, Conflict};
///
/// async fn sell(attempt: Attempt) -> Result<&'static str, Conflict> {
///     Ok(if attempt.locking() { "SELECT .. FOR UPDATE" } else { "SELECT .." })
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// // A test calls its operation without a retry around it.
/// assert_eq!(sell(Attempt::FIRST).await.unwrap(), "SELECT ..");
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub(super) number: u32,
    pub(super) last: bool,
    pub(super) locking: bool,
    pub(super) since: Option<Instant>,
}

impl Attempt {
    /// The first of several attempts, not locking.
    pub const FIRST: Self = Self {
        number: 1,
        last: false,
        locking: false,
        since: None,
    };

    /// Which attempt it is, from 1.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Whether the policy allows no attempt after this one.
    ///
    /// The deadline may make an earlier attempt the last one; that is not known in advance.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.last
    }

    /// The time since the first attempt started.
    ///
    /// Zero during the first attempt of [`with_retry`](crate::with_retry) and
    /// [`with_retry_mut`](crate::with_retry_mut), which read the clock only when that attempt has to
    /// wait or has failed.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Whether enough conflicts were seen that this attempt should lock what it reads.
    ///
    /// An operation that heeds it (`SELECT .. FOR UPDATE` instead of `SELECT`) waits in the
    /// database's queue instead of losing once more. See
    /// [`RetryPolicy::with_locking_after`](crate::RetryPolicy::with_locking_after).
    #[must_use]
    pub const fn locking(&self) -> bool {
        self.locking
    }
}
