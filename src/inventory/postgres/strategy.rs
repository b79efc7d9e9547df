/// How a checkout guards the stock between the read and the write.
///
/// All strategies are correct under any load and differ in speed. With every strategy, an attempt after two
/// conflicts locks (see [`with_locking_after`](crate::RetryPolicy::with_locking_after)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// One statement that takes the stock if it is available. One round trip; the fastest on a contended
    /// product. The default.
    #[default]
    Guarded,
    /// Read, compare-and-set on the version, retry. Holds no lock between read and write; for products that are
    /// rarely bought at the same time.
    Optimistic,
    /// Lock the rows, read, write. Each buyer waits for the one before; no conflicts.
    Pessimistic,
}
