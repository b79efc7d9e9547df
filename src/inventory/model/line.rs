#[cfg(doc)]
use super::ErrorKind;
use super::{Error, Money, Quantity, Sku};
use crate::Version;

/// The most lines in one request, before lines of one product are merged.
pub(crate) const MAX_LINES: usize = 1_000;

/// A number of units of one product, with the price or the version that the buyer saw.
///
/// ```
/// use optilock::inventory::{Line, Money, Quantity, Sku};
///
/// let seen = Money::new(45_000, "MXN".parse()?)?;
/// let line = Line::new(Sku::new("clay-pot")?, Quantity::ONE).expecting_price(seen);
/// # let _ = line;
/// # Ok::<(), optilock::inventory::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Line {
    pub(crate) sku: Sku,
    pub(crate) quantity: Quantity,
    pub(crate) version: Option<Version>,
    pub(crate) price: Option<Money>,
}

impl Line {
    /// Creates a line of `quantity` units of `sku`, at any price.
    pub const fn new(sku: Sku, quantity: Quantity) -> Self {
        Self {
            sku,
            quantity,
            version: None,
            price: None,
        }
    }

    /// Expects this price: if the product has another one, the checkout is refused with
    /// [`ErrorKind::PriceChanged`]. Suits a shop, as purchases of other buyers don't change the price.
    pub const fn expecting_price(mut self, price: Money) -> Self {
        self.price = Some(price);
        self
    }

    /// Expects this version: if the product has changed in any way, the checkout is refused with
    /// [`ErrorKind::Conflict`]. Every sale changes the version, so a contended product is refused often.
    pub const fn expecting_version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// Returns the product.
    #[must_use]
    pub const fn sku(&self) -> &Sku {
        &self.sku
    }

    /// Returns the number of units.
    #[must_use]
    pub const fn quantity(&self) -> Quantity {
        self.quantity
    }

    /// Returns the version that it expects, if any.
    #[must_use]
    pub const fn expected_version(&self) -> Option<Version> {
        self.version
    }

    /// Returns the price that it expects, if any.
    #[must_use]
    pub const fn expected_price(&self) -> Option<Money> {
        self.price
    }

    /// Adds another line of the same product to this one.
    fn absorb(&mut self, other: &Self) -> Result<(), Error> {
        if self.version.is_some() && other.version.is_some() && self.version != other.version {
            return Err(Error::invalid(
                "checkout",
                format!("two lines of {} expect different versions", self.sku),
            ));
        }
        if self.price.is_some() && other.price.is_some() && self.price != other.price {
            return Err(Error::invalid(
                "checkout",
                format!("two lines of {} expect different prices", self.sku),
            ));
        }
        self.quantity = Quantity::new(self.quantity.get() + other.quantity.get())?;
        self.version = self.version.or(other.version);
        self.price = self.price.or(other.price);
        Ok(())
    }
}

/// Merges lines of one product, and sorts by SKU. `what` names the request in errors.
pub(crate) fn merge(
    what: &'static str,
    lines: impl IntoIterator<Item = Line>,
) -> Result<Vec<Line>, Error> {
    let mut lines: Vec<Line> = lines.into_iter().take(MAX_LINES + 1).collect();
    if lines.is_empty() {
        return Err(Error::invalid(what, "has no lines"));
    }
    if lines.len() > MAX_LINES {
        return Err(Error::invalid(
            what,
            format!("has more than {MAX_LINES} lines"),
        ));
    }
    lines.sort_by(|a, b| a.sku.cmp(&b.sku));
    let mut merged: Vec<Line> = Vec::with_capacity(lines.len());
    for line in lines {
        match merged.last_mut() {
            Some(last) if last.sku == line.sku => last.absorb(&line)?,
            _ => merged.push(line),
        }
    }
    Ok(merged)
}

/// Merges units of one product, and sorts by SKU. `what` names the request in errors.
pub(crate) fn merge_units(
    what: &'static str,
    lines: impl IntoIterator<Item = (Sku, Quantity)>,
) -> Result<Vec<(Sku, Quantity)>, Error> {
    let lines = lines.into_iter();
    let lines = merge(what, lines.map(|(sku, quantity)| Line::new(sku, quantity)))?;
    Ok(lines
        .into_iter()
        .map(|line| (line.sku, line.quantity))
        .collect())
}
