/// The result of a clean-up.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Cleanup {
    /// Orders cancelled.
    pub orders: u64,
    /// Holds expired: one per product of a reservation.
    pub holds: u64,
    /// Units given back, over all products.
    pub units: u64,
    /// Orders, or products with expired holds, that were locked at each attempt. The next clean-up tries them
    /// again.
    pub skipped: u64,
    /// Orders, or products with expired holds, that the database refused to change, by a constraint, a
    /// trigger or a policy, or whose product was deleted. An event with target `optilock::cleanup` names
    /// each: `WARN` for the first 100 of a call, `DEBUG` for the others.
    pub refused: u64,
    /// Whether rows were no longer there when their turn came: an attempt whose answer was lost, or another
    /// process, has changed them.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(crate) gone: bool,
}

/// Compares the numbers.
impl PartialEq for Cleanup {
    fn eq(&self, other: &Self) -> bool {
        self.numbers() == other.numbers()
    }
}

impl Eq for Cleanup {}

impl Cleanup {
    const NOTHING: Self = Self {
        orders: 0,
        holds: 0,
        units: 0,
        skipped: 0,
        refused: 0,
        gone: false,
    };

    const fn numbers(&self) -> [u64; 5] {
        [
            self.orders,
            self.holds,
            self.units,
            self.skipped,
            self.refused,
        ]
    }

    /// Creates a result of `orders` cancelled orders that gave `units` back.
    #[must_use]
    pub const fn of_orders(orders: u64, units: u64) -> Self {
        Self {
            orders,
            units,
            ..Self::NOTHING
        }
    }

    /// Creates a result of `holds` expired holds that gave `units` back.
    #[must_use]
    pub const fn of_holds(holds: u64, units: u64) -> Self {
        Self {
            holds,
            units,
            ..Self::NOTHING
        }
    }

    /// Returns the sums of both results.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            orders: self.orders + other.orders,
            holds: self.holds + other.holds,
            units: self.units + other.units,
            skipped: self.skipped + other.skipped,
            refused: self.refused + other.refused,
            gone: self.gone || other.gone,
        }
    }

    /// Returns whether an order or a hold was changed.
    #[must_use]
    pub const fn has_effect(&self) -> bool {
        self.orders > 0 || self.holds > 0
    }

    /// Returns whether an order or a hold was changed, or may have been by an attempt whose answer was lost.
    #[cfg(feature = "cache")]
    pub(crate) const fn may_have_effect(&self) -> bool {
        self.has_effect() || self.gone
    }
}

/// The result of one round of a [`Janitor`](crate::inventory::Janitor).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Cleaned {
    /// Orders cancelled and holds expired, with their units.
    pub cleanup: Cleanup,
    /// Idempotency keys forgotten.
    pub keys: u64,
}

impl Cleaned {
    /// Returns the sums of both results.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            cleanup: self.cleanup.plus(other.cleanup),
            keys: self.keys + other.keys,
        }
    }
}
