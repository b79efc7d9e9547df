use uuid::Uuid;

#[cfg(doc)]
use super::ErrorKind;
use super::{Error, Quantity, Shortage, Sku, Stock, product::check_text};

/// A request to change a product's stock by a number of units: a delivery, breakage, theft.
///
/// It carries its own id and takes effect once, however often it is sent. A host that does not know whether its
/// first request arrived sends the same adjustment again.
///
/// ```
/// use optilock::inventory::{Adjustment, Sku};
///
/// let delivery = Adjustment::new(Sku::new("mug-7")?, 24, "delivery 2214")?;
/// let broken = Adjustment::new(Sku::new("mug-7")?, -1, "fell off the shelf")?;
/// # let _ = (delivery, broken);
/// # Ok::<(), optilock::inventory::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    pub(crate) id: Uuid,
    pub(crate) sku: Sku,
    pub(crate) delta: i64,
    pub(crate) reason: String,
}

impl Adjustment {
    /// Creates an adjustment by `delta` units, negative ones for a decrease, for `reason` (1 to 500 bytes).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a delta of 0 or beyond [`Stock::MAX`], and for a reason that is empty, too
    /// long, or contains a control character.
    pub fn new(sku: Sku, delta: i64, reason: impl Into<String>) -> Result<Self, Error> {
        let reason = reason.into();
        check_text("reason", &reason)?;
        if delta == 0 || delta.unsigned_abs() > Stock::MAX.get().unsigned_abs() {
            return Err(Error::invalid(
                "adjustment",
                format!("a delta of {delta} is zero or beyond {}", Stock::MAX),
            ));
        }
        Ok(Self {
            id: Uuid::now_v7(),
            sku,
            delta,
            reason,
        })
    }

    /// Sets an id of the host's own, for instance that of the delivery note.
    #[must_use]
    pub fn with_id(mut self, id: Uuid) -> Self {
        self.id = id;
        self
    }

    /// Returns the id under which it takes effect once.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// Returns the product.
    #[must_use]
    pub const fn sku(&self) -> &Sku {
        &self.sku
    }

    /// Returns the change in units.
    #[must_use]
    pub const fn delta(&self) -> i64 {
        self.delta
    }

    /// Returns the reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns the error of an adjustment that takes more units than are available.
    pub(crate) fn insufficient(&self, available: i64) -> Error {
        // A delta out of the range of a quantity is more than any stock.
        let requested = Quantity::new(-self.delta).unwrap_or(Quantity::MAX);
        let shortage = Shortage::new(self.sku.clone(), requested, available);
        Error::insufficient_stock(vec![shortage])
    }

    /// Returns the error of an adjustment whose stock would exceed the range.
    pub(crate) fn beyond(&self) -> Error {
        let why = format!("takes the stock of {} beyond {}", self.sku, Stock::MAX);
        Error::invalid("adjustment", why)
    }
}
