//! What an error means for a retry.

use crate::Conflict;
use std::{
    any::Any,
    cell::Cell,
    convert::Infallible,
    error::Error,
    fmt::{self, Display},
    iter::successors,
    sync::Arc,
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

impl Classify for Box<dyn Error + Send + Sync> {
    fn class(&self) -> Class {
        class_of_chain(&**self)
    }
}

#[cfg(feature = "anyhow")]
#[cfg_attr(docsrs, doc(cfg(feature = "anyhow")))]
impl Classify for anyhow::Error {
    fn class(&self) -> Class {
        class_of_chain(&**self)
    }
}

/// The class of one error, its sources aside; `None` for a type that this crate does not know.
pub(crate) fn class_of(error: &(dyn Error + 'static)) -> Option<Class> {
    if let Some(GaveUp(class)) = error.downcast_ref() {
        return Some(*class);
    }
    #[cfg(feature = "inventory")]
    if let Some(error) = held::<crate::inventory::Error>(error) {
        return Some(error.class());
    }
    #[cfg(feature = "postgres")]
    if let Some(error) = held::<crate::postgres::Error>(error) {
        return Some(error.class());
    }
    #[cfg(feature = "postgres")]
    if let Some(error) = held::<sqlx::Error>(error) {
        return Some(error.class());
    }
    // Its own source is that of the error inside, which is passed over.
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        return error.get_ref().map(|inner| class_of_chain(inner));
    }
    held(error).map(Conflict::class)
}

/// An error of this type, also behind a pointer: that has the source of the error inside, which would be
/// passed over.
fn held<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let of_box = || error.downcast_ref::<Box<E>>().map(|error| &**error);
    let of_arc = || error.downcast_ref::<Arc<E>>().map(|error| &**error);
    error.downcast_ref().or_else(of_box).or_else(of_arc)
}

/// The source of an error of any type that this crate knows; `None` for other types.
pub(super) fn source_of(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    #[cfg(feature = "anyhow")]
    if let Some(error) = error.downcast_ref::<anyhow::Error>() {
        return error.source();
    }
    if let Some(error) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return error.source();
    }
    #[cfg(feature = "inventory")]
    if let Some(error) = error.downcast_ref::<crate::inventory::Error>() {
        return error.source();
    }
    #[cfg(feature = "postgres")]
    if let Some(error) = error.downcast_ref::<crate::postgres::Error>() {
        return error.source();
    }
    #[cfg(feature = "postgres")]
    if let Some(error) = error.downcast_ref::<sqlx::Error>() {
        return error.source();
    }
    error.downcast_ref().and_then(Conflict::source)
}

fn class_of_chain(error: &(dyn Error + 'static)) -> Class {
    let _asking = Asking::begin();
    successors(Some(error), |&error| error.source())
        .find_map(class_of)
        .unwrap_or(Class::Permanent)
}

thread_local! {
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, a `RetryError` met in a chain of sources shows its own class instead of the
/// error inside. `RetryError<E>` cannot be found by type for every `E`, and the conflict inside
/// would have it retried all over again.
struct Asking {
    before: bool,
}

impl Asking {
    fn begin() -> Self {
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
struct GaveUp(Class);

impl Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gave up ({})", self.0)
    }
}

impl Error for GaveUp {}

/// What a retry that gave up shows as its source to [`class_of_chain`]; `None` to everybody else.
pub(super) fn stand_in(class: Class) -> Option<&'static (dyn Error + 'static)> {
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
    use crate::{RetryError, RetryPolicy, Version, with_retry};

    type BoxError = Box<dyn Error + Send + Sync>;

    fn conflict() -> Conflict {
        Conflict::new("product", "mug-7", Version::FIRST, Version::new(2).unwrap())
    }

    #[derive(Debug, thiserror::Error)]
    #[error("checkout failed")]
    struct Wrapped(#[source] BoxError);

    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Transparent(BoxError);

    fn wrapped(error: impl Into<BoxError>) -> BoxError {
        Box::new(Wrapped(Box::new(Wrapped(error.into()))))
    }

    async fn gave_up() -> RetryError<Conflict> {
        let policy = RetryPolicy::new().with_max_attempts(1);
        with_retry(&policy, async |_| Err::<(), _>(conflict()))
            .await
            .unwrap_err()
    }

    #[test]
    fn finds_what_it_knows_in_the_chain() {
        assert_eq!(BoxError::from(conflict()).class(), Class::Conflict);
        assert_eq!(wrapped(conflict()).class(), Class::Conflict);
        assert_eq!(wrapped("no such table").class(), Class::Permanent);
    }

    #[tokio::test]
    async fn a_retry_in_the_chain_is_not_multiplied() {
        assert_eq!(BoxError::from(gave_up().await).class(), Class::Permanent);
        assert_eq!(wrapped(gave_up().await).class(), Class::Permanent);
        let transparent = Transparent(gave_up().await.into());
        assert_eq!(wrapped(transparent).class(), Class::Permanent);
    }

    #[tokio::test]
    async fn asking_leaves_no_trace() {
        let boxed = gave_up().await.map(wrapped);
        let error = BoxError::from(boxed);
        // Not the conflict that lies deeper in the chain.
        assert_eq!(error.class(), Class::Permanent);
        assert!(error.source().unwrap().is::<Wrapped>());
    }

    #[cfg(feature = "inventory")]
    #[test]
    fn knows_the_floors_above() {
        let timed_out = || sqlx::Error::PoolTimedOut;
        let busy = Class::Busy { retry_after: None };
        assert_eq!(wrapped(timed_out()).class(), busy);
        assert_eq!(
            wrapped(crate::inventory::Error::from(timed_out())).class(),
            busy
        );
        // Of a row that moved on: its own class, whatever is inside.
        let moved = crate::postgres::Error::from(conflict());
        assert_eq!(wrapped(moved).class(), Class::Conflict);
        // An inventory that gave up has its own class, not that of what is inside.
        let exhausted = crate::inventory::Error::Exhausted {
            attempts: 12,
            elapsed: std::time::Duration::ZERO,
            reason: crate::StopReason::Attempts,
            source: Box::new(timed_out().into()),
        };
        assert_eq!(wrapped(exhausted).class(), Class::Permanent);
    }

    #[cfg(feature = "anyhow")]
    #[tokio::test]
    async fn knows_anyhow() {
        let known = anyhow::Error::from(conflict()).context("checkout");
        assert_eq!(known.class(), Class::Conflict);
        assert_eq!(anyhow::anyhow!("no").class(), Class::Permanent);
        let stopped = anyhow::Error::from(gave_up().await).context("checkout");
        assert_eq!(stopped.class(), Class::Permanent);
    }
}
