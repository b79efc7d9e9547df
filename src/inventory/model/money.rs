use std::{fmt, str::FromStr};

use super::{invalid_value::InvalidValue, quantity::Quantity};

/// A currency: three capital letters, as in ISO 4217.
///
/// ```
/// use optilock::inventory::Currency;
///
/// assert_eq!("MXN".parse::<Currency>()?.as_str(), "MXN");
/// assert!("peso".parse::<Currency>().is_err());
/// # Ok::<(), optilock::inventory::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The code of ISO 4217 for "no currency": that of an order without lines.
    pub const NONE: Self = Self(*b"XXX");

    /// Returns the code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default() // always ASCII: checked when made
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Currency {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(InvalidValue::new(
                "currency",
                format!("{text:?} is not three capital letters"),
            )),
        }
    }
}

/// An amount of money, never negative, in a currency's minor units (cents, centavos).
///
/// `0` to [`MAX_MINOR`](Self::MAX_MINOR) minor units. Arithmetic is checked.
///
/// ```
/// use optilock::inventory::{Money, Quantity};
///
/// let price = Money::new(45_050, "MXN".parse()?)?;
/// assert_eq!(price.to_string(), "450.50 MXN");
/// assert_eq!(price.times(Quantity::new(2)?).map(Money::minor), Some(90_100));
/// # Ok::<(), optilock::inventory::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money {
    currency: Currency,
    minor: i64,
}

impl Money {
    /// The largest amount in minor units: `i64::MAX`, the range of a BIGINT.
    pub const MAX_MINOR: i64 = i64::MAX;

    /// Creates an amount of `minor` units: 0 to [`MAX_MINOR`](Self::MAX_MINOR).
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] for a negative amount.
    pub fn new(minor: i64, currency: Currency) -> Result<Self, InvalidValue> {
        if minor < 0 {
            return Err(InvalidValue::new("money", format!("{minor} is negative")));
        }
        Ok(Self { currency, minor })
    }

    /// Creates an amount as it is stored, without a check.
    pub(crate) const fn stored(minor: i64, currency: Currency) -> Self {
        Self { currency, minor }
    }

    /// Returns an amount of 0 in `currency`.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { currency, minor: 0 }
    }

    /// Returns the amount in minor units.
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// Returns the currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Returns the amount for `quantity` units, or `None` above [`MAX_MINOR`](Self::MAX_MINOR).
    #[must_use]
    pub fn times(self, quantity: Quantity) -> Option<Self> {
        let minor = self.minor.checked_mul(quantity.get())?;
        Some(Self { minor, ..self })
    }

    /// Returns the sum, or `None` for another currency or above [`MAX_MINOR`](Self::MAX_MINOR).
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        Some(Self {
            minor: self.minor.checked_add(other.minor)?,
            ..self
        })
    }
}

/// Formats with two decimals, which suits most currencies; a host with other currencies formats the amount.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minor < 0 { "-" } else { "" };
        let minor = self.minor.unsigned_abs();
        write!(
            f,
            "{sign}{}.{:02} {}",
            minor / 100,
            minor % 100,
            self.currency
        )
    }
}
