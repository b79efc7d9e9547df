/// What is known about the effect of an operation that failed.
///
/// ```
/// use optilock::Outcome;
///
/// fn advice(outcome: Outcome) -> &'static str {
///     match outcome {
///         Outcome::NothingHappened => "the operation may be sent again",
///         Outcome::Unknown => "read first whether it took effect",
///     }
/// }
/// # assert!(advice(Outcome::Unknown).starts_with("read"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The operation has not taken effect, and will not. A clean-up may have done a part of its work, and expired
    /// holds may have been ended. In a transaction of the caller's, roll it back.
    NothingHappened,
    /// The operation may have taken effect, or may still: read the row before another attempt.
    Unknown,
}
