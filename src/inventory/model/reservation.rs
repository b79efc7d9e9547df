#[cfg(doc)]
use crate::inventory::model::ErrorKind;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{
    Error, Quantity, Sku,
    hold_state::HoldState,
    id::ReservationId,
    line::{Line, merge},
    product::check_optional,
};

/// A request to hold units for a buyer while they pay: all lines or none, for a time.
///
/// What is held nobody else can buy. It holds units, not prices: the checkout is at the price of its
/// moment, unless its lines expect one.
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
    /// How long units are held, unless the request says otherwise: 10 minutes.
    pub const DEFAULT_DURATION: Duration = Duration::from_secs(600);
    /// The longest that units are held at once: 30 days.
    pub const MAX_DURATION: Duration = Duration::from_secs(30 * 24 * 3_600);

    /// These units, for [`DEFAULT_DURATION`](Self::DEFAULT_DURATION). Lines of one product are merged.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] as for [`Checkout::new`](crate::inventory::Checkout::new).
    pub fn new(lines: impl IntoIterator<Item = (Sku, Quantity)>) -> Result<Self, Error> {
        let lines = lines
            .into_iter()
            .map(|(sku, quantity)| Line::new(sku, quantity));
        Ok(Self {
            id: ReservationId::new(),
            customer: None,
            key: None,
            lines: merge("reservation", lines)?
                .into_iter()
                .map(|line| (line.sku, line.quantity))
                .collect(),
            duration: Self::DEFAULT_DURATION,
        })
    }

    /// For so long, to the microsecond; checked when it is asked for: above zero, at most
    /// [`MAX_DURATION`](Self::MAX_DURATION).
    #[must_use]
    pub const fn for_duration(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    /// For this customer, who alone may check out from it. Without one, whoever knows its id may.
    #[must_use]
    pub fn with_customer(mut self, customer: impl Into<String>) -> Self {
        self.customer = Some(customer.into());
        self
    }

    /// With a key that names this request among its customer's, as
    /// [`Checkout::with_idempotency_key`](crate::inventory::Checkout::with_idempotency_key) has it; but it is never
    /// forgotten: a new reservation wants a new key.
    #[must_use]
    pub fn with_idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// With an id that the host made and stored.
    #[must_use]
    pub const fn with_reservation_id(mut self, id: ReservationId) -> Self {
        self.id = id;
        self
    }

    /// The id that its reservation gets.
    #[must_use]
    pub const fn reservation_id(&self) -> ReservationId {
        self.id
    }

    /// The units, merged and sorted by SKU.
    #[must_use]
    pub fn lines(&self) -> &[(Sku, Quantity)] {
        &self.lines
    }

    /// Refuses what could not be stored.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_optional("customer", self.customer.as_deref())?;
        check_optional("idempotency key", self.key.as_deref())?;
        check_duration(self.duration)
    }

    /// The answer to this request when its id or its key is taken: that reservation, if it was made by
    /// the same request.
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

/// Above zero, and not beyond a month.
pub(crate) fn check_duration(duration: Duration) -> Result<(), Error> {
    if duration < Duration::from_micros(1) || duration > Reserve::MAX_DURATION {
        let most = Reserve::MAX_DURATION.as_secs();
        let why = format!("{duration:?} is not above zero and at most {most} s");
        return Err(Error::invalid("duration", why));
    }
    Ok(())
}

/// Units held for a buyer, as it stood when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Reservation {
    /// Its id.
    pub id: ReservationId,
    /// For whom, if only for them.
    pub customer: Option<String>,
    /// One per product, sorted by SKU.
    pub holds: Vec<Hold>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Whether this call changed nothing, as an earlier one with the same meaning had been there.
    pub replayed: bool,
}

impl Reservation {
    pub(crate) const ENTITY: &'static str = "reservation";

    /// A reservation, for implementations of [`Inventory`](crate::inventory::Inventory) and for tests.
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

    /// Whether a checkout for this customer may be made from it.
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

    /// The error that tells what became of a reservation that holds nothing any more.
    pub(crate) fn closed(&self) -> Error {
        let mut states = self.holds.iter().map(|hold| hold.state);
        let state = states.find(|state| *state != HoldState::Held);
        Error::reservation_closed(self.id, state.unwrap_or(HoldState::Expired))
    }

    /// Whether anything is still held by it.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.holds.iter().any(|hold| hold.state == HoldState::Held)
    }
}

/// Units of one product that a reservation holds, or held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Hold {
    /// The product.
    pub sku: Sku,
    /// Units asked for.
    pub quantity: Quantity,
    /// Units still held; less than `quantity` after a checkout took some of them.
    pub held: i64,
    /// What became of it.
    pub state: HoldState,
    /// Until when, by the database's clock.
    pub expires_at: DateTime<Utc>,
}

impl Hold {
    /// A hold of all of its units.
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
