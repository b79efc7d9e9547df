//! The bound of `transact`.

/// An async closure that borrows a transaction for one attempt: `async |tx| { .. }`.
///
/// Nothing to implement: every async closure is one, unless it is `async move` with captures or
/// captures by `&mut`. What it would capture so belongs into the database, or into what it returns.
///
/// It is `AsyncFnMut` whose future has a name, and so can be shown to be `Send`: under a bare
/// `AsyncFnMut` a transaction could not be spawned as soon as the closure captures a reference.
#[diagnostic::on_unimplemented(
    message = "this closure can't be the operation of a transaction",
    note = "write `async |tx| {{ .. }}`, and let it borrow what it needs by `&`",
    note = "an `async move` closure with captures, or one that changes a captured variable, can't run \
            a second time: clone the capture inside, or return the value instead"
)]
pub trait TxOperation<C, R>:
    AsyncFnMut(C) -> R + FnMut(C) -> <Self as TxOperation<C, R>>::Future
{
    /// One attempt.
    type Future: Future<Output = R>;
}

impl<F, C, R, Fut> TxOperation<C, R> for F
where
    F: AsyncFnMut(C) -> R + FnMut(C) -> Fut,
    Fut: Future<Output = R>,
{
    type Future = Fut;
}
