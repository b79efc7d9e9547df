//! An error with the class that its phase gives it.

use crate::{Class, Classify, postgres::classify::Judgement};

/// An error with the class that it has in its phase, which may differ from its own class.
#[derive(Debug)]
pub(crate) struct Failed<E> {
    pub(crate) error: E,
    pub(crate) class: Class,
    /// The connection's prepared statements no longer fit the schema.
    pub(crate) stale_plan: bool,
    /// It is the error of a `COMMIT`.
    pub(crate) at_commit: bool,
}

impl<E> Failed<E> {
    pub(crate) const fn new(error: E, class: Class) -> Self {
        let stale_plan = false;
        Self::judged(error, Judgement { class, stale_plan })
    }

    pub(crate) const fn judged(error: E, judgement: Judgement) -> Self {
        let Judgement { class, stale_plan } = judgement;
        Self {
            error,
            class,
            stale_plan,
            at_commit: false,
        }
    }

    /// The same, with `change` made to the error, which receives the class as well.
    pub(super) fn map<F>(self, change: impl FnOnce(E, Class) -> F) -> Failed<F> {
        let Self {
            error,
            class,
            stale_plan,
            at_commit,
        } = self;
        Failed {
            error: change(error, class),
            class,
            stale_plan,
            at_commit,
        }
    }

    /// The same, as the error of a `COMMIT`.
    pub(super) fn of_commit(mut self) -> Self {
        self.at_commit = true;
        self
    }
}

impl<E> Classify for Failed<E> {
    fn class(&self) -> Class {
        self.class
    }
}
