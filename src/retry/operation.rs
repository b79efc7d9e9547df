//! The bound of `with_retry_mut`.

use super::attempt::Attempt;

/// An async closure that borrows its context for one attempt: `async |context, attempt| { .. }`.
///
/// Implemented for every async closure, unless it is `async move` with captures or changes what it
/// captures. Put such values into the context; to lend several values, use a tuple.
///
/// The trait is `AsyncFnMut` with a named future, so that the future can be shown to be `Send`. With a bare
/// `AsyncFnMut`, a retry whose closure captures a reference could not be spawned.
#[diagnostic::on_unimplemented(
    message = "this is not an operation that can run again, once for each attempt",
    label = "not `async |context, ..| {{ .. }}` that only reads its captures",
    note = "an `async move` closure keeps its captures and would lend them to each attempt, which Rust \
            can't express here: leave out `move`, so that it borrows them",
    note = "a captured variable can't be changed in it: lend it as a part of the context, \
            `&mut (connection, counter)`, and take it as `async |(connection, counter), ..| {{ .. }}`"
)]
pub trait Operation<C, R>:
    AsyncFnMut(C, Attempt) -> R + FnMut(C, Attempt) -> <Self as Operation<C, R>>::Future
{
    /// One attempt.
    type Future: Future<Output = R>;
}

// Without this, rustc reports only that the closure is not `FnMut`.
#[diagnostic::do_not_recommend]
impl<F, C, R, Fut> Operation<C, R> for F
where
    F: AsyncFnMut(C, Attempt) -> R + FnMut(C, Attempt) -> Fut,
    Fut: Future<Output = R>,
{
    type Future = Fut;
}
