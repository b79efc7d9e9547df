mod constructors;
mod facts;
mod kind;
mod repr;

use std::time::Duration;

use super::{HoldState, InvalidValue, OrderId, OrderStatus, ReservationId, Shortage, Sku};
use crate::{Class, Classify, Conflict, Outcome, RetryError, StopReason};

pub use facts::{Exhausted, PriceChange};
pub use kind::ErrorKind;
pub(crate) use repr::Repr;
pub use repr::{BoxError, Error};

impl From<Repr> for Error {
    fn from(repr: Repr) -> Self {
        Self(Box::new(repr))
    }
}

impl From<InvalidValue> for Error {
    fn from(invalid: InvalidValue) -> Self {
        Repr::Invalid(invalid).into()
    }
}

impl From<Conflict> for Error {
    fn from(conflict: Conflict) -> Self {
        Repr::Conflict(conflict).into()
    }
}

impl Error {
    /// Returns an [`ErrorKind::Unknown`] with this error as its source: the operation may have taken effect.
    #[must_use]
    pub fn into_unknown(self) -> Self {
        Repr::Unknown(Box::new(self)).into()
    }

    /// The same, of what came after something had been written and committed: whatever it says of itself,
    /// it must not say that nothing happened.
    pub(crate) fn after(self, wrote: bool) -> Self {
        match self {
            error if wrote && !error.is_unknown() => error.into_unknown(),
            error => error,
        }
    }

    /// The same, where the phase of a transaction knows better than the error itself: one that was
    /// lost before `COMMIT` did nothing.
    pub(crate) fn settled(self, class: Class) -> Self {
        let Class::Busy { retry_after } = class else {
            return self;
        };
        let repr = match *self.0 {
            Repr::Unknown(source) => match *source.0 {
                Repr::Database(source) => Repr::Busy {
                    retry_after,
                    source: Some(source),
                },
                other => Repr::Unknown(Box::new(other.into())),
            },
            other => other,
        };
        repr.into()
    }

    pub(crate) fn into_repr(self) -> Repr {
        *self.0
    }

    pub(crate) const fn repr(&self) -> &Repr {
        &self.0
    }

    /// The facts of the error that counts: the last attempt's, if retries were exhausted.
    pub(crate) fn root(&self) -> &Repr {
        match self.repr() {
            Repr::Exhausted { source, .. } => source.root(),
            other => other,
        }
    }

