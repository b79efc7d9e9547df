//! The position of an audit in ranges.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::inventory::model::{Error, id::or_none as id};

/// The position of an audit in ranges: see
/// [`PgInventory::audit_range`](crate::inventory::PgInventory::audit_range).
///
/// Opaque. Store it as text, by its `Display` and `FromStr` or by serde, to continue in another process.
///
/// ```
/// use optilock::inventory::AuditPosition;
///
/// let stored = AuditPosition::START.to_string();
/// assert_eq!(stored.parse::<AuditPosition>()?, AuditPosition::START);
/// # Ok::<(), optilock::inventory::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuditPosition(pub(crate) Place);

/// The tables are read in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Ledger(LedgerPlace),
    /// After the order with this id; `None` before the first one.
    Orders(Option<Uuid>),
    /// After the reservation with this id; `None` before the first one.
    Reservations(Option<Uuid>),
}

/// After a movement of a product whose ledger is not read to its end: what its ledger amounts to so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LedgerPlace {
    pub(crate) sku: String,
    /// `None` before its first movement.
    pub(crate) version: Option<i64>,
    pub(crate) stock_after: i64,
    pub(crate) sum: i128,
    pub(crate) count: i64,
}

impl LedgerPlace {
    /// The place before the first movement of a product.
    pub(crate) const fn before(sku: String) -> Self {
        Self {
            sku,
            version: None,
            stock_after: 0,
            sum: 0,
            count: 0,
        }
    }
}

impl AuditPosition {
    /// The position before everything.
    pub const START: Self = Self(Place::Ledger(LedgerPlace::before(String::new())));
}

impl Default for AuditPosition {
    fn default() -> Self {
        Self::START
    }
}

/// Formats as the part of the audit and the place in it, separated by `/`; the last part may contain any text.
impl fmt::Display for AuditPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Ledger(LedgerPlace {
                sku, version: None, ..
            }) => write!(f, "movements/{sku}"),
            Place::Ledger(LedgerPlace {
                sku,
                version: Some(version),
                stock_after,
                sum,
                count,
            }) => write!(
                f,
                "movements-after/{version}/{stock_after}/{sum}/{count}/{sku}"
            ),
            Place::Orders(None) => f.write_str("orders/"),
            Place::Orders(Some(id)) => write!(f, "orders/{id}"),
            Place::Reservations(None) => f.write_str("reservations/"),
            Place::Reservations(Some(id)) => write!(f, "reservations/{id}"),
        }
    }
}

impl FromStr for AuditPosition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text.split_once('/').filter(|_| !text.contains('\0'));
        let place = parts.and_then(|(table, place)| match table {
            "movements" => Some(Place::Ledger(LedgerPlace::before(place.to_owned()))),
            "movements-after" => ledger_place(place).map(Place::Ledger),
            "orders" => id(place).map(Place::Orders),
            "reservations" => id(place).map(Place::Reservations),
            _ => None,
        });
        place
            .map(Self)
            .ok_or_else(|| Error::invalid("audit position", format!("{text:?} is not a position")))
    }
}

fn ledger_place(text: &str) -> Option<LedgerPlace> {
    let mut parts = text.splitn(5, '/');
    let mut part = || parts.next();
    Some(LedgerPlace {
        version: Some(part()?.parse().ok()?),
        stock_after: part()?.parse().ok()?,
        sum: part()?.parse().ok()?,
        count: part()?.parse().ok()?,
        sku: part()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_round_trips_as_text() {
        let ledger = LedgerPlace {
            sku: "a/b/ñ 7".to_owned(),
            version: Some(12),
            stock_after: -3,
            sum: i128::from(i64::MAX) * 4,
            count: 11,
        };
        let id = Uuid::from_u128(7);
        for place in [
            Place::Ledger(ledger),
            Place::Ledger(LedgerPlace::before(String::new())),
            Place::Orders(None),
            Place::Orders(Some(id)),
            Place::Reservations(None),
            Place::Reservations(Some(id)),
        ] {
            let position = AuditPosition(place);
            let text = position.to_string();
            assert_eq!(text.parse::<AuditPosition>().unwrap(), position, "{text}");
        }
        for wrong in [
            "",
            "orders",
            "orders/7",
            "products/",
            "movements-after/1/2/3/4",
            "movements-after/a/2/3/4/pot",
            "movements/a\0b",
        ] {
            let refused = wrong.parse::<AuditPosition>().unwrap_err();
            assert_eq!(refused.code(), "invalid", "{wrong}");
        }
    }
}
