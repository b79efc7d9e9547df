use std::{fmt, str::FromStr, sync::Arc};

use super::invalid_value::InvalidValue;

/// A product's key: the host's own article number or id, as text.
///
/// 1 to [`MAX_BYTES`](Self::MAX_BYTES) bytes of UTF-8, without control characters and without white space at
/// either end. Sorted by bytes. Cheap to clone.
///
/// ```
/// use optilock::inventory::Sku;
///
/// assert_eq!(Sku::new("mug-7")?.as_str(), "mug-7");
/// assert!(Sku::new(" ").is_err());
/// # Ok::<(), optilock::inventory::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sku(Arc<str>);

impl Sku {
    /// The longest key, in bytes.
    pub const MAX_BYTES: usize = 200;

    /// Creates a key from `text`.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] for a text out of the range above.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, InvalidValue> {
        let text = text.into();
        if text.is_empty() {
            return Err(InvalidValue::new("sku", "is empty"));
        }
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidValue::new(
                "sku",
                format!(
                    "is {} bytes long, the most is {}",
                    text.len(),
                    Self::MAX_BYTES
                ),
            ));
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidValue::new(
                "sku",
                format!("{text:?} holds a control character"),
            ));
        }
        if text.trim().len() != text.len() {
            return Err(InvalidValue::new(
                "sku",
                format!("{text:?} begins or ends with white space"),
            ));
        }
        Ok(Self(text))
    }

    /// Returns the key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Sku {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::new(text)
    }
}
