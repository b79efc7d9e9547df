/// Errors returned by the constructors of values, such as [`Sku::new`](crate::inventory::Sku::new).
///
/// `?` converts it to an [`Error`](crate::inventory::Error) of the kind
/// [`ErrorKind::Invalid`](crate::inventory::ErrorKind::Invalid).
///
/// ```
/// use optilock::inventory::{Error, ErrorKind, Quantity};
///
/// let none = Quantity::new(0).unwrap_err();
/// assert_eq!(none.to_string(), "quantity 0 is not within 1 and 1000000000");
/// assert_eq!(Error::from(none).kind(), ErrorKind::Invalid);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {why}")]
pub struct InvalidValue {
    what: &'static str,
    why: String,
}

impl InvalidValue {
    pub(crate) fn new(what: &'static str, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { what, why }
    }

    /// Returns the name of the value, such as `quantity`.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        self.what
    }

    /// Returns what is wrong with the value.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }
}
