//! What an error means for a retry.

use crate::Conflict;
use std::{
    cell::Cell,
    convert::Infallible,
    error::Error,
    fmt::{self, Display},
    time::Duration,
};

/// What an error means for a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// Another writer won: read again and try again.
    Conflict,
    /// Nothing happened, as the system is overloaded or down: try again later.
    Busy {
        /// The time after which the system may be asked again, if it states one.
        retry_after: Option<Duration>,
    },
    /// The operation may or may not have taken effect: not retried, unless the policy says so.
    Unknown,
    /// The operation would fail again.
    Permanent,
}

impl Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conflict => "conflict",
            Self::Busy { .. } => "busy",
            Self::Unknown => "unknown",
            Self::Permanent => "permanent",
        })
    }
}

/// An error with a [`Class`].
///
/// Implement it for the error of your application. In case of doubt the class is
/// [`Class::Permanent`], or [`Class::Unknown`] if a write may have taken effect.
///
/// `Box<dyn Error + Send + Sync>`, and `anyhow::Error` behind the feature `anyhow`, are classified
/// by the first error in their chain of sources that this crate knows; a chain without one is
/// permanent. A [`RetryError`](crate::RetryError) in the chain counts as itself: a retry around a
/// retry does not multiply.
///
/// ```
/// use optilock::{Class, Classify, Conflict};
///
/// #[derive(Debug)]
/// enum AppError {
///     Conflict(Conflict),
///     OutOfStock,
/// }
///
/// impl Classify for AppError {
///     fn class(&self) -> Class {
///         match self {
///             Self::Conflict(conflict) => conflict.class(),
///             Self::OutOfStock => Class::Permanent,
///         }
///     }
/// }
/// # assert_eq!(AppError::OutOfStock.class(), Class::Permanent);
/// ```
pub trait Classify {
    /// What this error means for a retry.
    fn class(&self) -> Class;
}

impl Classify for Conflict {
    fn class(&self) -> Class {
        Class::Conflict
    }
}

impl Classify for Infallible {
    fn class(&self) -> Class {
        match *self {}
    }
}

thread_local! {
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, a `RetryError` met in a chain of sources shows its own class instead of the
/// error inside. `RetryError<E>` cannot be found by type for every `E`, and the conflict inside
/// would have it retried all over again.
pub(crate) struct Asking {
    before: bool,
}

impl Asking {
    pub(crate) fn begin() -> Self {
        Self {
            before: ASKING.replace(true),
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        ASKING.set(self.before);
    }
}

/// Stands in for the source of a `RetryError` while its class is asked for.
#[derive(Debug)]
pub(crate) struct GaveUp(pub(crate) Class);

impl Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gave up ({})", self.0)
    }
}

impl Error for GaveUp {}

/// What a retry that gave up shows as its source while its [class is asked for](Asking); else `None`.
pub(crate) fn stand_in(class: Class) -> Option<&'static (dyn Error + 'static)> {
    if !ASKING.get() {
        return None;
    }
    Some(match class {
        Class::Unknown => &GaveUp(Class::Unknown),
        _ => &GaveUp(Class::Permanent),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_has_a_name() {
        let busy = Class::Busy { retry_after: None };
        let classes = [Class::Conflict, busy, Class::Unknown, Class::Permanent];
        let names = classes.map(|class| class.to_string());
        assert_eq!(names, ["conflict", "busy", "unknown", "permanent"]);
    }

    #[test]
    fn a_retry_that_gave_up_shows_its_class_only_while_it_is_asked_for() {
        let shown = |class| stand_in(class).map(ToString::to_string);
        assert_eq!(shown(Class::Conflict), None);
        let asking = Asking::begin();
        assert_eq!(shown(Class::Unknown).as_deref(), Some("gave up (unknown)"));
        assert_eq!(
            shown(Class::Conflict).as_deref(),
            Some("gave up (permanent)")
        );
        drop(Asking::begin());
        assert!(shown(Class::Conflict).is_some(), "the outer one goes on");
        drop(asking);
        assert_eq!(shown(Class::Conflict), None);
    }
}
