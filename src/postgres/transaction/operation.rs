//! The bound of `transact`.

/// An async closure that borrows a transaction for one attempt: `async |tx| { .. }`.
///
/// Nothing to implement: every async closure is one, unless it is `async move` with captures or
/// captures by `&mut`. What it would capture so belongs into the database, or into what it returns.
///
/// It is `AsyncFnMut` whose future has a name, and so can be shown to be `Send`: under a bare
/// `AsyncFnMut` a transaction could not be spawned as soon as the closure captures a reference.
#[diagnostic::on_unimplemented(
    message = "this is not an operation of a transaction that can run again, once for each attempt",
    label = "not `async |tx| {{ .. }}` that only reads its captures",
    note = "an `async move` closure keeps its captures and would lend them to each attempt, which Rust \
            can't express here: leave out `move`, so that it borrows them",
    note = "a captured variable can't be changed in it: return the value from the operation instead"
)]
pub trait TxOperation<C, R>:
    AsyncFnMut(C) -> R + FnMut(C) -> <Self as TxOperation<C, R>>::Future
{
    /// One attempt.
    type Future: Future<Output = R>;
}

// Without this the compiler stops at the bound of `FnMut`, and says nothing of the above.
#[diagnostic::do_not_recommend]
impl<F, C, R, Fut> TxOperation<C, R> for F
where
    F: AsyncFnMut(C) -> R + FnMut(C) -> Fut,
    Fut: Future<Output = R>,
{
    type Future = Fut;
}
