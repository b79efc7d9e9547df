use std::time::Duration;

#[cfg(doc)]
use super::ErrorKind;
use super::{
    Error, Quantity, Reservation, ReservationId, Shortage, Sku, checkout::Facts, line::merge_units,
    product::check_optional,
};

/// A request to hold units for a buyer during the payment: all lines or none, for a limited time.
///
/// Held units can't be sold to other buyers. A hold reserves units, not prices: the checkout is at the current
/// price, unless its lines expect another one.
///
/// ```
/// use std::time::Duration;
/// use optilock::inventory::{Quantity, Reserve, Sku};
///
/// let hold = Reserve::new([(Sku::new("clay-pot")?, Quantity::ONE)])?
///     .for_duration(Duration::from_secs(300))
///     .with_customer("ana@example.org");
/// # let _ = hold;
/// # Ok::<(), optilock::inventory::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserve {
    pub(crate) id: ReservationId,
    pub(crate) customer: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) lines: Vec<(Sku, Quantity)>,
    pub(crate) duration: Duration,
}

impl Reserve {
    /// The default duration of a hold: 10 minutes.
    pub const DEFAULT_DURATION: Duration = Duration::from_secs(600);
    /// The longest duration of a hold: 30 days.
    pub const MAX_DURATION: Duration = Duration::from_secs(30 * 24 * 3_600);

    /// Creates a request for these units, for [`DEFAULT_DURATION`](Self::DEFAULT_DURATION). Lines of one
    /// product are merged.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] as for [`Checkout::new`](crate::inventory::Checkout::new).
    pub fn new(lines: impl IntoIterator<Item = (Sku, Quantity)>) -> Result<Self, Error> {
        Ok(Self {
            id: ReservationId::new(),
            customer: None,
            key: None,
            lines: merge_units("reservation", lines)?,
            duration: Self::DEFAULT_DURATION,
        })
    }

    /// Sets the duration, to the microsecond: 1 µs to [`MAX_DURATION`](Self::MAX_DURATION), checked by
    /// [`reserve`](crate::inventory::Inventory::reserve).
    #[must_use]
    pub const fn for_duration(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    /// Sets the customer: only checkouts of this customer can use the reservation. Without one, every checkout
    /// that names its id can.
    #[must_use]
    pub fn with_customer(mut self, customer: impl Into<String>) -> Self {
        self.customer = Some(customer.into());
        self
    }

    /// Sets a key that identifies this request among those of its customer, as
    /// [`Checkout::with_idempotency_key`](crate::inventory::Checkout::with_idempotency_key) does. The key is
    /// never forgotten: a new reservation needs a new key.
    #[must_use]
    pub fn with_idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets an id that the host created and stored.
    #[must_use]
    pub const fn with_reservation_id(mut self, id: ReservationId) -> Self {
        self.id = id;
        self
    }

    /// Returns the id of its reservation.
    #[must_use]
    pub const fn reservation_id(&self) -> ReservationId {
        self.id
    }

    /// Returns the units, merged and sorted by SKU.
    #[must_use]
    pub fn lines(&self) -> &[(Sku, Quantity)] {
        &self.lines
    }

    /// Refuses texts that can't be stored, and durations out of range.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_optional("customer", self.customer.as_deref())?;
        check_optional("idempotency key", self.key.as_deref())?;
        check_duration(self.duration)
    }

    /// Judges the request by what is `found` of its products, one per line: returns whether it has to wait until
    /// expired holds are ended, or why it is refused. The one place where a reservation is judged.
    ///
    /// The first reason of this order is returned: a missing product, a paused one, every short line.
    pub(crate) fn judge(&self, found: &[Option<Available>]) -> Result<bool, Error> {
        let mut known = Vec::with_capacity(self.lines.len());
        for (line, found) in self.lines.iter().zip(found) {
            known.push((line, found.ok_or_else(|| Error::no_product(&line.0))?));
        }
        for ((sku, _), found) in &known {
            if found.paused {
                return Err(Error::product_paused(sku.clone()));
            }
        }
        let (mut short, mut behind) = (Vec::new(), false);
        for ((sku, quantity), found) in known {
            let obtainable = found.units + found.expired;
            behind |= found.units < quantity.get();
            if obtainable < quantity.get() {
                short.push(Shortage::new(sku.clone(), *quantity, obtainable));
            }
        }
        if short.is_empty() {
            Ok(behind)
        } else {
            Err(Error::insufficient_stock(short))
        }
    }

    /// Returns the answer when the id or the key is taken: the existing reservation, if the same request
    /// created it.
    pub(crate) fn replay(&self, mut stored: Reservation) -> Result<Reservation, Error> {
        let holds = stored.holds.iter().map(|hold| (&hold.sku, hold.quantity));
        let lines = self.lines.iter().map(|(sku, quantity)| (sku, *quantity));
        if stored.customer != self.customer || !holds.eq(lines) {
            let key = self.key.as_deref().filter(|_| stored.id != self.id);
            return Err(Error::idempotency_mismatch(
                Reservation::ENTITY,
                self.id,
                key,
            ));
        }
        stored.replayed = true;
        Ok(stored)
    }
}

/// What a reservation can take of a product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Available {
    pub(crate) units: i64,
    /// Units in expired holds that were not ended yet.
    pub(crate) expired: i64,
    pub(crate) paused: bool,
}

impl From<&Facts> for Available {
    fn from(facts: &Facts) -> Self {
        Self {
            units: facts.available,
            expired: facts.expired,
            paused: facts.paused,
        }
    }
}

/// Refuses a duration out of range: 1 µs to [`Reserve::MAX_DURATION`].
pub(crate) fn check_duration(duration: Duration) -> Result<(), Error> {
    if duration < Duration::from_micros(1) || duration > Reserve::MAX_DURATION {
        let most = Reserve::MAX_DURATION.as_secs();
        let why = format!("{duration:?} is not above zero and at most {most} s");
        return Err(Error::invalid("duration", why));
    }
    Ok(())
}
