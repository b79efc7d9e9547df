//! What an operation may know about its attempt.

use std::time::Duration;
use tokio::time::Instant;

/// One attempt of an operation, as [`with_retry`](crate::with_retry) passes it to the operation.
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
    /// The first of several attempts, without locking.
    pub const FIRST: Self = Self {
        number: 1,
        last: false,
        locking: false,
        since: None,
    };

    /// Returns the number of this attempt, from 1.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Returns whether the policy allows no attempt after this one.
    ///
    /// If the deadline ends the retry earlier, this is `false` for the last attempt.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.last
    }

    /// Returns the time since the first attempt started.
    ///
    /// Zero during the first attempt of [`with_retry`](crate::with_retry) and
    /// [`with_retry_mut`](crate::with_retry_mut), which read the clock only when that attempt returns
    /// pending or has failed.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Returns whether this attempt should lock the rows that it reads, after several conflicts.
    ///
    /// A locking attempt (`SELECT .. FOR UPDATE` instead of `SELECT`) waits in the database's queue
    /// instead of meeting another conflict. See
    /// [`RetryPolicy::with_locking_after`](crate::RetryPolicy::with_locking_after).
    #[must_use]
    pub const fn locking(&self) -> bool {
        self.locking
    }
}
