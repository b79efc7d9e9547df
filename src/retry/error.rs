//! Why a retry stopped.

use super::class::{Class, Classify, stand_in};
use std::{
    error::Error,
    fmt::{self, Display},
    time::Duration,
};

/// A retry gave up: the last error, and why there was no further attempt.
///
/// It classifies as [`Class::Permanent`], so that a retry around a retry does not multiply; and as
/// [`Class::Unknown`] when its [`reason`](Self::reason) is that, or when attempts or time ran out
/// after an unknown outcome had been retried.
///
/// ```
/// use optilock::{Conflict, RetryError, StopReason};
///
/// enum AppError { Conflict(Conflict), Busy }
///
/// impl From<RetryError<AppError>> for AppError {
///     fn from(gave_up: RetryError<AppError>) -> Self { gave_up.into_inner() }
/// }
/// ```
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
    /// The error of the last attempt.
    ///
    /// It has its own class again: a retry around this one would retry it.
    #[must_use]
    pub fn into_inner(self) -> E {
        self.error
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

impl<E> Display for RetryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempts {
            1 => write!(f, "gave up after 1 attempt ({})", self.reason),
            attempts => write!(
                f,
                "gave up after {attempts} attempts in {:.1?} ({})",
                self.elapsed, self.reason
            ),
        }
    }
}

impl<E: Error + 'static> Error for RetryError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        stand_in(self.class()).or(Some(&self.error))
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
}

impl Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permanent => "permanent failure",
            Self::Unknown => "outcome unknown",
            Self::Attempts => "attempts exhausted",
            Self::Deadline => "deadline reached",
        })
    }
}
