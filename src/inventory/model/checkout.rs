use super::Product;
use super::{
    Error, Line, Money, Order, OrderId, ReservationId, Shortage, line, product::check_optional,
};
#[cfg(doc)]
use crate::inventory::model::ErrorKind;
use crate::{Version, Versioned};

/// A request to take all of its lines, or none, and to make an order of them.
///
/// Its order id is made here and is what makes it take effect exactly once: sent again, the same
/// `Checkout` (or a clone of it) is answered with the order that is there, with
/// [`replayed`](Order::replayed) set.
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
}

impl Checkout {
    /// The most lines of one checkout, before lines of one product are merged.
    pub const MAX_LINES: usize = line::MAX_LINES;

    /// A checkout of these lines; those of one product are merged.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] without lines, with more than [`MAX_LINES`](Self::MAX_LINES), when merged
    /// quantities pass [`Quantity::MAX`](crate::inventory::Quantity::MAX), or when lines of one product expect different things.
    pub fn new(lines: impl IntoIterator<Item = Line>) -> Result<Self, Error> {
        Ok(Self {
            id: OrderId::new(),
            customer: None,
            key: None,
            reservation: None,
            lines: line::merge("checkout", lines)?,
        })
    }

    /// With a key that names this request among its customer's: the same key and request, from
    /// another process or after a crash, is answered with the order that is there.
    ///
    /// For clients that can't keep an [`OrderId`]: the `Idempotency-Key` header of HTTP. 1 to 500
    /// bytes, no control characters, checked at checkout. Only success is remembered; a refusal is
    /// judged anew. Keys are kept until
    /// [`cleanup_idempotency_keys`](crate::inventory::Inventory::cleanup_idempotency_keys) forgets them.
    #[must_use]
    pub fn with_idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Takes what this reservation holds, before what is free.
    ///
    /// A checkout of fewer units leaves the rest held; one of more takes the others from what is free.
    /// Units whose hold has expired are taken if they are still there, and count against the hold all the same:
    /// what a hold covered is sold once. A reservation of a customer's is for that customer's checkouts only.
    /// One that was released or used up is [`ReservationClosed`](ErrorKind::ReservationClosed): its second
    /// checkout would be bought twice.
    #[must_use]
    pub const fn with_reservation(mut self, id: ReservationId) -> Self {
        self.reservation = Some(id);
        self
    }

    /// The reservation that it is from.
    #[must_use]
    pub const fn reservation(&self) -> Option<ReservationId> {
        self.reservation
    }

    /// The idempotency key.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// For this customer, as the host names them: 1 to 500 bytes, no control characters, checked at
    /// checkout.
    #[must_use]
    pub fn with_customer(mut self, customer: impl Into<String>) -> Self {
        self.customer = Some(customer.into());
        self
    }

    /// With an order id that the host made and stored, so that it can ask again after a crash.
    #[must_use]
    pub const fn with_order_id(mut self, id: OrderId) -> Self {
        self.id = id;
        self
    }

    /// The id that its order gets.
    #[must_use]
    pub const fn order_id(&self) -> OrderId {
        self.id
    }

    /// The customer.
    #[must_use]
    pub fn customer(&self) -> Option<&str> {
        self.customer.as_deref()
    }

    /// The lines, merged and sorted by SKU.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Refuses what could not be stored.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_optional("customer", self.customer.as_deref())?;
        check_optional("idempotency key", self.key.as_deref())
    }

    /// Whether all lines can be had from `facts`, one per line; if not, why. The one place where a
    /// checkout is judged.
    ///
    /// What the buyer must hear first comes first: a product that is gone, one that is paused, a price that
    /// changed, a version that moved on, and then every line that is short.
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

    /// Whether some line can be had only when expired holds are ended.
    pub(crate) fn waits_for_expiry(&self, facts: &[Option<Facts>]) -> bool {
        let mut lines = self.lines.iter().zip(facts);
        lines.any(|(line, facts)| {
            facts.is_some_and(|facts| {
                (facts.available + 1..=facts.obtainable()).contains(&line.quantity.get())
            })
        })
    }

    /// What it costs at these prices, one per line.
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

    /// The answer to this request when its order id or its key is taken: that order, if it was made by
    /// the same request.
    pub(crate) fn replay(&self, mut stored: Order) -> Result<Order, Error> {
        if stored.status == super::OrderStatus::Void {
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

/// What a checkout needs to know of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) available: i64,
    /// Units in holds that have expired and were not ended yet.
    pub(crate) expired: i64,
    pub(crate) version: Version,
    pub(crate) price: Money,
    pub(crate) paused: bool,
    /// Units of `available` that the checkout's own reservation holds, and that have not expired.
    pub(crate) held: i64,
    /// Versions that the checkout itself added, by the expiry of holds that were in its way.
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
