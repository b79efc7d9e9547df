/// How a checkout holds the stock between looking and taking.
///
/// All of them are right under any load; they differ in speed. Whatever the strategy, an attempt
/// after two conflicts locks (see
/// [`with_locking_after`](crate::RetryPolicy::with_locking_after)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// One statement that takes the stock if it is there. One round trip; the fastest on a product
    /// in demand. The default.
    #[default]
    Guarded,
    /// Read, compare-and-set on the version, retry. Holds no lock between reading and writing; for
    /// products that are rarely bought at the same moment.
    Optimistic,
    /// Lock the rows, look, write. Every buyer waits for the one before; never a conflict.
    Pessimistic,
}
