use std::fmt;

/// The state of a [`Hold`](crate::inventory::Hold).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum HoldState {
    /// The units are held.
    Held,
    /// Orders took all of its units.
    Consumed,
    /// The hold was released.
    Released,
    /// The hold has expired.
    Expired,
}

impl HoldState {
    /// All states, in the order of their numbers.
    pub(crate) const ALL: [Self; 4] = [Self::Held, Self::Consumed, Self::Released, Self::Expired];

    /// Returns a stable name in kebab case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Consumed => "consumed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }

    /// Returns the number that the database stores.
    pub(crate) const fn code(self) -> i16 {
        match self {
            Self::Held => 0,
            Self::Consumed => 1,
            Self::Released => 2,
            Self::Expired => 3,
        }
    }

    pub(crate) fn of_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}

impl fmt::Display for HoldState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
