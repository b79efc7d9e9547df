//! The outbox of an inventory: its accepted orders, each once.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use super::{Error, Order};

/// The position of a reader of
/// [`PgInventory::outbox_since`](crate::inventory::PgInventory::outbox_since).
///
/// Opaque. Store it as text, by its `Display` and `FromStr` or by serde. It belongs to one database, and is invalid
/// in a database that was restored from a dump.
///
/// ```
/// use optilock::inventory::OutboxPosition;
///
/// let stored = OutboxPosition::START.to_string();
/// assert_eq!(stored.parse::<OutboxPosition>()?, OutboxPosition::START);
/// # Ok::<(), optilock::inventory::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxPosition {
    pub(crate) transaction: i64,
    pub(crate) order: Uuid,
}

impl OutboxPosition {
    /// The position before the first entry.
    pub const START: Self = Self {
        transaction: 0,
        order: Uuid::nil(),
    };
}

/// Formats as two parts separated by `/`.
impl fmt::Display for OutboxPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.transaction, self.order)
    }
}

impl FromStr for OutboxPosition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let (transaction, order) = text.split_once('/')?;
            let digits = transaction.bytes().all(|byte| byte.is_ascii_digit());
            Some(Self {
                transaction: transaction.parse().ok().filter(|_| digits)?,
                order: order.parse().ok()?,
            })
        };
        parse()
            .ok_or_else(|| Error::invalid("outbox position", format!("{text:?} is not a position")))
    }
}

/// An accepted order in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct OutboxEntry {
    /// The position of this entry: a reader that has handled it continues from here.
    pub position: OutboxPosition,
    /// The order as it is now: it may have been paid or cancelled since the checkout.
    pub order: Order,
}

/// A page of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct OutboxFeed {
    /// The entries; those of one transaction are together, sorted by order id. A page may end within a transaction,
    /// whose other entries follow on the next page.
    pub entries: Vec<OutboxEntry>,
    /// The position of the next page; if there is nothing to read yet, that of this page.
    pub next: OutboxPosition,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_round_trips_as_text() {
        let position = OutboxPosition {
            transaction: 7_000_000_000,
            order: Uuid::from_u128(7),
        };
        let text = "7000000000/00000000-0000-0000-0000-000000000007";
        assert_eq!(position.to_string(), text);
        assert_eq!(text.parse::<OutboxPosition>().unwrap(), position);
        let id = Uuid::from_u128(7);
        for wrong in [
            String::new(),
            "1".to_owned(),
            "1/2".to_owned(),
            format!("a/{id}"),
            format!("-5/{id}"),
            format!("+5/{id}"),
            format!("1/{id}/2"),
        ] {
            let refused = wrong.parse::<OutboxPosition>().unwrap_err();
            assert_eq!(refused.code(), "invalid", "{wrong}");
        }
    }
}
