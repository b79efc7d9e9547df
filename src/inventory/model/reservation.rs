#[cfg(doc)]
use crate::inventory::model::ErrorKind;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{
    Error, Quantity, Sku, hold_state::HoldState, id::ReservationId, line::merge_units,
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

/// Refuses a duration out of range: 1 µs to [`Reserve::MAX_DURATION`].
pub(crate) fn check_duration(duration: Duration) -> Result<(), Error> {
    if duration < Duration::from_micros(1) || duration > Reserve::MAX_DURATION {
        let most = Reserve::MAX_DURATION.as_secs();
        let why = format!("{duration:?} is not above zero and at most {most} s");
        return Err(Error::invalid("duration", why));
    }
    Ok(())
}

/// A reservation as it was read: units held for a buyer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Reservation {
    /// The id.
    pub id: ReservationId,
    /// The customer that can use it; `None` for all.
    pub customer: Option<String>,
    /// The holds, one per product, sorted by SKU.
    pub holds: Vec<Hold>,
    /// The time at which it was created.
    pub created_at: DateTime<Utc>,
    /// Whether the call changed nothing because an earlier call had the same effect.
    pub replayed: bool,
}

impl Reservation {
    pub(crate) const ENTITY: &'static str = "reservation";

    /// Creates a reservation, for implementations of [`Inventory`](crate::inventory::Inventory) and for tests.
    #[must_use]
    pub const fn new(id: ReservationId, holds: Vec<Hold>, created_at: DateTime<Utc>) -> Self {
        Self {
            id,
            customer: None,
            holds,
            created_at,
            replayed: false,
        }
    }

    /// Refuses a checkout of this customer if it can't use the reservation.
    pub(crate) fn admit(&self, customer: Option<&str>) -> Result<(), Error> {
        if self.customer.is_some() && self.customer.as_deref() != customer {
            return Err(Error::not_found(Self::ENTITY, self.id));
        }
        let over = |state| matches!(state, HoldState::Consumed | HoldState::Released);
        match self.holds.iter().find(|hold| over(hold.state)) {
            Some(hold) if self.holds.iter().all(|hold| over(hold.state)) => {
                Err(Error::reservation_closed(self.id, hold.state))
            }
            _ => Ok(()),
        }
    }

    /// Returns the error of a reservation that holds nothing any more.
    pub(crate) fn closed(&self) -> Error {
        let mut states = self.holds.iter().map(|hold| hold.state);
        let state = states.find(|state| *state != HoldState::Held);
        Error::reservation_closed(self.id, state.unwrap_or(HoldState::Expired))
    }

    /// Returns whether a hold is live.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.holds.iter().any(|hold| hold.state == HoldState::Held)
    }
}

/// Units of one product that a reservation holds or held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Hold {
    /// The product.
    pub sku: Sku,
    /// Units requested.
    pub quantity: Quantity,
    /// Units still held; less than `quantity` after a checkout took some of them.
    pub held: i64,
    /// The state.
    pub state: HoldState,
    /// The time at which it expires, by the database's clock.
    pub expires_at: DateTime<Utc>,
}

impl Hold {
    /// Creates a hold of `quantity` units.
    #[must_use]
    pub const fn new(sku: Sku, quantity: Quantity, expires_at: DateTime<Utc>) -> Self {
        Self {
            sku,
            quantity,
            held: quantity.get(),
            state: HoldState::Held,
            expires_at,
        }
    }
}
