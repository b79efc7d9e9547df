use super::Judgement;
#[cfg(feature = "inventory")]
use super::{Phase, Situation};
use crate::{Class, Classify};

/// An error with the class that it has in its phase, which may differ from the one it would give
/// itself.
#[derive(Debug)]
pub(crate) struct Failed<E> {
    pub(crate) error: E,
    pub(crate) class: Class,
    /// What the connection has prepared no longer fits the schema: the next one's may not, either.
    pub(crate) stale_plan: bool,
}

impl<E> Failed<E> {
    pub(crate) const fn new(error: E, class: Class) -> Self {
        let stale_plan = false;
        Self {
            error,
            class,
            stale_plan,
        }
    }

    pub(crate) const fn judged(error: E, judgement: Judgement) -> Self {
        let Judgement { class, stale_plan } = judgement;
        Self {
            error,
            class,
            stale_plan,
        }
    }

    /// An error of an operation inside a transaction whose `COMMIT` was never sent: a connection that was
    /// lost took nothing with it.
    #[cfg(feature = "inventory")]
    pub(crate) fn before_commit(error: E) -> Self
    where
        E: Classify,
    {
        let judgement = Situation::of(Phase::Before).judge(&error);
        Self::judged(error, judgement)
    }
}

impl<E> Classify for Failed<E> {
    fn class(&self) -> Class {
        self.class
    }
}
