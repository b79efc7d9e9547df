/// What is known about the effect of an operation that failed.
///
/// ```
/// use optilock::{Conflict, Outcome, Version, postgres};
///
/// let moved = Conflict::new("seat", 7, Version::FIRST, Version::new(2).unwrap());
/// assert_eq!(postgres::Error::from(moved).outcome(), Outcome::NothingHappened);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Nothing is stored, now or later.
    NothingHappened,
    /// The operation may have taken effect, or may still: read the row before another attempt.
    Unknown,
}
