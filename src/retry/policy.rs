//! How often, how long, and with what delays to retry.

use super::{
    backoff::Backoff,
    budget::{RetryBudget, Shared},
};
use std::time::Duration;

/// How often, how long, and with what delays to retry.
///
/// # Default
///
/// | setting | value |
/// |---|---|
/// | attempts, the first included | 12 |
/// | first retry | immediate, if the first attempt met a conflict |
/// | delays after that | full jitter, base 5 ms, factor 2, at most 250 ms |
/// | deadline, the operation's own time included | 3 s |
/// | locking | after 2 conflicts |
/// | unknown outcomes | not retried |
/// | budget for a busy system, shared by operations | none |
/// | seed | none: random |
/// | label in events | `"operation"` |
///
/// ```
/// use optilock::{Jitter, RetryPolicy};
/// use std::time::Duration;
///
/// const PATIENT: RetryPolicy = RetryPolicy::new()
///     .with_max_attempts(20)
///     .with_jitter(Jitter::Equal)
///     .with_deadline(Some(Duration::from_secs(10)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    pub(super) max_attempts: u32,
    pub(super) base_delay: Duration,
    pub(super) max_delay: Duration,
    pub(super) factor: u32,
    pub(super) jitter: Jitter,
    pub(super) deadline: Option<Duration>,
    pub(super) immediate_first_retry: bool,
    pub(super) locking_after: Option<u32>,
    pub(super) seed: Option<u64>,
    pub(super) unknown_retried: bool,
    pub(super) budget: Option<Shared>,
    pub(super) label: &'static str,
}

const UNLABELLED: &str = "operation";

