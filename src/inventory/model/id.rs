//! Ids that clients create: UUIDs, each of its own type.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use super::invalid_value::InvalidValue;

macro_rules! id {
    ($(#[$docs:meta])* $name:ident, $what:literal) => {
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Creates an id: a UUID of version 7 (RFC 9562), so that ids sort by the time of their creation.
            #[must_use]
            #[expect(
                clippy::new_without_default,
                reason = "a default that differs at every call surprises"
            )]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// Returns the UUID.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                text.parse()
                    .map(Self)
                    .map_err(|_| InvalidValue::new($what, format!("{text:?} is not a UUID")))
            }
        }
    };
}

id! {
    /// An order's id: a UUID, created by the client before its first attempt.
    ///
    /// It makes a checkout take effect exactly once.
    OrderId, "order id"
}

id! {
    /// A reservation's id: a UUID, created by the client before its first attempt.
    ///
    /// It makes a reservation take effect exactly once.
    ReservationId, "reservation id"
}

/// Reads the id in a position: none if the text is empty. Returns `None` if it is no id.
pub(super) fn or_none(text: &str) -> Option<Option<Uuid>> {
    if text.is_empty() {
        return Some(None);
    }
    Uuid::try_parse(text).ok().map(Some)
}
