/// A shutdown whose time limit was over before every admitted request had its answer.
///
/// What was still queued was answered then, as busy or with an unknown outcome. What was being written has its
/// answer when the database answers.
///
/// ```no_run
/// use optilock::inventory::BatchedInventory;
/// use std::time::Duration;
///
/// # async fn doc(shop: BatchedInventory) {
/// if let Err(timed_out) = shop.shutdown(Duration::from_secs(10)).await {
///     eprintln!("{timed_out}"); // 3 requests had no answer after 10s
/// }
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{unanswered} requests had no answer after {limit:?}")]
#[non_exhaustive]
pub struct ShutdownTimedOut {
    /// The number of requests without an answer when the limit was over, 1 or more.
    pub unanswered: usize,
    /// The time limit of the shutdown.
    pub limit: std::time::Duration,
}
