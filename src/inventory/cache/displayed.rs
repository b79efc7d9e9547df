use std::{fmt, time::Duration};

use tokio::time::Instant;

/// The stock of a product as it was a short time ago, for display.
///
/// It is no [`Stock`](crate::inventory::Stock) and has no [`Version`](crate::Version): no sale, count or edit
/// can be based on it.
#[derive(Clone, Copy, Debug)]
pub struct DisplayedStock {
    pub(super) available: i64,
    pub(super) paused: bool,
    pub(super) asked: Instant,
}

impl DisplayedStock {
    /// Returns whether the product can't be bought: no units were left, or the sale was paused.
    #[must_use]
    pub const fn is_sold_out(&self) -> bool {
        self.shown() == 0
    }

    /// Returns whether the sale was [paused](crate::inventory::Inventory::pause).
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    /// Returns the units to show: 0 or more, and 0 while the sale is paused.
    #[must_use]
    pub const fn shown(&self) -> i64 {
        if self.paused || self.available < 0 {
            0
        } else {
            self.available
        }
    }

    /// Returns the time since the inventory was asked.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.asked.elapsed()
    }
}

/// Formats as `3 left`, `sold out`, or `not available` while the sale is paused.
impl fmt::Display for DisplayedStock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_paused() {
            f.write_str("not available")
        } else if self.is_sold_out() {
            f.write_str("sold out")
        } else {
            write!(f, "{} left", self.available)
        }
    }
}
