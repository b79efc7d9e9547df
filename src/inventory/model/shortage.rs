use super::{Quantity, Sku};

/// A line that requests more units than are available.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Shortage {
    /// The product.
    pub sku: Sku,
    /// Units requested, over all lines of that product.
    pub requested: Quantity,
    /// Units available: stock less reserved units.
    pub available: i64,
}

impl Shortage {
    /// Creates a shortage.
    #[must_use]
    pub const fn new(sku: Sku, requested: Quantity, available: i64) -> Self {
        Self {
            sku,
            requested,
            available,
        }
    }
}

/// Formats shortages for an error's message.
pub(crate) fn list(shortages: &[Shortage]) -> String {
    let mut text = String::new();
    for Shortage {
        sku,
        requested,
        available,
    } in shortages
    {
        let comma = if text.is_empty() { "" } else { ", " };
        text += &format!("{comma}{requested} of {sku} requested, {available} available");
    }
    text
}
