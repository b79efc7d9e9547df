//! Why a retry stopped.

use super::class::{Class, Classify};
use std::{
    fmt::{self, Display},
    time::Duration,
};

/// A retry gave up: the last error, and why there was no further attempt.
///
/// It classifies as [`Class::Permanent`], so that a retry around a retry does not multiply; and as
/// [`Class::Unknown`] when its [`reason`](Self::reason) is that, or when attempts, time or budget
/// ran out after an unknown outcome had been retried.
///
/// An error type of the application keeps that class when its conversion uses
/// [`try_into_inner`](Self::try_into_inner):
///
/// ```
/// use optilock::{Class, Classify, Conflict, RetryError};
///
/// #[derive(Debug, thiserror::Error)]
/// enum AppError {
///     #[error(transparent)]
///     Conflict(#[from] Conflict),
///     #[error("the system is busy")]
///     Busy,
///     #[error(transparent)]
///     Unknown(Box<RetryError<AppError>>),
/// }
///
/// impl From<RetryError<AppError>> for AppError {
///     fn from(gave_up: RetryError<AppError>) -> Self {
///         gave_up.try_into_inner().unwrap_or_else(|unknown| Self::Unknown(Box::new(unknown)))
///     }
/// }
///
/// impl Classify for AppError {
///     fn class(&self) -> Class {
///         match self {
///             Self::Conflict(conflict) => conflict.class(),
///             Self::Busy => Class::Busy { retry_after: None },
///             Self::Unknown(gave_up) => gave_up.class(),
///         }
///     }
/// }
/// ```
///
/// It is an [`Error`](std::error::Error) for every `E` with a text, `anyhow::Error` and `Box<dyn Error + Send + Sync>`
/// included, so that `?` converts it into these two. Its own text ends with the text of the last
/// error, and its source is the source of that one as far as this crate knows the type. A
/// `downcast` through a chain of sources therefore doesn't find the last error; take it from the
/// field [`error`](Self::error).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RetryError<E> {
    /// The error of the last attempt.
    pub error: E,
    /// How many attempts were made, from 1.
    pub attempts: u32,
    /// The time from the start of the first attempt to the end of the last.
    ///
    /// With [`with_retry`](crate::with_retry) and [`with_retry_mut`](crate::with_retry_mut) it starts
    /// when the first attempt has to wait, or at its end if it never does.
    pub elapsed: Duration,
    /// Why there was no further attempt.
    pub reason: StopReason,
    /// An earlier attempt may have taken effect, and no later one settled it.
    pub(super) unsettled: bool,
}

impl<E> RetryError<E> {
    /// Returns the error of the last attempt when nothing has happened.
    ///
    /// That error has its own class again: a retry around this one would retry it.
    ///
    /// # Errors
    ///
    /// The `RetryError` itself when the outcome is unknown: its class is [`Class::Unknown`], whatever
    /// the last error says of itself.
    pub fn try_into_inner(self) -> Result<E, Self> {
        match self.class() {
            Class::Unknown => Err(self),
            _ => Ok(self.error),
        }
    }

    /// The same, of an operation whose earlier attempt may have taken effect if `in_doubt`.
    #[cfg(feature = "postgres")]
    pub(crate) fn doubted(mut self, in_doubt: bool) -> Self {
        self.unsettled |= in_doubt;
        self
    }

    /// The same, with `change` made to the error.
    #[must_use]
    pub fn map<F>(self, change: impl FnOnce(E) -> F) -> RetryError<F> {
        let Self {
            error,
            attempts,
            elapsed,
            reason,
            unsettled,
        } = self;
        RetryError {
            error: change(error),
            attempts,
            elapsed,
            reason,
            unsettled,
        }
    }
}

impl<E: Display> Display for RetryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.attempts == 1 { "" } else { "s" };
        write!(f, "gave up after {} attempt{plural}", self.attempts)?;
        if !self.elapsed.is_zero() {
            write!(f, " in {:.1?}", self.elapsed)?;
        }
        write!(f, " ({}): {}", self.reason, self.error)
    }
}

impl<E> Classify for RetryError<E> {
    fn class(&self) -> Class {
        if self.unsettled || self.reason == StopReason::Unknown {
            Class::Unknown
        } else {
            Class::Permanent
        }
    }
}

/// Why a retry made no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// The error was [`Class::Permanent`]: the operation's own answer.
    Permanent,
    /// The error was [`Class::Unknown`]: the operation may have taken effect.
    Unknown,
    /// The policy's attempts were used up.
    Attempts,
    /// The next attempt would have begun after the policy's deadline.
    Deadline,
    /// The system is busy, and the policy's [budget](crate::RetryBudget) was used up.
    Budget,
}

impl Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permanent => "permanent failure",
            Self::Unknown => "outcome unknown",
            Self::Attempts => "attempts exhausted",
            Self::Deadline => "deadline reached",
            Self::Budget => "retry budget exhausted",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_is_returned_only_if_nothing_has_happened() {
        let gave_up = |reason, unsettled| RetryError {
            error: "refused",
            attempts: 1,
            elapsed: Duration::ZERO,
            reason,
            unsettled,
        };
        let inner = |reason, unsettled| gave_up(reason, unsettled).try_into_inner().ok();
        assert_eq!(inner(StopReason::Permanent, false), Some("refused"));
        assert_eq!(inner(StopReason::Attempts, false), Some("refused"));
        assert_eq!(inner(StopReason::Attempts, true), None);
        assert_eq!(inner(StopReason::Unknown, false), None);
    }
}
