use chrono::{DateTime, Utc};

use super::{Error, hold::Hold, hold_state::HoldState, id::ReservationId};

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
        match self.holds.first() {
            Some(hold) if self.has_ended() => Err(Error::reservation_closed(self.id, hold.state)),
            _ => Ok(()),
        }
    }

    /// Returns whether it was released or used up.
    pub(crate) fn has_ended(&self) -> bool {
        let ended = |hold: &Hold| matches!(hold.state, HoldState::Consumed | HoldState::Released);
        self.holds.iter().all(ended)
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
