//! The bound of `with_retry_mut`.

use super::attempt::Attempt;

/// An async closure that borrows its context for one attempt: `async |context, attempt| { .. }`.
///
/// Nothing to implement: every async closure is one, unless it is `async move` or captures by
/// `&mut`. What it would capture so belongs into the context.
///
/// It is `AsyncFnMut` whose future has a name, and so can be shown to be `Send`: under a bare
/// `AsyncFnMut` a retry could not be spawned as soon as the closure captures a reference.
pub trait Operation<C, R>:
    AsyncFnMut(C, Attempt) -> R + FnMut(C, Attempt) -> <Self as Operation<C, R>>::Future
{
    /// One attempt.
    type Future: Future<Output = R>;
}

impl<F, C, R, Fut> Operation<C, R> for F
where
    F: AsyncFnMut(C, Attempt) -> R + FnMut(C, Attempt) -> Fut,
    Fut: Future<Output = R>,
{
    type Future = Fut;
}
