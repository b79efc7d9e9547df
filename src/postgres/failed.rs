use crate::{Class, Classify};

/// An error with the class that it has in its phase, which may differ from the one it would give
/// itself.
#[derive(Debug)]
pub(crate) struct Failed<E> {
    pub(crate) error: E,
    pub(crate) class: Class,
}

impl<E> Failed<E> {
    pub(crate) const fn new(error: E, class: Class) -> Self {
        Self { error, class }
    }

    /// An error of an operation inside a transaction whose `COMMIT` was never sent: whatever the
    /// error says of itself, nothing took effect.
    pub(crate) fn before_commit(error: E) -> Self
    where
        E: Classify,
    {
        let class = match error.class() {
            Class::Unknown => Class::Busy { retry_after: None },
            class => class,
        };
        Self { error, class }
    }
}

impl<E> Classify for Failed<E> {
    fn class(&self) -> Class {
        self.class
    }
}
