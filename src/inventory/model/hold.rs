use chrono::{DateTime, Utc};

use super::{Quantity, Sku, hold_state::HoldState};

/// Units of one product that a reservation holds or held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Hold {
    /// The product.
    pub sku: Sku,
    /// Units requested.
    pub quantity: Quantity,
    /// Units still held; less than `quantity` after a checkout took some of them.
    pub held: i64,
    /// The state.
    pub state: HoldState,
    /// The time at which it expires, by the database's clock.
    pub expires_at: DateTime<Utc>,
}

impl Hold {
    /// Creates a hold of `quantity` units.
    #[must_use]
    pub const fn new(sku: Sku, quantity: Quantity, expires_at: DateTime<Utc>) -> Self {
        Self {
            sku,
            quantity,
            held: quantity.get(),
            state: HoldState::Held,
            expires_at,
        }
    }
}
