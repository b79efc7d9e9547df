use std::any::Any;

#[cfg(doc)]
use super::ErrorKind;
use super::{
    Error, Line, Money, Order, OrderId, Product, ReservationId, Shortage, context::Context, line,
    order_status::OrderStatus, product::check_optional,
};
use crate::{Version, Versioned};

/// A request to take all of its lines or none, and to create an order of them.
///
/// Its order id is created with it, and makes it take effect exactly once: if the same `Checkout` or a clone of
/// it is sent again, the answer is the existing order, with [`replayed`](Order::replayed) set.
///
/// ```
/// use optilock::inventory::{Checkout, Line, Quantity, Sku};
///
/// let mug = Sku::new("mug-7")?;
/// let cart = Checkout::new([
///     Line::new(mug.clone(), Quantity::ONE),
///     Line::new(Sku::new("clay-pot")?, Quantity::new(2)?),
///     Line::new(mug, Quantity::ONE),
/// ])?
/// .with_customer("ana@example.org");
/// assert_eq!(cart.lines().len(), 2); // lines of one product are merged
/// # Ok::<(), optilock::inventory::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkout {
    pub(crate) id: OrderId,
    pub(crate) customer: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) reservation: Option<ReservationId>,
    pub(crate) lines: Vec<Line>,
    pub(crate) context: Context,
}

impl Checkout {
    /// The most lines in one checkout, before lines of one product are merged.
    pub const MAX_LINES: usize = line::MAX_LINES;

    /// Creates a checkout of these lines; lines of one product are merged.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] without lines, with more than [`MAX_LINES`](Self::MAX_LINES), when a merged
    /// quantity exceeds [`Quantity::MAX`](crate::inventory::Quantity::MAX), or when lines of one product expect
    /// different prices or versions.
    pub fn new(lines: impl IntoIterator<Item = Line>) -> Result<Self, Error> {
        Ok(Self {
            id: OrderId::new(),
            customer: None,
            key: None,
            reservation: None,
            lines: line::merge("checkout", lines)?,
            context: Context::default(),
        })
    }

    /// Sets a key that identifies this request among those of its customer: if the same request is sent again
    /// with the same key, from another process or after a crash, the answer is the existing order.
    ///
    /// For clients that can't store an [`OrderId`]: the `Idempotency-Key` header of HTTP. 1 to 500 bytes, no
    /// control characters, checked at checkout. Only an accepted checkout is remembered; a refused one is
    /// judged again. Keys are kept until
    /// [`cleanup_idempotency_keys`](crate::inventory::Inventory::cleanup_idempotency_keys) forgets them.
    #[must_use]
    pub fn with_idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Takes the units that this reservation holds before units that are free.
    ///
    /// A checkout of fewer units leaves the others held; one of more units takes the others from free stock.
    /// Units of an expired hold are taken if they are available, and count against the hold all the same: the
    /// units that a hold covers are sold once. A reservation that names a customer can only be used by
    /// checkouts of that customer. A reservation that was released or used up is refused with
    /// [`ReservationClosed`](ErrorKind::ReservationClosed), as a second checkout from it would sell its units
    /// twice.
    #[must_use]
    pub const fn with_reservation(mut self, id: ReservationId) -> Self {
        self.reservation = Some(id);
        self
    }

    /// Returns the reservation whose units it takes.
    #[must_use]
    pub const fn reservation(&self) -> Option<ReservationId> {
        self.reservation
    }

    /// Returns the idempotency key.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Sets the customer, as the host names it: 1 to 500 bytes, no control characters, checked at checkout.
    #[must_use]
    pub fn with_customer(mut self, customer: impl Into<String>) -> Self {
        self.customer = Some(customer.into());
        self
    }

    /// Sets an order id that the host created and stored, so that it can send the request again after a crash.
    #[must_use]
    pub const fn with_order_id(mut self, id: OrderId) -> Self {
        self.id = id;
        self
    }

    /// Sets a value of the host's that the hook receives by
    /// [`Accepted::context`](crate::inventory::Accepted::context): its cart, its delivery address. A second value
    /// replaces the first.
    ///
    /// The value is not part of the request. It is neither compared nor stored, clones share it, and the `Debug`
    /// text shows only whether there is one. A replayed order calls no hook, so its value is not used. An
    /// inventory without a [hook](crate::inventory::PgInventory::with_hook), such as
    /// [`MemoryInventory`](crate::inventory::MemoryInventory), does not use it.
    ///
    /// ```
    /// use optilock::inventory::{Checkout, Line, Quantity, Sku};
    ///
    /// struct Address(String);
    ///
    /// let cart = Checkout::new([Line::new(Sku::new("clay-pot")?, Quantity::ONE)])?;
    /// let sent = cart.clone().with_context(Address("Calle 7".to_owned()));
    /// assert_eq!(sent, cart); // the same request
    /// # Ok::<(), optilock::inventory::Error>(())
    /// ```
    #[must_use]
    pub fn with_context<T: Any + Send + Sync>(mut self, value: T) -> Self {
        self.context = Context::of(value);
        self
    }

