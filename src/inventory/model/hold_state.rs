use std::fmt;

/// What became of a [`Hold`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum HoldState {
    /// Its units are held.
    Held,
    /// An order took all of its units.
    Consumed,
    /// It was released.
    Released,
    /// Its time was up.
    Expired,
}

impl HoldState {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 4] = [Self::Held, Self::Consumed, Self::Released, Self::Expired];

    /// Stable, in kebab case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Consumed => "consumed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }

    /// Returns the number under which the database keeps it.
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
