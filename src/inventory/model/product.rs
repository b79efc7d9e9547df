use chrono::{DateTime, Utc};

use super::{Error, Money, Sku, Stock};
use crate::{Conflict, Version, Versioned};

/// A product as it was read.
///
/// The fields are a copy and may be changed freely.
/// [`update_product`](crate::inventory::Inventory::update_product) writes `name` and `price` back and nothing
/// else.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Product {
    /// The key.
    pub sku: Sku,
    /// The name that buyers see: 1 to 500 bytes.
    pub name: String,
    /// Price of one unit.
    pub price: Money,
    /// Units on hand, reserved ones included.
    pub stock: Stock,
    /// Units held by reservations.
    pub reserved: Stock,
    /// The version, which grows with every change and numbers the ledger.
    pub version: Version,
    /// The revision, which grows with edits of name and price only. `update_product` compares it.
    pub revision: Version,
    /// Whether the sale is [paused](crate::inventory::Inventory::pause): the product is listed and can't be
    /// bought.
    pub paused: bool,
    /// The time at which it was first added.
    pub created_at: DateTime<Utc>,
    /// The time of the last change.
    pub updated_at: DateTime<Utc>,
}

impl Product {
    /// Creates a product at version 1 without stock, for implementations of
    /// [`Inventory`](crate::inventory::Inventory) and for tests.
    #[must_use]
    pub fn new(sku: Sku, name: impl Into<String>, price: Money) -> Self {
        Self {
            sku,
            name: name.into(),
            price,
            stock: Stock::ZERO,
            reserved: Stock::ZERO,
            version: Version::FIRST,
            revision: Version::FIRST,
            paused: false,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    /// Returns the units that can be sold: stock less reserved units.
    #[must_use]
    pub fn available(&self) -> i64 {
        self.stock.get().saturating_sub(self.reserved.get())
    }
}

impl Versioned for Product {
    type Id = Sku;
    const ENTITY: &'static str = "product";

    fn id(&self) -> &Sku {
        &self.sku
    }

    fn version(&self) -> Version {
        self.version
    }
}

/// A request to add a product.
///
/// ```
/// use optilock::inventory::{Money, NewProduct, Sku, Stock};
///
/// let pot = NewProduct::new(Sku::new("clay-pot")?, "Clay pot", Money::new(45_000, "MXN".parse()?)?)
///     .with_stock(Stock::new(12)?);
/// # let _ = pot;
/// # Ok::<(), optilock::inventory::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct NewProduct {
    pub(crate) sku: Sku,
    pub(crate) name: String,
    pub(crate) price: Money,
    pub(crate) stock: Stock,
}

impl NewProduct {
    /// Creates a request for a product without stock. The name (1 to 500 bytes, no control characters) is
    /// checked when the product is added.
    pub fn new(sku: Sku, name: impl Into<String>, price: Money) -> Self {
        Self {
            sku,
            name: name.into(),
            price,
            stock: Stock::ZERO,
        }
    }

    /// Sets the units on hand.
    pub const fn with_stock(mut self, stock: Stock) -> Self {
        self.stock = stock;
        self
    }

    /// Returns the key.
    #[must_use]
    pub const fn sku(&self) -> &Sku {
        &self.sku
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the price of one unit.
    #[must_use]
    pub const fn price(&self) -> Money {
        self.price
    }

    /// Returns the units on hand.
    #[must_use]
    pub const fn stock(&self) -> Stock {
        self.stock
    }
}

impl Error {
    pub(crate) fn no_product(sku: &Sku) -> Self {
        Self::not_found(Product::ENTITY, sku)
    }

    pub(crate) fn conflict_of(sku: &Sku, expected: Version, actual: Version) -> Self {
        Conflict::new(Product::ENTITY, sku.as_str(), expected, actual).into()
    }
}

/// Refuses a product at another version than expected.
pub(crate) fn unmoved(product: &Product, expected: Version) -> Result<(), Error> {
    if product.version == expected {
        return Ok(());
    }
    Err(Error::conflict_of(&product.sku, expected, product.version))
}

/// Refuses a product whose name or price was edited since this revision.
pub(crate) fn unedited(product: &Product, expected: Version) -> Result<(), Error> {
    if product.revision == expected {
        return Ok(());
    }
    let entity = "catalogue entry";
    Err(Conflict::new(entity, &product.sku, expected, product.revision).into())
}

/// Refuses a text that PostgreSQL can't store or a log line can't show: 1 to 500 bytes, no control characters.
pub(crate) fn check_text(what: &'static str, text: &str) -> Result<(), Error> {
    const MAX_BYTES: usize = 500;
    if text.trim().is_empty() {
        return Err(Error::invalid(what, "is empty"));
    }
    if text.len() > MAX_BYTES {
        return Err(Error::invalid(
            what,
            format!("is {} bytes long, the most is {MAX_BYTES}", text.len()),
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(what, "holds a control character"));
    }
    Ok(())
}

/// As [`check_text`], for an optional text.
pub(crate) fn check_optional(what: &'static str, text: Option<&str>) -> Result<(), Error> {
    text.map_or(Ok(()), |text| check_text(what, text))
}
