//! The state of one retry loop.

use super::{
    attempt::Attempt,
    backoff::Position,
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

/// The state of one retry loop. It is built on the hot path: what only a failure needs is created by the
/// first failure.
pub(crate) struct Run<'p> {
    policy: &'p RetryPolicy,
    attempt: Attempt,
    conflicts: u32,
    backoff: Option<Position>,
    unsettled: bool,
    /// The tokens that the last retry with a cost took from the budget.
    spent: u32,
}

impl<'p> Run<'p> {
    /// Returns the first attempt, before there is any state.
    #[inline]
    pub(crate) const fn first(policy: &RetryPolicy) -> Attempt {
        Attempt {
            number: 1,
            last: policy.max_attempts == 1,
            locking: matches!(policy.locking_after, Some(0)),
            since: None,
        }
    }

    /// The state of an operation that does I/O in any case: time starts now.
    #[cfg(any(test, feature = "postgres"))]
    pub(crate) fn new(policy: &'p RetryPolicy) -> Self {
        Self::since(policy, Some(Instant::now()))
    }

    /// The state of an operation whose first attempt started at `since`; `None` if it never returned
    /// pending.
    pub(super) const fn since(policy: &'p RetryPolicy, since: Option<Instant>) -> Self {
        let first = Self::first(policy);
        Self {
            policy,
            attempt: Attempt { since, ..first },
            conflicts: 0,
            backoff: None,
            unsettled: false,
            spent: 0,
        }
    }

    /// Returns the place for the start of the first attempt.
    #[inline]
    pub(super) const fn start(&mut self) -> &mut Option<Instant> {
        &mut self.attempt.since
    }

    #[inline]
    pub(crate) const fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// Counts a first attempt that succeeded, for which there is no state.
    #[inline]
    pub(crate) fn succeeded_at_once(policy: &RetryPolicy) {
        if let Some(Shared(budget)) = policy.budget {
            budget.succeeded(0);
        }
        metrics::attempts(policy.label, 1);
    }

    /// Counts an attempt that succeeded.
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

    /// Returns the pause before the next attempt, or the error if there is none.
    #[cold]
    pub(super) fn after<E: Classify>(&mut self, error: E) -> Result<Pause, RetryError<E>> {
        let class = error.class();
        let now = Instant::now();
        // An attempt that never returned pending has taken no time worth a reading of the clock.
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

    /// Waits until the next attempt and returns the delay, or the error if there is no further attempt.
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
                // The first locking attempt waits in the queue of the row, so it needs no delay.
                let begins_to_lock = policy.locking_after == Some(self.conflicts);
                self.attempt.locking |= begins_to_lock;
                let first = self.attempt.number == 1 && policy.immediate_first_retry;
                if first || begins_to_lock {
                    Duration::ZERO
                } else {
                    self.back_off()
                }
            }
            // Not before the time that the system asks for.
            Class::Busy { retry_after } => self.back_off().max(retry_after.unwrap_or_default()),
            Class::Unknown | Class::Permanent => self.back_off(),
        };
        match policy.deadline {
            // At the deadline there is no attempt, not even one without delay.
            Some(deadline) if elapsed >= deadline || elapsed.saturating_add(delay) > deadline => {
                return Err(StopReason::Deadline);
            }
            _ => {}
        }
        match (policy.budget, class) {
            // A system that reports a conflict is not busy.
            (None, _) | (_, Class::Conflict) => {}
            (Some(Shared(budget)), _) => self.spent = budget.take().ok_or(StopReason::Budget)?,
        }
        Ok(delay)
    }

    fn back_off(&mut self) -> Duration {
        let delays = &self.policy.delays;
        self.backoff
            .get_or_insert_with(|| Position::new(delays))
            .next(delays)
    }

    fn report(&self, class: Class, elapsed: Duration, reason: StopReason) {
        let (label, attempts) = (self.policy.label, self.attempt.number);
        if attempts == 1 && reason == StopReason::Permanent {
            // The operation's own answer, without a retry: reported by the caller, if at all.
            debug!(target: "optilock::retry", label, attempts, ?elapsed, %class, %reason, "failed");
        } else {
            warn!(target: "optilock::retry", label, attempts, ?elapsed, %class, %reason, "gave up");
        }
    }
}
