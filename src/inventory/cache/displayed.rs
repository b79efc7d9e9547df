use std::{fmt, time::Duration};

use tokio::time::Instant;

/// How many units a product had left a moment ago: for the eyes of shoppers.
///
/// Not a [`Stock`](crate::inventory::Stock), and without a [`Version`](crate::Version): no sale, count or edit can be
/// made from it.
#[derive(Clone, Copy, Debug)]
pub struct DisplayedStock {
    pub(super) available: i64,
    pub(super) paused: bool,
    pub(super) asked: Instant,
}

impl DisplayedStock {
    /// Whether nothing can be bought: none was left, or the sale was paused.
    #[must_use]
    pub const fn is_sold_out(&self) -> bool {
        self.shown() == 0
    }

    /// Whether the sale of the product was [paused](crate::inventory::Inventory::pause).
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    /// Units that were left, to be shown: 0 or more, and 0 while the sale is paused.
    #[must_use]
    pub const fn shown(&self) -> i64 {
        if self.paused || self.available < 0 {
            0
        } else {
            self.available
        }
    }

    /// How long ago that was.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.asked.elapsed()
    }
}

/// `3 left`, `sold out` or `not available`, while the sale is paused
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
