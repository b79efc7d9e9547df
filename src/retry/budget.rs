//! A limit for the retries of a busy system, shared by operations.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A token bucket for retries of a busy system, shared by many operations.
///
/// A database that is down answers every attempt with [`Class::Busy`](crate::Class::Busy). Without a
/// budget, each caller makes up to 12 attempts. With a budget, all callers stop retrying once the bucket
/// is empty, and make one attempt each. Set it by
/// [`RetryPolicy::with_budget`](crate::RetryPolicy::with_budget).
///
/// The rules are those of the AWS SDKs' standard retry mode (AWS SDKs and Tools Reference Guide,
/// "Retry behavior"; `RETRY_COST`, `NO_RETRY_INCREMENT` in their sources):
///
/// - a retry after [`Class::Busy`](crate::Class::Busy), or after an unknown outcome, takes its cost
///   out of the bucket; if the bucket holds less than that, there is no retry and the operation stops
///   with [`StopReason::Budget`](crate::StopReason::Budget);
/// - a retry that succeeds returns its cost, an operation that succeeds without one adds 1 token;
/// - conflicts are never limited: a system that reports them is not busy.
///
/// # Default
///
/// | setting | value |
/// |---|---|
/// | capacity, which is also the initial content | 500 tokens |
/// | cost of a retry | 5 tokens |
///
/// # Example
///
/// ```
/// use optilock::{RetryBudget, RetryPolicy};
///
/// // One for each system that can fail on its own.
/// static DATABASE: RetryBudget = RetryBudget::new();
/// const POLICY: RetryPolicy = RetryPolicy::new().with_budget(&DATABASE);
///
/// assert_eq!(DATABASE.available(), 500);
/// ```
#[derive(Debug)]
pub struct RetryBudget {
    capacity: u32,
    cost: u32,
    tokens: AtomicU32,
}

impl RetryBudget {
    /// Returns a full bucket with the defaults, as listed [above](Self#default).
    #[must_use]
    pub const fn new() -> Self {
        Self {
            capacity: 500,
            cost: 5,
            tokens: AtomicU32::new(500),
        }
    }

    /// Sets how many tokens the bucket holds, and fills it.
    ///
    /// If it is less than the cost of a retry, a busy system is never retried.
    #[must_use]
    pub const fn with_capacity(mut self, tokens: u32) -> Self {
        self.capacity = tokens;
        self.tokens = AtomicU32::new(tokens);
        self
    }

    /// Sets how many tokens a retry takes; 0 counts as 1.
    #[must_use]
    pub const fn with_retry_cost(mut self, tokens: u32) -> Self {
        self.cost = if tokens == 0 { 1 } else { tokens };
        self
    }

    /// Returns how many tokens are left, for a gauge. A value near zero means that a system is down.
    #[must_use]
    pub fn available(&self) -> u32 {
        self.tokens.load(Relaxed)
    }

    /// Takes the cost of a retry and returns it, or returns `None` if the bucket holds less.
    pub(super) fn take(&self) -> Option<u32> {
        let left = |tokens: u32| tokens.checked_sub(self.cost);
        let taken = self.tokens.fetch_update(Relaxed, Relaxed, left);
        taken.is_ok().then_some(self.cost)
    }

    /// Returns `spent`, the cost of the last retry, to the bucket after a success; one token if it is zero.
    pub(super) fn succeeded(&self, spent: u32) {
        // Usually the bucket is full: then this is a read, without a write to a shared cache line.
        let more = |tokens: u32| {
            let sum = tokens.saturating_add(spent.max(1)).min(self.capacity);
            (sum != tokens).then_some(sum)
        };
        let _full = self.tokens.fetch_update(Relaxed, Relaxed, more);
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new()
    }
}

/// The budget of a policy. Policies are equal if they share one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared(pub(super) &'static RetryBudget);

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Shared {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_as_documented() {
        let budget = RetryBudget::default();
        assert_eq!(
            (budget.capacity, budget.cost, budget.available()),
            (500, 5, 500)
        );
        assert_eq!(budget.with_retry_cost(0).cost, 1);
    }

    #[test]
    fn a_bucket_is_never_overdrawn() {
        let budget = RetryBudget::new().with_capacity(12);
        let takes: Vec<_> = (0..3).map(|_| budget.take()).collect();
        assert_eq!(takes, [Some(5), Some(5), None]);
        assert_eq!(budget.available(), 2);
    }

    #[test]
    fn a_bucket_never_overflows() {
        let budget = RetryBudget::new().with_capacity(10);
        budget.succeeded(0);
        assert_eq!(budget.available(), 10);
        let spent = budget.take().unwrap();
        budget.succeeded(0);
        assert_eq!(budget.available(), 6);
        budget.succeeded(spent);
        assert_eq!(budget.available(), 10);
        let endless = RetryBudget::new().with_capacity(u32::MAX);
        endless.succeeded(u32::MAX);
        assert_eq!(endless.available(), u32::MAX);
    }

    #[test]
    fn threads_share_a_bucket() {
        let budget = RetryBudget::new().with_capacity(1_000);
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..1_000).filter_map(|_| budget.take()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|it| it.join().unwrap()).sum()
        });
        assert_eq!((taken, budget.available()), (200, 0));
    }
}
