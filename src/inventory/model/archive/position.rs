//! The position of an archive.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::inventory::model::{Error, id::or_none as id};

/// The position of an archive: see [`PgInventory::archive`](crate::inventory::PgInventory::archive).
///
/// Opaque. Store it as text, by its `Display` and `FromStr` or by serde, to continue in another process. An archive that
/// starts again looks at everything that stayed, and at the ids of what left.
///
/// ```
/// use optilock::inventory::ArchivePosition;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let start = ArchivePosition::before("2025-01-01T00:00:00Z".parse()?);
/// assert_eq!(start.to_string().parse::<ArchivePosition>()?, start);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ArchivePosition {
    pub(crate) before: DateTime<Utc>,
    pub(crate) place: Place,
}

/// The tables are looked at in this order: a ledger is closed up to the orders and reservations that stay.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// After the order with this id; `None` before the first one.
    Orders(Option<Uuid>),
    /// After the reservation with this id; `None` before the first one.
    Reservations(Option<Uuid>),
    /// From the ledger of this SKU on.
    From(String),
    /// After the ledger of this SKU.
    After(String),
}

impl ArchivePosition {
    /// The position at which an archive of everything before this time begins. Digits below a microsecond are cut off.
    #[must_use]
    pub fn before(time: DateTime<Utc>) -> Self {
        let micros = DateTime::from_timestamp_micros(time.timestamp_micros());
        Self {
            before: micros.unwrap_or(time),
            place: Place::Orders(None),
        }
    }

    /// Returns the time before which everything leaves that has ended.
    #[must_use]
    pub const fn time(&self) -> DateTime<Utc> {
        self.before
    }
}

/// Formats as the time in microseconds since 1970, the part of the archive and the place in it, separated by `/`; the last part may contain any
/// text.
impl fmt::Display for ArchivePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.before.timestamp_micros();
        match &self.place {
            Place::Orders(None) => write!(f, "{before}/orders/"),
            Place::Orders(Some(id)) => write!(f, "{before}/orders/{id}"),
            Place::Reservations(None) => write!(f, "{before}/reservations/"),
            Place::Reservations(Some(id)) => write!(f, "{before}/reservations/{id}"),
            Place::From(sku) => write!(f, "{before}/movements/{sku}"),
            Place::After(sku) => write!(f, "{before}/movements-after/{sku}"),
        }
    }
}

impl FromStr for ArchivePosition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let (before, rest) = text.split_once('/')?;
            let (part, place) = rest.split_once('/')?;
            let before = DateTime::from_timestamp_micros(before.parse().ok()?)?;
            let place = match part {
                "orders" => Place::Orders(id(place)?),
                "reservations" => Place::Reservations(id(place)?),
                "movements" => Place::From(place.to_owned()),
                "movements-after" => Place::After(place.to_owned()),
                _ => return None,
            };
            Some(Self { before, place })
        };
        let position = Some(text).filter(|text| !text.contains('\0'));
        position.and_then(|_| parse()).ok_or_else(|| {
            Error::invalid("archive position", format!("{text:?} is not a position"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_round_trips_as_text() {
        let before = DateTime::from_timestamp_nanos(1_700_000_000_123_456_789);
        let start = ArchivePosition::before(before);
        assert_eq!(start.to_string(), "1700000000123456/orders/");
        for extreme in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            let position = ArchivePosition::before(extreme);
            let text = position.to_string();
            assert_eq!(text.parse::<ArchivePosition>().unwrap(), position, "{text}");
        }
        let id = Uuid::from_u128(7);
        for place in [
            Place::Orders(None),
            Place::Orders(Some(id)),
            Place::Reservations(None),
            Place::Reservations(Some(id)),
            Place::From(String::new()),
            Place::From("a/b/ñ 7".to_owned()),
            Place::After("a/b/ñ 7".to_owned()),
        ] {
            let before = start.before;
            let position = ArchivePosition { before, place };
            let text = position.to_string();
            assert_eq!(text.parse::<ArchivePosition>().unwrap(), position, "{text}");
        }
        for wrong in [
            "",
            "17",
            "17/orders",
            "17/orders/7",
            "17/products/",
            "x/orders/",
            "9223372036854775807/orders/",
            "17/movements/a\0b",
        ] {
            let refused = wrong.parse::<ArchivePosition>().unwrap_err();
            assert_eq!(refused.code(), "invalid", "{wrong}");
        }
    }
}
