//! The fault of one call.

use std::{fmt, sync::Arc, time::Duration};

#[cfg(feature = "postgres")]
use crate::{Conflict, Version};

/// Creates an error, as errors can't be cloned.
type Create<E> = Arc<dyn Fn() -> E + Send + Sync>;

/// What happens to one call.
pub struct Fault<E>(pub(super) Kind<E>);

pub(super) enum Kind<E> {
    /// The error is returned and nothing happens.
    Refused(Create<E>),
    /// The call is made. If it succeeds, the error is returned.
    Done(Create<E>),
    /// The call is made after this time.
    Delayed(Duration),
}

impl<E> Fault<E> {
    /// The call returns an error, and nothing has happened.
    ///
    /// ```
    /// use optilock::{inventory::Error, testing::Fault};
    ///
    /// let fault = Fault::refused(|| Error::not_found("product", "pot"));
    /// ```
    pub fn refused(error: impl Fn() -> E + Send + Sync + 'static) -> Self {
        Self(Kind::Refused(Arc::new(error)))
    }

    /// The call takes effect, and its answer is lost: it returns this error. A call that is refused returns its
    /// own error.
    pub fn answer_lost(error: impl Fn() -> E + Send + Sync + 'static) -> Self {
        Self(Kind::Done(Arc::new(error)))
    }

    /// The call is made after a delay. Tests with a paused clock of tokio don't wait for it.
    #[must_use]
    pub fn delayed(by: Duration) -> Self {
        Self(Kind::Delayed(by))
    }
}

impl<E: Simulated + 'static> Fault<E> {
    /// Another writer was faster. Nothing has happened.
    #[must_use]
    pub fn conflict() -> Self {
        Self::refused(E::conflict)
    }

    /// The database is overloaded or out of reach. Nothing has happened, and the caller is asked to come back after
    /// this time.
    #[must_use]
    pub fn busy(retry_after: Duration) -> Self {
        Self::refused(move || E::busy(retry_after))
    }

    /// The outcome is unknown, and nothing has happened.
    #[must_use]
    pub fn unknown() -> Self {
        Self::refused(E::unknown)
    }

    /// The outcome is unknown, and the call has taken effect.
    #[must_use]
    pub fn unknown_but_done() -> Self {
        Self::answer_lost(E::unknown)
    }
}

impl<E> Clone for Fault<E> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Kind::Refused(error) => Kind::Refused(Arc::clone(error)),
            Kind::Done(error) => Kind::Done(Arc::clone(error)),
            Kind::Delayed(by) => Kind::Delayed(*by),
        })
    }
}

impl<E> fmt::Debug for Fault<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Refused(_) => f.write_str("Refused"),
            Kind::Done(_) => f.write_str("AnswerLost"),
            Kind::Delayed(by) => f.debug_tuple("Delayed").field(by).finish(),
        }
    }
}

/// An error type of which the usual faults can be made. A host implements it for an error type of its own, to use
/// [`Faults`](super::Faults) in doubles of its own.
pub trait Simulated: Sized {
    /// Returns the error of a call that another writer was faster than.
    fn conflict() -> Self;

    /// Returns the error of a call to an overloaded database.
    fn busy(retry_after: Duration) -> Self;

    /// Returns the error of a call whose outcome is unknown.
    fn unknown() -> Self;
}

/// The conflict of a simulated row.
#[cfg(feature = "postgres")]
fn conflict() -> Conflict {
    let actual = Version::FIRST.next().unwrap_or(Version::FIRST);
    Conflict::new("row", "of a test", Version::FIRST, actual)
}

#[cfg(feature = "postgres")]
impl Simulated for crate::postgres::Error {
    fn conflict() -> Self {
        conflict().into()
    }

    fn busy(retry_after: Duration) -> Self {
        Self::simulated_busy(retry_after)
    }

    fn unknown() -> Self {
        sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into()).into()
    }
}

#[cfg(feature = "inventory")]
impl Simulated for crate::inventory::Error {
    fn conflict() -> Self {
        conflict().into()
    }

    fn busy(retry_after: Duration) -> Self {
        Self::busy(Some(retry_after))
    }

    fn unknown() -> Self {
        sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into()).into()
    }
}
