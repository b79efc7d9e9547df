//! Versions of rows, and the conflict of a write at an old version.

use std::{
    cmp::Ordering,
    fmt::{self, Debug, Display},
    hash::Hash,
    num::NonZeroI64,
    str::FromStr,
};

/// The version of a row: a whole number that grows by one with every write.
///
/// A writer states the version that it read, and the write takes effect only if the row still has that
/// version. Versions begin at 1, or at 0 in a table that another framework writes as well (Rails,
/// Hibernate). A version fits a `BIGINT` column. An `Option<Version>` has the size of a `Version`.
///
/// ```
/// use optilock::Version;
///
/// let read = Version::FIRST;
/// let written = read.next().expect("far from the last version");
/// assert_eq!(written.get(), 2);
/// assert!(written > read);
/// assert_eq!(written.to_string(), "2");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(
    /// The complement of the number: it is never 0, so that the `None` of an `Option` needs no space.
    NonZeroI64,
);

impl Version {
    /// The version of a new row: 1.
    pub const FIRST: Self = match Self::new(1) {
        Some(first) => first,
        None => panic!("1 is a version"),
    };

    /// The version of a new row in a table whose versions begin at 0.
    pub const ZERO: Self = match Self::new(0) {
        Some(zero) => zero,
        None => panic!("0 is a version"),
    };

    /// Returns the version with this number, or `None` below 0.
    #[must_use]
    pub const fn new(value: i64) -> Option<Self> {
        match NonZeroI64::new(!value) {
            Some(complement) if value >= 0 => Some(Self(complement)),
            _ => None,
        }
    }

    /// Returns the number, from 0 to [`i64::MAX`].
    #[must_use]
    pub const fn get(self) -> i64 {
        !self.0.get()
    }

    /// Returns the next version, or `None` after [`i64::MAX`].
    ///
    /// It does not wrap: with a repeated version, a stale write would succeed.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.get().checked_add(1) {
            Some(value) => Self::new(value),
            None => None,
        }
    }

    /// Returns the version after this number of changes, or `None` after [`i64::MAX`].
    #[cfg(feature = "inventory")]
    pub(crate) const fn plus(self, changes: i64) -> Option<Self> {
        match self.get().checked_add(changes) {
            Some(value) => Self::new(value),
            None => None,
        }
    }

    /// Returns this version as a strong entity tag (RFC 9110, section 8.8.3), for the `ETag` header.
    ///
    /// ```
    /// use optilock::Version;
    ///
    /// assert_eq!(Version::FIRST.etag(), "\"1\"");
    /// ```
    #[must_use]
    pub fn etag(self) -> String {
        format!("\"{self}\"")
    }

    /// Returns the version in an entity tag of [`etag`](Self::etag), or `None` for any other tag. For a whole
    /// `If-Match` header use [`IfMatch`](crate::IfMatch).
    ///
    /// A weak tag (`W/"5"`) is `None` as well: `If-Match` compares strongly (RFC 9110, section 13.1.1), and
    /// a weak tag never matches.
    ///
    /// ```
    /// use optilock::Version;
    ///
    /// assert_eq!(Version::from_etag("\"5\""), Version::new(5));
    /// assert_eq!(Version::from_etag("W/\"5\""), None);
    /// ```
    #[must_use]
    pub fn from_etag(tag: &str) -> Option<Self> {
        tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.get().cmp(&other.get())
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.get(), f)
    }
}

impl Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Version").field(&self.get()).finish()
    }
}

/// Reads the format of [`Display`] only: no sign, no leading zero, no space.
impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The parser of i64 accepts "+5" and "007": several spellings of one version.
        let is_canonical = text == "0" || text.starts_with(|first| matches!(first, '1'..='9'));
        if !is_canonical {
            return Err(ParseVersionError(()));
        }
        text.parse()
            .ok()
            .and_then(Self::new)
            .ok_or(ParseVersionError(()))
    }
}

/// The error of a text that is not a [`Version`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a version: expected a whole number from 0 to {max}", max = i64::MAX)]
pub struct ParseVersionError(());

#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl serde::Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.get())
    }
}

#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl<'de> serde::Deserialize<'de> for Version {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = i64::deserialize(deserializer)?;
        Self::new(value).ok_or_else(|| {
            let found = serde::de::Unexpected::Signed(value);
            serde::de::Error::invalid_value(found, &"a version, 0 or more")
        })
    }
}

/// A row, or the root of an aggregate, with a [`Version`].
///
/// ```
/// use optilock::{Version, Versioned};
///
/// struct Account { id: u64, version: Version, owner: String }
///
/// impl Versioned for Account {
///     type Id = u64;
///     const ENTITY: &'static str = "account";
///
///     fn id(&self) -> &u64 { &self.id }
///     fn version(&self) -> Version { self.version }
/// }
/// ```
pub trait Versioned {
    /// The type of the id.
    type Id: Clone + Eq + Hash + Display + Debug + Send + Sync + 'static;

    /// The kind of row, in lowercase: `"product"`. Used in errors, events and metrics.
    const ENTITY: &'static str;

    /// Returns the id.
    fn id(&self) -> &Self::Id;

    /// Returns the version at which the row was read.
    fn version(&self) -> Version;
}

/// The error of a write whose row is no longer at the version that the writer has read.
///
/// Nothing was written. The writer has to read the row again and decide again, as
/// [`with_retry`](crate::with_retry) does.
///
/// ```
/// use optilock::{Conflict, Version};
///
/// let (read, found) = (Version::new(5).unwrap(), Version::new(6).unwrap());
/// let conflict = Conflict::new("product", "mug-7", read, found);
/// assert_eq!(
///     conflict.to_string(),
///     "product mug-7 moved on: expected version 5, found 6",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{entity} {id} moved on: expected version {expected}, found {actual}")]
#[non_exhaustive]
pub struct Conflict {
    /// The kind of row, as in [`Versioned::ENTITY`].
    pub entity: &'static str,
    /// The id, as [`Versioned::Id`] is displayed.
    pub id: String,
    /// The version that the writer has read.
    pub expected: Version,
    /// The version that the row has now.
    pub actual: Version,
}

/// Serialises as an object with `entity`, `id`, `expected` and `actual`: the body of a 409 or 412.
#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl serde::Serialize for Conflict {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut body = serializer.serialize_struct("Conflict", 4)?;
        body.serialize_field("entity", self.entity)?;
        body.serialize_field("id", self.id.as_str())?;
        body.serialize_field("expected", &self.expected)?;
        body.serialize_field("actual", &self.actual)?;
        body.end()
    }
}

impl Conflict {
    /// Returns a conflict over the `entity` with this `id`.
    #[must_use]
    pub fn new(entity: &'static str, id: impl Display, expected: Version, actual: Version) -> Self {
        Self {
            entity,
            id: id.to_string(),
            expected,
            actual,
        }
    }
}