    /// Returns what the operation failed with.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self.root() {
            Repr::Conflict(_) => ErrorKind::Conflict,
            Repr::Serialization(_) => ErrorKind::Serialization,
            Repr::NotFound { .. } => ErrorKind::NotFound,
            Repr::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            Repr::InsufficientStock(_) => ErrorKind::InsufficientStock,
            Repr::ReturnExceedsOrder(_) => ErrorKind::ReturnExceedsOrder,
            Repr::PriceChanged { .. } => ErrorKind::PriceChanged,
            Repr::StockHeld { .. } => ErrorKind::StockHeld,
            Repr::ProductPaused { .. } => ErrorKind::ProductPaused,
            Repr::Suppressed { .. } => ErrorKind::Suppressed,
            Repr::Invalid(_) => ErrorKind::Invalid,
            Repr::IdempotencyMismatch { .. } => ErrorKind::IdempotencyMismatch,
            Repr::InvalidOrderState { .. } => ErrorKind::InvalidOrderState,
            Repr::ReservationClosed { .. } => ErrorKind::ReservationClosed,
            Repr::Archived { .. } => ErrorKind::Archived,
            Repr::Unknown(_) => ErrorKind::Unknown,
            Repr::Busy { .. } => ErrorKind::Busy,
            Repr::Hook { .. } => ErrorKind::Hook,
            Repr::VersionSetBack(_) => ErrorKind::VersionSetBack,
            Repr::Row(error) => error.kind().into(),
            // `root` returns none that is exhausted.
            Repr::Exhausted { .. } | Repr::Database(_) => ErrorKind::Database,
        }
    }

    /// Returns whether the operation may have taken effect.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.is_unknown() {
            true => Outcome::Unknown,
            false => Outcome::NothingHappened,
        }
    }

    /// Returns the [`code`](ErrorKind::code) of the kind: a stable name in kebab case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind().code()
    }

    /// Returns the [`http_status`](ErrorKind::http_status) of the kind. For a failed hook that of its error's
    /// class: 409 for a conflict, 503 for a busy database or an unknown outcome, else 500.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self.root() {
            Repr::Hook { source, .. } => match source.class() {
                Class::Conflict => 409,
                Class::Busy { .. } | Class::Unknown => 503,
                Class::Permanent => 500,
            },
            _ => self.kind().http_status(),
        }
    }

    /// Returns whether another writer won.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        match self.root() {
            Repr::Conflict(_) | Repr::Serialization(_) => true,
            Repr::Hook { source, .. } => source.class() == Class::Conflict,
            _ => false,
        }
    }

    /// Returns whether the product, order or reservation does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Returns whether fewer units are available than requested.
    #[must_use]
    pub fn is_insufficient_stock(&self) -> bool {
        self.kind() == ErrorKind::InsufficientStock
    }

    /// Returns whether the operation may have taken effect.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        match self.root() {
            Repr::Unknown(_) => true,
            Repr::Hook { source, .. } => source.class() == Class::Unknown,
            _ => false,
        }
    }

    /// Returns whether the inventory was busy and nothing happened.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        match self.root() {
            Repr::Busy { .. } => true,
            Repr::Hook { source, .. } => matches!(source.class(), Class::Busy { .. }),
            _ => false,
        }
    }

    /// Returns the versions of an [`ErrorKind::Conflict`].
    #[must_use]
    pub fn conflict(&self) -> Option<&Conflict> {
        match self.root() {
            Repr::Conflict(conflict) => Some(conflict),
            _ => None,
        }
    }

    /// Returns every line that is short, sorted by SKU, for an [`ErrorKind::InsufficientStock`] or an
    /// [`ErrorKind::ReturnExceedsOrder`]; else nothing.
    #[must_use]
    pub fn shortages(&self) -> &[Shortage] {
        match self.root() {
            Repr::InsufficientStock(shortages) | Repr::ReturnExceedsOrder(shortages) => shortages,
            _ => &[],
        }
    }

    /// Returns the prices of an [`ErrorKind::PriceChanged`].
    #[must_use]
    pub fn price_change(&self) -> Option<PriceChange> {
        match self.root() {
            Repr::PriceChanged {
                expected, actual, ..
            } => Some(PriceChange::new(*expected, *actual)),
            _ => None,
        }
    }

    /// Returns the product of an [`ErrorKind::PriceChanged`], [`ErrorKind::StockHeld`] or
    /// [`ErrorKind::ProductPaused`].
    #[must_use]
    pub fn sku(&self) -> Option<&Sku> {
        match self.root() {
            Repr::PriceChanged { sku, .. }
            | Repr::StockHeld { sku, .. }
            | Repr::ProductPaused { sku } => Some(sku),
            _ => None,
        }
    }

    /// Returns the units that reservations hold, for an [`ErrorKind::StockHeld`].
    #[must_use]
    pub fn reserved(&self) -> Option<i64> {
        match self.root() {
            Repr::StockHeld { reserved, .. } => Some(*reserved),
            _ => None,
        }
    }

    /// Returns the order and its state, for an [`ErrorKind::InvalidOrderState`].
    #[must_use]
    pub fn order_state(&self) -> Option<(OrderId, OrderStatus)> {
        match self.root() {
            Repr::InvalidOrderState { id, status } => Some((*id, *status)),
            _ => None,
        }
    }

    /// Returns the reservation and its state, for an [`ErrorKind::ReservationClosed`].
    #[must_use]
    pub fn reservation_state(&self) -> Option<(ReservationId, HoldState)> {
        match self.root() {
            Repr::ReservationClosed { id, state } => Some((*id, *state)),
            _ => None,
        }
    }

    /// Returns what the operation failed for (`product`, `order`, ..), if it failed for one kind of thing, as with
    /// an [`ErrorKind::Conflict`], [`NotFound`](ErrorKind::NotFound), [`AlreadyExists`](ErrorKind::AlreadyExists),
    /// [`Suppressed`](ErrorKind::Suppressed) or [`IdempotencyMismatch`](ErrorKind::IdempotencyMismatch).
    #[must_use]
    pub fn entity(&self) -> Option<&'static str> {
        match self.root() {
            Repr::Conflict(conflict) => Some(conflict.entity),
            Repr::NotFound { entity, .. }
            | Repr::AlreadyExists { entity, .. }
            | Repr::Suppressed { entity, .. }
            | Repr::IdempotencyMismatch { entity, .. } => Some(entity),
            Repr::Row(error) => error.entity(),
            _ => None,
        }
    }

    /// Returns the id of what [`entity`](Self::entity) names, if it is one thing.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self.root() {
            Repr::Conflict(conflict) => Some(&conflict.id),
            Repr::NotFound { id, .. }
            | Repr::AlreadyExists { id, .. }
            | Repr::Suppressed { id, .. }
            | Repr::IdempotencyMismatch { id, .. } => Some(id),
            Repr::Row(error) => error.id(),
            _ => None,
        }
    }

    /// Returns the table whose row was suppressed or changed, without its schema, for an [`ErrorKind::Suppressed`]
    /// whose table is known: `order_lines`.
    #[must_use]
    pub fn table(&self) -> Option<&str> {
        match self.root() {
            Repr::Suppressed { table, .. } => table.as_deref(),
            _ => None,
        }
    }

    /// Returns which part of the request is invalid and why, for an [`ErrorKind::Invalid`].
    #[must_use]
    pub fn invalid_part(&self) -> Option<(&'static str, &str)> {
        match self.root() {
            Repr::Invalid(invalid) => Some((invalid.what(), invalid.why())),
            _ => None,
        }
    }

    /// Returns when to try again, if a busy inventory knows it.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.root() {
            Repr::Busy { retry_after, .. } => *retry_after,
            Repr::Hook { source, .. } => match source.class() {
                Class::Busy { retry_after } => retry_after,
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns the retries before this error, if it was returned because every attempt that the policy allows
    /// has failed. An error of the kind [`Unknown`](ErrorKind::Unknown) may have none, whatever the number of
    /// attempts.
    #[must_use]
    pub fn exhausted(&self) -> Option<Exhausted> {
        match self.repr() {
            Repr::Exhausted {
                attempts,
                elapsed,
                reason,
                ..
            } => Some(Exhausted::new(*attempts, *elapsed, *reason)),
            Repr::Unknown(source) => source.exhausted(),
            _ => None,
        }
    }

    /// Returns the error of sqlx's, if there is one.
    #[must_use]
    pub fn as_sqlx(&self) -> Option<&sqlx::Error> {
        match self.root() {
            Repr::Serialization(source) | Repr::Database(source) | Repr::VersionSetBack(source) => {
                Some(source)
            }
            Repr::Busy { source, .. } => source.as_ref(),
            Repr::Unknown(source) => source.as_sqlx(),
            Repr::Row(error) => error.as_sqlx(),
            _ => None,
        }
    }
}

/// What [`transact`](crate::postgres::transact()) returns when its operation's error is this one.
impl From<RetryError<Self>> for Error {
    fn from(gave_up: RetryError<Self>) -> Self {
        let (attempts, elapsed, reason) = (gave_up.attempts, gave_up.elapsed, gave_up.reason);
        match gave_up.try_into_inner() {
            // A connection that was lost before COMMIT: known by its transaction, and not by the error.
            Ok(error) => match error.settled(Class::Busy { retry_after: None }) {
                error if reason == StopReason::Permanent => error,
                error => Repr::Exhausted {
                    attempts,
                    elapsed,
                    reason,
                    source: Box::new(error),
                }
                .into(),
            },
            Err(unknown) if unknown.error.is_unknown() => unknown.error,
            Err(unknown) => unknown.error.into_unknown(),
        }
    }
}

#[cfg(test)]
mod tests;