impl RetryPolicy {
    /// The defaults, as listed [above](Self#default).
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_attempts: 12,
            base_delay: Duration::from_millis(5),
            max_delay: Duration::from_millis(250),
            factor: 2,
            jitter: Jitter::Full,
            deadline: Some(Duration::from_secs(3)),
            immediate_first_retry: true,
            locking_after: Some(2),
            seed: None,
            unknown_retried: false,
            budget: None,
            label: UNLABELLED,
        }
    }

    /// At most `attempts` attempts, the first included; 0 counts as 1.
    #[must_use]
    pub const fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// The first delay, before jitter; the following ones grow from it.
    ///
    /// With zero there are no delays. tokio's timer works in milliseconds: anything above zero
    /// takes at least one.
    #[must_use]
    pub const fn with_base_delay(mut self, delay: Duration) -> Self {
        self.base_delay = delay;
        self
    }

    /// No delay is longer than this one, unless the busy system asks for it
    /// ([`Class::Busy`](crate::Class::Busy)).
    #[must_use]
    pub const fn with_max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// How much longer each delay is than the one before; 0 counts as 1, which is no growth.
    ///
    /// [`Jitter::Decorrelated`] has a factor of its own.
    #[must_use]
    pub const fn with_factor(mut self, factor: u32) -> Self {
        self.factor = if factor == 0 { 1 } else { factor };
        self
    }

    /// How delays are spread, so that those who met do not meet again.
    #[must_use]
    pub const fn with_jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Limits the time from the start of the first attempt until the last one begins; `None` for
    /// no limit.
    ///
    /// The time that the operation takes counts, the first attempt's too. A running attempt is never
    /// interrupted: the whole takes at most the deadline and one attempt. If the next delay would
    /// end past the deadline, the retry stops at once instead of sleeping first. With zero there is
    /// no retry at all.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Option<Duration>) -> Self {
        self.deadline = deadline;
        self
    }

    /// The limit that [`with_deadline`](Self::with_deadline) set.
    #[cfg(feature = "inventory")]
    pub(crate) const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Whether a conflict of the first attempt is retried without delay.
    ///
    /// It mostly finds the other writer gone. A busy system is never retried at once.
    #[must_use]
    pub const fn with_immediate_first_retry(mut self, yes: bool) -> Self {
        self.immediate_first_retry = yes;
        self
    }

    /// [`Attempt::locking`](crate::Attempt::locking) is true once that many conflicts were seen;
    /// `Some(0)` from the first attempt, `None` never.
    ///
    /// The first locking attempt follows without delay: it waits in the database's queue for the
    /// row, and a delay would only cost it its place.
    #[must_use]
    pub const fn with_locking_after(mut self, conflicts: Option<u32>) -> Self {
        self.locking_after = conflicts;
        self
    }

    /// The same delays every time, for tests and simulations.
    ///
    /// Not for production: writers with the same seed wait in step and meet again.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Whether an unknown outcome is retried, with the delays of a busy system.
    ///
    /// Only for operations that are idempotent: the attempt may have taken effect, and repeating
    /// it must give the answer that it would have given.
    #[must_use]
    pub const fn with_unknown_retried(mut self, yes: bool) -> Self {
        self.unknown_retried = yes;
        self
    }

    /// Limits the retries of a busy system that all operations with this budget make together.
    ///
    /// An empty budget stops an operation by [`StopReason::Budget`](crate::StopReason::Budget). See
    /// [`RetryBudget`] for the rules. Policies with a budget are equal if they share it.
    #[must_use]
    pub const fn with_budget(mut self, budget: &'static RetryBudget) -> Self {
        self.budget = Some(Shared(budget));
        self
    }

    /// What is retried, for the events on target `optilock::retry`: `"checkout"`.
    #[must_use]
    pub const fn with_label(mut self, label: &'static str) -> Self {
        self.label = label;
        self
    }

    /// Whether an attempt may lock at all.
    #[cfg(feature = "postgres")]
    pub(crate) const fn locks(&self) -> bool {
        self.locking_after.is_some()
    }

    /// With this label, unless it has one already.
    #[cfg(feature = "postgres")]
    pub(crate) fn labelled(&self, label: &'static str) -> Self {
        match self.label {
            UNLABELLED => self.clone().with_label(label),
            _ => self.clone(),
        }
    }

    /// The growing, jittered delays of this policy, without end.
    ///
    /// For loops of your own. The immediate retries are not among them, they depend on what
    /// failed.
    #[must_use]
    pub fn backoff(&self) -> Backoff {
        Backoff::new(self.clone())
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// How delays are spread, so that writers who met do not meet again.
///
/// The formulas are those of the AWS Architecture Blog, "Exponential Backoff and Jitter" (2015),
/// with the growing delay `d = min(cap, base * factor^n)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Jitter {
    /// Between 0 and `d`. Least work for all together; the default.
    #[default]
    Full,
    /// Between `d / 2` and `d`. When a minimum distance matters.
    Equal,
    /// Between `base` and three times the delay before, at most `cap`.
    Decorrelated,
    /// Exactly `d`. For a single writer, or for tests.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_as_documented() {
        let policy = RetryPolicy::default();
        assert_eq!(policy, RetryPolicy::new());
        assert_eq!(policy.max_attempts, 12);
        assert!(policy.immediate_first_retry);
        assert_eq!(policy.jitter, Jitter::Full);
        assert_eq!(policy.base_delay, Duration::from_millis(5));
        assert_eq!(policy.factor, 2);
        assert_eq!(policy.max_delay, Duration::from_millis(250));
        assert_eq!(policy.deadline, Some(Duration::from_secs(3)));
        assert_eq!(policy.locking_after, Some(2));
        assert!(!policy.unknown_retried);
        assert_eq!(policy.budget, None);
        assert_eq!(policy.seed, None);
        assert_eq!(policy.label, "operation");
    }

    #[test]
    fn policies_are_equal_if_they_share_their_budget() {
        static ONE: RetryBudget = RetryBudget::new();
        static OTHER: RetryBudget = RetryBudget::new();
        let with = |budget| RetryPolicy::new().with_budget(budget);
        assert_eq!(with(&ONE), with(&ONE));
        assert_ne!(with(&ONE), with(&OTHER));
        assert_ne!(with(&ONE), RetryPolicy::new());
    }

    #[test]
    fn zero_counts_as_one() {
        let policy = RetryPolicy::new().with_max_attempts(0).with_factor(0);
        assert_eq!((policy.max_attempts, policy.factor), (1, 1));
    }
}
