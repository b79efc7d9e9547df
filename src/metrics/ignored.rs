//! Nothing is recorded, without the feature `metrics`.

#[inline]
pub(crate) const fn attempts(_entity: &'static str, _attempts: u32) {}

pub(crate) const fn conflict(_entity: &'static str, _escaped: bool) {}

pub(crate) const fn unknown_outcome(_entity: &'static str) {}
