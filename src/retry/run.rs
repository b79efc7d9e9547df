//! The books of one retry: how many attempts, how many conflicts, since when.

use super::{
    attempt::Attempt,
    backoff::Pace,
    budget::Shared,
    class::{Class, Classify},
    error::{RetryError, StopReason},
    pause::Pause,
    policy::RetryPolicy,
};
use crate::metrics;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::{Instrument, debug, warn};

/// Built on the hot path: everything that only a failure needs is made by the first failure.
pub(crate) struct Run<'p> {
    policy: &'p RetryPolicy,
    attempt: Attempt,
    conflicts: u32,
    pace: Option<Pace>,
    unsettled: bool,
    /// What the last retry that cost anything took from the budget.
    spent: u32,
}

impl<'p> Run<'p> {
    /// The first attempt, for which no books are kept.
    #[inline]
    pub(crate) const fn first(policy: &RetryPolicy) -> Attempt {
        Attempt {
            number: 1,
            last: policy.max_attempts == 1,
            locking: matches!(policy.locking_after, Some(0)),
            since: None,
        }
    }

    /// Of an operation that does I/O in any case: time starts now.
    #[cfg(any(test, feature = "postgres"))]
    pub(crate) fn new(policy: &'p RetryPolicy) -> Self {
        Self::since(policy, Some(Instant::now()))
    }

    /// Of an operation whose first attempt started at `since`; `None` if it has not had to wait.
    pub(super) const fn since(policy: &'p RetryPolicy, since: Option<Instant>) -> Self {
        let first = Self::first(policy);
        Self {
            policy,
            attempt: Attempt { since, ..first },
            conflicts: 0,
            pace: None,
            unsettled: false,
            spent: 0,
        }
    }

    /// Where the start of the first attempt belongs.
    #[inline]
    pub(super) const fn start(&mut self) -> &mut Option<Instant> {
        &mut self.attempt.since
    }

    #[inline]
    pub(crate) const fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// The first attempt succeeded, for which no books were kept.
    #[inline]
    pub(crate) fn succeeded_at_once(policy: &RetryPolicy) {
        if let Some(Shared(budget)) = policy.budget {
            budget.succeeded(0);
        }
        metrics::attempts(policy.label, 1);
    }

    /// The attempt succeeded.
    #[inline]
    pub(crate) fn succeeded(&self) {
        if let Some(Shared(budget)) = self.policy.budget {
            budget.succeeded(self.spent);
        }
        metrics::attempts(self.policy.label, self.attempt.number);
    }

    fn count(&self, class: Class, gave_up: bool) {
        match class {
            Class::Conflict => metrics::conflict(self.policy.label, gave_up),
            Class::Unknown => metrics::unknown_outcome(self.policy.label),
            Class::Busy { .. } | Class::Permanent => {}
        }
        if gave_up {
            metrics::attempts(self.policy.label, self.attempt.number);
        }
    }

    /// The pause before the next attempt, or why there is none.
    #[cold]
    pub(super) fn after<E: Classify>(&mut self, error: E) -> Result<Pause, RetryError<E>> {
        let class = error.class();
        let now = Instant::now();
        // An attempt that never had to wait has taken no time worth a reading of the clock.
        let elapsed = now.duration_since(*self.attempt.since.get_or_insert(now));
        match self.decide(class, elapsed) {
            Ok(pause) => Ok(pause),
            Err(reason) => Err(RetryError {
                error,
                attempts: self.attempt.number,
                elapsed,
                reason,
                unsettled: self.unsettled && reason != StopReason::Permanent,
            }),
        }
    }

    /// Waits as long as it takes until the next attempt, and says how long that was, or why there is
    /// none.
    pub(crate) async fn wait<E: Classify>(&mut self, error: E) -> Result<Duration, RetryError<E>> {
        let Pause { delay, span } = self.after(error)?;
        // tokio rounds up to a millisecond, also from zero.
        if !delay.is_zero() {
            sleep(delay).instrument(span).await;
        }
        Ok(delay)
    }

    #[cold]
    fn decide(&mut self, class: Class, elapsed: Duration) -> Result<Pause, StopReason> {
        let decision = self.delay(class, elapsed);
        self.count(class, decision.is_err());
        match decision {
            Ok(delay) => {
                let pause = Pause::new(delay, self.policy.label, self.attempt.number, class);
                self.attempt.number += 1;
                self.attempt.last = self.attempt.number == self.policy.max_attempts;
                Ok(pause)
            }
            Err(reason) => {
                self.report(class, elapsed, reason);
                Err(reason)
            }
        }
    }

    fn delay(&mut self, class: Class, elapsed: Duration) -> Result<Duration, StopReason> {
        let policy = self.policy;
        match class {
            Class::Permanent => return Err(StopReason::Permanent),
            Class::Unknown if !policy.unknown_retried => return Err(StopReason::Unknown),
            Class::Unknown => self.unsettled = true,
            Class::Conflict | Class::Busy { .. } => {}
        }
        if self.attempt.last {
            return Err(StopReason::Attempts);
        }
        let delay = match class {
            Class::Conflict => {
                self.conflicts += 1;
                // The attempt that begins to lock waits in the row's queue: no need to wait twice.
                let begins_to_lock = policy.locking_after == Some(self.conflicts);
                self.attempt.locking |= begins_to_lock;
                let first = self.attempt.number == 1 && policy.immediate_first_retry;
                if first || begins_to_lock {
                    Duration::ZERO
                } else {
                    self.back_off()
                }
            }
            // Never sooner than the system asks for.
            Class::Busy { retry_after } => self.back_off().max(retry_after.unwrap_or_default()),
            Class::Unknown | Class::Permanent => self.back_off(),
        };
        match policy.deadline {
            // At the deadline there is no time left, not even for an attempt without delay.
            Some(deadline) if elapsed >= deadline || elapsed.saturating_add(delay) > deadline => {
                return Err(StopReason::Deadline);
            }
            _ => {}
        }
        match (policy.budget, class) {
            // The system that reports a conflict works.
            (None, _) | (_, Class::Conflict) => {}
            (Some(Shared(budget)), _) => self.spent = budget.take().ok_or(StopReason::Budget)?,
        }
        Ok(delay)
    }

    fn back_off(&mut self) -> Duration {
        let policy = self.policy;
        self.pace
            .get_or_insert_with(|| Pace::new(policy))
            .next(policy)
    }

    fn report(&self, class: Class, elapsed: Duration, reason: StopReason) {
        let (label, attempts) = (self.policy.label, self.attempt.number);
        if attempts == 1 && reason == StopReason::Permanent {
            // The operation's own answer, and no retry was involved: the caller's business.
            debug!(target: "optilock::retry", label, attempts, ?elapsed, %class, %reason, "failed");
        } else {
            warn!(target: "optilock::retry", label, attempts, ?elapsed, %class, %reason, "gave up");
        }
    }
}