    /// Returns the id of its order.
    #[must_use]
    pub const fn order_id(&self) -> OrderId {
        self.id
    }

    /// Returns the customer.
    #[must_use]
    pub fn customer(&self) -> Option<&str> {
        self.customer.as_deref()
    }

    /// Returns the lines, merged and sorted by SKU.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Refuses texts that can't be stored.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_optional("customer", self.customer.as_deref())?;
        check_optional("idempotency key", self.key.as_deref())
    }

    /// Judges the checkout by `facts`, one per line: returns why it is refused, or nothing if all lines are
    /// available. The one place where a checkout is judged.
    ///
    /// The first reason of this order is returned: a missing product, a paused one, a changed price, another
    /// version, every short line.
    pub(crate) fn judge(&self, facts: &[Option<Facts>]) -> Result<(), Error> {
        let mut known = Vec::with_capacity(self.lines.len());
        for (line, facts) in self.lines.iter().zip(facts) {
            known.push((line, facts.ok_or_else(|| Error::no_product(&line.sku))?));
        }
        for (line, facts) in &known {
            if facts.paused && line.quantity.get() > facts.held {
                return Err(Error::product_paused(line.sku.clone()));
            }
        }
        for (line, facts) in &known {
            match line.price {
                Some(expected) if expected != facts.price => {
                    return Err(Error::price_changed(
                        line.sku.clone(),
                        expected,
                        facts.price,
                    ));
                }
                _ => {}
            }
        }
        for (line, facts) in &known {
            match line.version {
                Some(expected) if expected.get() + facts.raised != facts.version.get() => {
                    return Err(Error::conflict_of(&line.sku, expected, facts.version));
                }
                _ => {}
            }
        }
        let short: Vec<Shortage> = known
            .iter()
            .filter(|(line, facts)| facts.obtainable() < line.quantity.get())
            .map(|(line, facts)| Shortage::new(line.sku.clone(), line.quantity, facts.obtainable()))
            .collect();
        if !short.is_empty() {
            return Err(Error::insufficient_stock(short));
        }
        self.total(known.iter().map(|(_, facts)| facts.price))
            .map(drop)
    }

    /// Returns whether a line is available only when expired holds are ended.
    pub(crate) fn waits_for_expiry(&self, facts: &[Option<Facts>]) -> bool {
        let mut lines = self.lines.iter().zip(facts);
        lines.any(|(line, facts)| {
            facts.is_some_and(|facts| {
                (facts.available + 1..=facts.obtainable()).contains(&line.quantity.get())
            })
        })
    }

    /// Returns the total at these prices, one per line.
    pub(crate) fn total(&self, prices: impl IntoIterator<Item = Money>) -> Result<Money, Error> {
        let mut total: Option<Money> = None;
        for (line, price) in self.lines.iter().zip(prices) {
            let Some(cost) = price.times(line.quantity) else {
                return Err(Error::total_too_large());
            };
            total = Some(match total {
                None => cost,
                Some(sum) if sum.currency() != cost.currency() => {
                    let (a, b) = (sum.currency(), cost.currency());
                    return Err(Error::invalid("checkout", format!("mixes {a} and {b}")));
                }
                Some(sum) => sum.plus(cost).ok_or_else(Error::total_too_large)?,
            });
        }
        total.ok_or_else(|| Error::invalid("checkout", "has no lines"))
    }

    /// Returns the answer when the order id or the key is taken: the existing order, if the same request
    /// created it.
    pub(crate) fn replay(&self, mut stored: Order) -> Result<Order, Error> {
        if stored.status == OrderStatus::Void {
            return Err(Error::invalid_order_state(stored.id, stored.status));
        }
        let same = stored.customer == self.customer
            && stored.lines.len() == self.lines.len()
            && stored
                .lines
                .iter()
                .zip(&self.lines)
                .all(|(a, b)| a.sku == b.sku && a.quantity == b.quantity);
        if !same {
            let key = self.key.as_deref().filter(|_| stored.id != self.id);
            return Err(Error::idempotency_mismatch(Order::ENTITY, self.id, key));
        }
        stored.replayed = true;
        Ok(stored)
    }
}

/// The facts of a product by which a checkout is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) available: i64,
    /// Units in expired holds that were not ended yet.
    pub(crate) expired: i64,
    pub(crate) version: Version,
    pub(crate) price: Money,
    pub(crate) paused: bool,
    /// Units of `available` in unexpired holds of the checkout's own reservation.
    pub(crate) held: i64,
    /// Versions that the checkout itself added by ending expired holds.
    pub(crate) raised: i64,
}

impl Facts {
    const fn obtainable(&self) -> i64 {
        self.available + self.expired
    }
}

impl From<&Product> for Facts {
    fn from(product: &Product) -> Self {
        Self {
            available: product.available(),
            expired: 0,
            version: product.version,
            price: product.price,
            paused: product.paused,
            held: 0,
            raised: 0,
        }
    }
}
