//! An error with the class that its phase gives it.

use crate::{Class, Classify, postgres::classify::Judgement};

/// An error with the class that it has in its phase, which may differ from its own class.
#[derive(Debug)]
pub(crate) struct Failed<E> {
    pub(crate) error: E,
    pub(crate) class: Class,
    /// The connection's prepared statements no longer fit the schema.
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
}

impl<E> Classify for Failed<E> {
    fn class(&self) -> Class {
        self.class
    }
}
