use std::{fmt, time::Duration};

use tokio::time::Instant;

/// How many units a product had left a moment ago: for the eyes of shoppers.
///
/// Not a [`Stock`](crate::inventory::Stock), and without a [`Version`](crate::Version): no sale, count or edit can be
/// made from it.
#[derive(Clone, Copy, Debug)]
pub struct DisplayedStock {
    pub(super) available: i64,
    pub(super) asked: Instant,
}

impl DisplayedStock {
    /// Whether there was none left.
    #[must_use]
    pub const fn is_sold_out(&self) -> bool {
        self.available <= 0
    }

    /// Units that were left, to be shown.
    #[must_use]
    pub const fn shown(&self) -> i64 {
        self.available
    }

    /// How long ago that was.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.asked.elapsed()
    }
}

/// `3 left` or `sold out`
impl fmt::Display for DisplayedStock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_sold_out() {
            f.write_str("sold out")
        } else {
            write!(f, "{} left", self.available)
        }
    }
}
