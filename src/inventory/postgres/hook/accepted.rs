use std::any::Any;

#[cfg(doc)]
use crate::inventory::model::Checkout;
use crate::{
    Version,
    inventory::model::{Order, Quantity, Sku, context::Context},
};

/// An accepted checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// The order.
    pub order: Order,
    /// The change of each product, sorted by SKU.
    pub changes: Vec<Change>,
    pub(super) context: Context,
}

impl Accepted {
    /// Creates a value for tests of a hook.
    #[must_use]
    pub fn new(order: Order, changes: Vec<Change>) -> Self {
        Self {
            order,
            changes,
            context: Context::default(),
        }
    }

    pub(crate) fn of(order: Order, changes: Vec<Change>, context: &Context) -> Self {
        Self {
            order,
            changes,
            context: context.clone(),
        }
    }

    /// Sets the context, for tests of a hook.
    #[must_use]
    pub fn with_context<T: Any + Send + Sync>(mut self, value: T) -> Self {
        self.context = Context::of(value);
        self
    }

    /// Returns the value that the host gave to the request with [`Checkout::with_context`]; `None` without a
    /// value, and for a value of another type.
    ///
    /// ```
    /// use optilock::inventory::{Accepted, Order, OrderId};
    ///
    /// struct Address(String);
    ///
    /// fn address_of(accepted: &Accepted) -> Option<&str> {
    ///     accepted.context::<Address>().map(|address| address.0.as_str())
    /// }
    /// # fn test(order: Order) {
    /// let accepted = Accepted::new(order, vec![]);
    /// assert_eq!(address_of(&accepted), None);
    /// let accepted = accepted.with_context(Address("Calle 7".to_owned()));
    /// assert_eq!(address_of(&accepted), Some("Calle 7"));
    /// # }
    /// ```
    #[must_use]
    pub fn context<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.context.get()
    }
}

/// The change of one product by a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The product.
    pub sku: Sku,
    /// Units sold.
    pub quantity: Quantity,
    /// The product's version after the sale.
    pub version: Version,
    /// Units on hand after the sale.
    pub stock: i64,
    /// Units of those that reservations hold.
    pub reserved: i64,
}

impl Change {
    /// Creates a value for tests of a hook.
    #[must_use]
    pub const fn new(
        sku: Sku,
        quantity: Quantity,
        version: Version,
        stock: i64,
        reserved: i64,
    ) -> Self {
        Self {
            sku,
            quantity,
            version,
            stock,
            reserved,
        }
    }

    /// Returns whether this sale took the units on hand below `threshold`. That is true for one sale until
    /// units come back. Adjustments, counts and revived orders call no hook.
    #[must_use]
    pub const fn went_below(&self, threshold: i64) -> bool {
        self.stock < threshold && self.stock + self.quantity.get() >= threshold
    }

    /// Returns the units that can still be sold: on hand less reserved.
    #[must_use]
    pub const fn available(&self) -> i64 {
        self.stock - self.reserved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sale_goes_below_a_threshold() {
        let change = |stock, quantity| {
            let (sku, quantity) = (Sku::new("pot").unwrap(), Quantity::new(quantity).unwrap());
            Change::new(sku, quantity, Version::FIRST, stock, 1)
        };
        assert!(!change(5, 3).went_below(5));
        assert!(change(4, 1).went_below(5));
        assert!(change(0, 9).went_below(5));
        assert!(!change(3, 1).went_below(5));
        assert_eq!(change(4, 1).available(), 3);
    }
}
