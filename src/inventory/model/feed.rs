//! The feed of all movements of an inventory, each once.

use std::{fmt, str::FromStr};

use super::{Error, Movement, Sku};

/// The position of a reader of
/// [`PgInventory::movements_since`](crate::inventory::PgInventory::movements_since).
///
/// Opaque. Store it as text, by its `Display` and `FromStr` or by serde, in one transaction with the results of
/// the movements before it. It belongs to one database, and is invalid in a database that was restored from a
/// dump.
///
/// ```
/// use optilock::inventory::FeedPosition;
///
/// let stored = FeedPosition::START.to_string();
/// assert_eq!(stored.parse::<FeedPosition>()?, FeedPosition::START);
/// # Ok::<(), optilock::inventory::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedPosition {
    pub(crate) transaction: i64,
    pub(crate) sku: String,
    pub(crate) version: i64,
}

impl FeedPosition {
    /// The position before the first movement.
    pub const START: Self = Self {
        transaction: 0,
        sku: String::new(),
        version: 0,
    };
}

/// Formats as three parts separated by `/`; the last part may contain any text.
impl fmt::Display for FeedPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.transaction, self.version, self.sku)
    }
}

impl FromStr for FeedPosition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let (transaction, rest) = text.split_once('/')?;
            let (version, sku) = rest.split_once('/')?;
            if !sku.is_empty() {
                Sku::new(sku).ok()?;
            }
            let number = |text: &str| {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse().ok().filter(|_| digits)
            };
            Some(Self {
                transaction: number(transaction)?,
                sku: sku.to_owned(),
                version: number(version)?,
            })
        };
        parse()
            .ok_or_else(|| Error::invalid("feed position", format!("{text:?} is not a position")))
    }
}

/// A page of the movements of all products.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MovementFeed {
    /// The movements; those of one transaction are together, sorted by SKU and version. A page may end within a
    /// transaction, whose other movements follow on the next page. Of two transactions that changed one
    /// product, the one with the lower version may come later.
    pub movements: Vec<Movement>,
    /// The position of the next page; without movements, that of this page.
    pub next: FeedPosition,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_round_trips_as_text() {
        let position = FeedPosition {
            transaction: 7_000_000_000,
            sku: "a/b/ñ 7".to_owned(),
            version: 12,
        };
        assert_eq!(position.to_string(), "7000000000/12/a/b/ñ 7");
        assert_eq!(
            position.to_string().parse::<FeedPosition>().unwrap(),
            position
        );
        for wrong in [
            "", "1", "1/2", "a/2/pot", "1/b/pot", "1/2/a\0b", "-5/0/pot", "+5/0/pot",
        ] {
            let refused = wrong.parse::<FeedPosition>().unwrap_err();
            assert_eq!(refused.code(), "invalid", "{wrong}");
        }
    }
}
