//! The retry loop.

mod attempt;
mod backoff;
mod budget;
mod class;
mod error;
mod operation;
mod pause;
mod policy;
mod run;
mod start;
#[cfg(test)]
mod tests;

pub use attempt::Attempt;
pub use backoff::{Backoff, Jitter};
pub use budget::RetryBudget;
pub(crate) use class::{Asking, GaveUp, stand_in};
pub use class::{Class, Classify};
pub use error::{RetryError, StopReason};
pub use operation::Operation;
pub use policy::RetryPolicy;

pub(crate) use run::Run;

use start::NotesStart;
use std::pin::pin;

/// Runs `op` until it succeeds, as often and as long as `policy` allows.
///
/// The operation reads, decides and writes. It is called again for every attempt, as `async |attempt|
/// { .. }` or as `|attempt| async move { .. }`. Put the retry around a whole transaction, never
/// inside one. If the operation needs `&mut` access to a value, use [`with_retry_mut`].
///
/// The [`Class`] of an error decides what follows: conflicts and busy systems are retried, permanent
/// errors are not, and unknown outcomes only if the policy
/// [says so](RetryPolicy::with_unknown_retried). There is no delay after a conflict of the first
/// attempt, and none before the first attempt that [locks](RetryPolicy::with_locking_after).
/// The `retry_after` of [`Class::Busy`] prolongs a delay, also past the policy's maximum, and never
/// shortens it.
///
/// Time counts from the start of the first attempt, which is when its future first returns pending. An
/// operation that is ready at its first poll and succeeds does not read the clock.
///
/// The loop does not allocate, and uses tokio's timer only for delays above zero. Each retry is a `DEBUG`
/// event with target `optilock::retry`, each delay a `DEBUG` span `waiting`. Giving up is a `WARN` event,
/// or a `DEBUG` event if the first attempt failed permanently. Dropping the future cancels the running
/// attempt.
///
/// # Errors
///
/// [`RetryError`] with the error of the last attempt and the reason why the retry stopped.
///
/// # Panics
///
/// If a delay is due outside of a tokio runtime with its timer enabled.
///
/// # Example
///
/// ```
/// use optilock::{Conflict, RetryPolicy, StopReason, Version, with_retry};
/// use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let stored = AtomicI64::new(5);
/// let increment = async |_attempt| {
///     let read = stored.load(SeqCst);
///     match stored.compare_exchange(read, read + 1, SeqCst, SeqCst) {
///         Ok(_) => Ok(read + 1),
///         Err(found) => Err(Conflict::new(
///             "counter", "visits", Version::new(read).unwrap(), Version::new(found).unwrap(),
///         )),
///     }
/// };
/// assert_eq!(with_retry(&RetryPolicy::new(), increment).await.unwrap(), 6);
/// # }
/// ```
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn moves its arguments once more: 8.0 ns a call instead of 5.3"
)]
pub fn with_retry<T, E, F, Fut>(
    policy: &RetryPolicy,
    mut op: F,
) -> impl Future<Output = Result<T, RetryError<E>>>
where
    F: FnMut(Attempt) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: Classify,
{
    async move {
        let mut since = None;
        // A block, so that the attempt is dropped before the next one begins.
        let first = {
            let attempt = pin!(op(Run::first(policy)));
            let since = &mut since;
            NotesStart { attempt, since }.await
        };
        match first {
            Ok(value) => {
                Run::succeeded_at_once(policy);
                Ok(value)
            }
            Err(error) => again(Run::since(policy, since), op, error).await,
        }
    }
}

/// Runs every attempt but the first.
#[cold]
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn keeps its arguments and its variables, and its future is larger"
)]
fn again<T, E, F, Fut>(
    mut run: Run<'_>,
    mut op: F,
    mut error: E,
) -> impl Future<Output = Result<T, RetryError<E>>>
where
    F: FnMut(Attempt) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: Classify,
{
    async move {
        loop {
            run.wait(error).await?;
            match op(run.attempt()).await {
                Ok(value) => {
                    run.succeeded();
                    return Ok(value);
                }
                Err(failed) => error = failed,
            }
        }
    }
}

/// Runs `op` as [`with_retry`] does, and lends `context` to each attempt.
///
/// For operations that change a value of the caller: a connection, a counter, a buffer. To lend several
/// values, use a tuple.
///
/// # Errors
///
/// [`RetryError`] with the error of the last attempt and the reason why the retry stopped.
///
/// # Panics
///
/// If a delay is due outside of a tokio runtime with its timer enabled.
///
/// # Example
///
/// ```
/// use optilock::{Conflict, RetryPolicy, with_retry_mut};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let policy = RetryPolicy::new();
/// let mut statements = Vec::new();
/// let sold = with_retry_mut(&policy, &mut statements, async |statements, attempt| {
///     statements.push(format!("attempt {}", attempt.number()));
///     Ok::<_, Conflict>("sold")
/// });
/// assert_eq!(sold.await.unwrap(), "sold");
/// assert_eq!(statements, ["attempt 1"]);
/// # }
/// ```
pub async fn with_retry_mut<C, T, E, F>(
    policy: &RetryPolicy,
    context: &mut C,
    mut op: F,
) -> Result<T, RetryError<E>>
where
    C: ?Sized,
    F: for<'c> Operation<&'c mut C, Result<T, E>>,
    E: Classify,
{
    let mut run = Run::since(policy, None);
    loop {
        let result = {
            let attempt = pin!(op(&mut *context, run.attempt()));
            let since = run.start();
            NotesStart { attempt, since }.await
        };
        match result {
            Ok(value) => {
                run.succeeded();
                return Ok(value);
            }
            Err(error) => drop(run.wait(error).await?),
        }
    }
}
