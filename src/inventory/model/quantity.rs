use std::fmt;

use super::invalid_value::InvalidValue;

/// A number of units of a product in a request: 1 to [`MAX`](Self::MAX).
///
/// ```
/// use optilock::inventory::Quantity;
///
/// assert_eq!(Quantity::new(3)?.get(), 3);
/// assert!(Quantity::new(0).is_err());
/// # Ok::<(), optilock::inventory::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(i64);

impl Quantity {
    /// One unit.
    pub const ONE: Self = Self(1);
    /// The largest quantity of one line: a billion.
    pub const MAX: Self = Self(1_000_000_000);

    /// Creates a quantity of `units`: 1 to [`MAX`](Self::MAX).
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] below 1 and above [`MAX`](Self::MAX).
    pub fn new(units: i64) -> Result<Self, InvalidValue> {
        if (1..=Self::MAX.0).contains(&units) {
            Ok(Self(units))
        } else {
            Err(InvalidValue::new(
                "quantity",
                format!("{units} is not within 1 and {}", Self::MAX.0),
            ))
        }
    }

    /// Creates a quantity as it is stored, without a check: [`new`](Self::new) limits requests only.
    pub(crate) const fn stored(units: i64) -> Self {
        Self(units)
    }

    /// Returns the number of units.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number of units in stock: 0 to [`MAX`](Self::MAX).
///
/// The range limits what a caller sets. A product is read with the stock that is stored: a cancelled order may
/// give units back to a stock that has reached the limit since.
///
/// ```
/// use optilock::inventory::Stock;
///
/// assert_eq!(Stock::new(0)?, Stock::ZERO);
/// assert!(Stock::new(-1).is_err());
/// # Ok::<(), optilock::inventory::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stock(i64);

impl Stock {
    /// No units.
    pub const ZERO: Self = Self(0);
    /// The largest stock of one product: a trillion.
    pub const MAX: Self = Self(1_000_000_000_000);

    /// Creates a stock of `units`: 0 to [`MAX`](Self::MAX).
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] below 0 and above [`MAX`](Self::MAX).
    pub fn new(units: i64) -> Result<Self, InvalidValue> {
        if (0..=Self::MAX.0).contains(&units) {
            Ok(Self(units))
        } else {
            Err(InvalidValue::new(
                "stock",
                format!("{units} is not within 0 and {}", Self::MAX.0),
            ))
        }
    }

    /// Creates a stock as it is stored, without a check.
    pub(crate) const fn stored(units: i64) -> Self {
        Self(units)
    }

    /// Returns the number of units.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Stock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
