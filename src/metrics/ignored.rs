//! The facade without the feature `metrics`: it records nothing.

#[inline]
pub(crate) const fn attempts(_entity: &'static str, _attempts: u32) {}

pub(crate) const fn conflict(_entity: &'static str, _escaped: bool) {}

pub(crate) const fn unknown_outcome(_entity: &'static str) {}

/// Measures a transaction: here, nothing.
#[cfg(feature = "postgres")]
pub(crate) struct Timer;

#[cfg(feature = "postgres")]
impl Timer {
    pub(crate) const fn start() -> Self {
        Self
    }

    pub(crate) const fn transaction(self, _outcome: &'static str) {}
}

#[cfg(feature = "inventory")]
pub(crate) const fn cleaned(_what: &'static str, _count: u64) {}

#[cfg(feature = "inventory")]
pub(crate) const fn cleanup_failed(_what: &'static str) {}

#[cfg(feature = "inventory")]
pub(crate) const fn cleanup_refused(_what: &'static str, _count: u64) {}
