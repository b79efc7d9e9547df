//! The bound of `transact`.

/// An async closure that borrows a transaction for one attempt: `async |tx| { .. }`.
///
/// Implemented for every async closure, unless it is `async move` with captures or captures by `&mut`.
/// Return such values from the operation instead, or store them in the database.
///
/// The trait is `AsyncFnMut` with a named future, so that the future can be shown to be `Send`. With a bare
/// `AsyncFnMut`, a transaction whose closure captures a reference could not be spawned.
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

// Without this, rustc reports only that the closure is not `FnMut`.
#[diagnostic::do_not_recommend]
impl<F, C, R, Fut> TxOperation<C, R> for F
where
    F: AsyncFnMut(C) -> R + FnMut(C) -> Fut,
    Fut: Future<Output = R>,
{
    type Future = Fut;
}
