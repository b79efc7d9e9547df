//! Serialization of the model's values by serde. Deserialized values are checked like any other input.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, Unexpected},
};

use super::{
    ArchivePosition, AuditPosition, Currency, FeedPosition, Money, OrderId, OutboxPosition,
    Quantity, ReservationId, Sku, Stock,
};

/// Serializes as text.
pub(super) fn as_text<S: Serializer>(
    value: &impl std::fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Implements serialization as text.
macro_rules! text {
    ($($name:ident)*) => {$(
        #[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        #[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

text! { ArchivePosition AuditPosition Sku Currency OrderId ReservationId FeedPosition OutboxPosition }

/// Implements serialization as a number.
macro_rules! number {
    ($($name:ident)*) => {$(
        #[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_i64(self.get())
            }
        }

        #[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $name::new(i64::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    )*};
}

number! { Quantity Stock }

#[derive(Serialize, Deserialize)]
struct Amount {
    minor: i64,
    currency: Currency,
}

/// Serializes as an object with `minor`, in minor units, and `currency`.
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (minor, currency) = (self.minor(), self.currency());
        Amount { minor, currency }.serialize(serializer)
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Amount { minor, currency } = Amount::deserialize(deserializer)?;
        Money::new(minor, currency)
            .map_err(|_| D::Error::invalid_value(Unexpected::Signed(minor), &"0 or more"))
    }
}
