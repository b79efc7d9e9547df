//! The settings of a retry: attempts, delays, deadline, locking, budget.

use super::{
    backoff::{Backoff, Delays, Jitter},
    budget::{RetryBudget, Shared},
};
use std::time::Duration;

/// The settings of a retry: how many attempts, how long, and with what delays.
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
    pub(super) delays: Delays,
    pub(super) deadline: Option<Duration>,
    pub(super) immediate_first_retry: bool,
    pub(super) locking_after: Option<u32>,
    pub(super) unknown_retried: bool,
    pub(super) budget: Option<Shared>,
    pub(super) label: &'static str,
}

const UNLABELLED: &str = "operation";

impl RetryPolicy {
    /// Returns the defaults, as listed [above](Self#default).
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_attempts: 12,
            delays: Delays {
                base: Duration::from_millis(5),
                max: Duration::from_millis(250),
                factor: 2,
                jitter: Jitter::Full,
                seed: None,
            },
            deadline: Some(Duration::from_secs(3)),
            immediate_first_retry: true,
            locking_after: Some(2),
            unknown_retried: false,
            budget: None,
            label: UNLABELLED,
        }
    }

    /// Sets the maximum number of attempts, the first included; 0 counts as 1.
    #[must_use]
    pub const fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// Returns what [`with_max_attempts`](Self::with_max_attempts) set.
    #[cfg(feature = "inventory")]
    pub(crate) const fn max_attempts(&self) -> u32 {
        self.max_attempts
    }

    /// Sets the first delay, before jitter; the following ones grow from it.
    ///
    /// With zero there are no delays. tokio's timer has a resolution of one millisecond: a delay above
    /// zero takes at least that.
    #[must_use]
    pub const fn with_base_delay(mut self, delay: Duration) -> Self {
        self.delays.base = delay;
        self
    }

    /// Sets the maximum delay. A busy system may ask for a longer one
    /// ([`Class::Busy`](crate::Class::Busy)).
    #[must_use]
    pub const fn with_max_delay(mut self, delay: Duration) -> Self {
        self.delays.max = delay;
        self
    }

    /// Sets the factor by which each delay grows; 0 counts as 1, which is no growth.
    ///
    /// [`Jitter::Decorrelated`] has a factor of its own.
    #[must_use]
    pub const fn with_factor(mut self, factor: u32) -> Self {
        self.delays.factor = if factor == 0 { 1 } else { factor };
        self
    }

    /// Sets how delays are spread, so that conflicting writers do not retry in step.
    #[must_use]
    pub const fn with_jitter(mut self, jitter: Jitter) -> Self {
        self.delays.jitter = jitter;
        self
    }

    /// Limits the time from the start of the first attempt until the last one begins; `None` for
    /// no limit.
    ///
    /// The time of the attempts counts, that of the first one included. A running attempt is never
    /// interrupted: the operation takes at most the deadline and one attempt. If the next delay would
    /// end past the deadline, the retry stops immediately. With zero there is no retry.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Option<Duration>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Returns the limit that [`with_deadline`](Self::with_deadline) set.
    #[cfg(feature = "inventory")]
    pub(crate) const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Sets whether a conflict of the first attempt is retried without delay.
    ///
    /// Usually the other writer has finished by then. A busy system is always retried with a delay.
    #[must_use]
    pub const fn with_immediate_first_retry(mut self, yes: bool) -> Self {
        self.immediate_first_retry = yes;
        self
    }

    /// Sets after how many conflicts [`Attempt::locking`](crate::Attempt::locking) is true: `Some(0)` from
    /// the first attempt, `None` never.
    ///
    /// The first locking attempt follows without delay, as it waits in the database's queue for the row.
    #[must_use]
    pub const fn with_locking_after(mut self, conflicts: Option<u32>) -> Self {
        self.locking_after = conflicts;
        self
    }

    /// Sets the seed of the jitter, so that the delays are the same each time: for tests and simulations.
    ///
    /// Not for production: writers with the same seed retry in step and conflict again.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.delays.seed = Some(seed);
        self
    }

    /// Sets whether an unknown outcome is retried, with the delays of a busy system.
    ///
    /// Only for idempotent operations: the attempt may have taken effect, and repeating it must then
    /// return the same answer.
    #[must_use]
    pub const fn with_unknown_retried(mut self, yes: bool) -> Self {
        self.unknown_retried = yes;
        self
    }

    /// Limits the retries of a busy system, for all operations with this budget together.
    ///
    /// If the budget is empty, an operation stops with [`StopReason::Budget`](crate::StopReason::Budget). See
    /// [`RetryBudget`] for the rules. Policies with a budget are equal if they share it.
    #[must_use]
    pub const fn with_budget(mut self, budget: &'static RetryBudget) -> Self {
        self.budget = Some(Shared(budget));
        self
    }

    /// Sets the name of the operation in events on target `optilock::retry` and in metrics: `"checkout"`.
    #[must_use]
    pub const fn with_label(mut self, label: &'static str) -> Self {
        self.label = label;
        self
    }

    /// Returns whether attempts may lock.
    #[cfg(feature = "postgres")]
    pub(crate) const fn locks(&self) -> bool {
        self.locking_after.is_some()
    }

    /// Returns what [`with_label`](Self::with_label) set.
    #[cfg(feature = "postgres")]
    pub(crate) const fn label(&self) -> &'static str {
        self.label
    }

    /// Returns the policy with this label, unless it has one already.
    #[cfg(feature = "postgres")]
    pub(crate) fn labelled(&self, label: &'static str) -> Self {
        match self.label {
            UNLABELLED => self.clone().with_label(label),
            _ => self.clone(),
        }
    }

    /// Returns the growing, jittered delays of this policy, without end.
    ///
    /// For loops of your own. Immediate retries are not included, as they depend on the error.
    #[must_use]
    pub fn backoff(&self) -> Backoff {
        Backoff::new(self.delays)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
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
        assert_eq!(policy.delays.jitter, Jitter::Full);
        assert_eq!(policy.delays.base, Duration::from_millis(5));
        assert_eq!(policy.delays.factor, 2);
        assert_eq!(policy.delays.max, Duration::from_millis(250));
        assert_eq!(policy.deadline, Some(Duration::from_secs(3)));
        assert_eq!(policy.locking_after, Some(2));
        assert!(!policy.unknown_retried);
        assert_eq!(policy.budget, None);
        assert_eq!(policy.delays.seed, None);
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

    #[cfg(feature = "inventory")]
    #[test]
    fn the_inventory_reads_attempts_and_deadline() {
        let policy = RetryPolicy::new().with_max_attempts(7);
        assert_eq!(policy.max_attempts(), 7);
        assert_eq!(policy.deadline(), Some(Duration::from_secs(3)));
        assert_eq!(policy.with_deadline(None).deadline(), None);
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_label_of_the_host_stays() {
        let policy = RetryPolicy::new().with_max_attempts(7);
        let update = policy.labelled("update");
        assert_eq!(update, policy.clone().with_label("update"));
        assert_eq!(update.labelled("insert"), update);
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_policy_locks_if_it_has_a_number_of_conflicts_for_it() {
        assert!(RetryPolicy::new().locks());
        assert!(RetryPolicy::new().with_locking_after(Some(0)).locks());
        assert!(!RetryPolicy::new().with_locking_after(None).locks());
    }

    #[test]
    fn zero_counts_as_one() {
        let policy = RetryPolicy::new().with_max_attempts(0).with_factor(0);
        assert_eq!((policy.max_attempts, policy.delays.factor), (1, 1));
    }
}
