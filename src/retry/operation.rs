//! The bound of `with_retry_mut`.

use super::attempt::Attempt;

/// An async closure that borrows its context for one attempt: `async |context, attempt| { .. }`.
///
/// Nothing to implement: every async closure is one, unless it is `async move` with captures, or
/// changes what it captures. What it would capture so belongs into the context; a tuple lends several
/// things.
///
/// It is `AsyncFnMut` whose future has a name, and so can be shown to be `Send`: under a bare
/// `AsyncFnMut` a retry could not be spawned as soon as the closure captures a reference.
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

// Without this rustc says that the closure is no `FnMut`, and none of the above.
#[diagnostic::do_not_recommend]
impl<F, C, R, Fut> Operation<C, R> for F
where
    F: AsyncFnMut(C, Attempt) -> R + FnMut(C, Attempt) -> Fut,
    Fut: Future<Output = R>,
{
    type Future = Fut;
}
