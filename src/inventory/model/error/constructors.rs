use std::{fmt::Display, time::Duration};

#[cfg(doc)]
use super::ErrorKind;
use super::{BoxError, Error, Repr};
use crate::inventory::model::{
    HoldState, InvalidValue, Money, OrderId, OrderStatus, ReservationId, Shortage, Sku,
};

impl Error {
    /// Returns an [`ErrorKind::Invalid`]: `what` names the part of the request and `why` what is wrong with it.
    #[must_use]
    pub fn invalid(what: &'static str, why: impl Into<String>) -> Self {
        InvalidValue::new(what, why).into()
    }

    pub(crate) fn total_too_large() -> Self {
        Self::invalid("checkout", "has a total beyond the largest amount")
    }

    pub(crate) fn out_of_range() -> Self {
        Self::invalid(
            "request",
            "takes a total, a stock or a version beyond the largest number",
        )
    }

    /// Returns an [`ErrorKind::Busy`] of an inventory that did not ask the database: too many requests wait for it,
    /// or it failed a moment ago. Without a time, the inventory takes no more requests.
    #[must_use]
    pub fn busy(retry_after: Option<Duration>) -> Self {
        let source = None;
        Repr::Busy {
            retry_after,
            source,
        }
        .into()
    }

    /// Returns an [`ErrorKind::NotFound`].
    #[must_use]
    pub fn not_found(entity: &'static str, id: impl Display) -> Self {
        let id = id.to_string();
        Repr::NotFound { entity, id }.into()
    }

    /// Returns an [`ErrorKind::AlreadyExists`].
    #[must_use]
    pub fn already_exists(entity: &'static str, id: impl Display) -> Self {
        let id = id.to_string();
        Repr::AlreadyExists { entity, id }.into()
    }

    /// Returns an [`ErrorKind::InsufficientStock`] with every line that is short, sorted by SKU.
    #[must_use]
    pub fn insufficient_stock(shortages: Vec<Shortage>) -> Self {
        Repr::InsufficientStock(shortages).into()
    }

    /// Returns an [`ErrorKind::ReturnExceedsOrder`] with every line that is to return too many units, sorted by SKU.
    #[must_use]
    pub fn return_exceeds_order(shortages: Vec<Shortage>) -> Self {
        Repr::ReturnExceedsOrder(shortages).into()
    }

    /// Returns an [`ErrorKind::PriceChanged`].
    #[must_use]
    pub fn price_changed(sku: Sku, expected: Money, actual: Money) -> Self {
        Repr::PriceChanged {
            sku,
            expected,
            actual,
        }
        .into()
    }

    /// Returns an [`ErrorKind::StockHeld`]: `counted` is refused, as reservations hold `reserved` units.
    #[must_use]
    pub fn stock_held(sku: Sku, counted: i64, reserved: i64) -> Self {
        Repr::StockHeld {
            sku,
            counted,
            reserved,
        }
        .into()
    }

    /// Returns an [`ErrorKind::ProductPaused`].
    #[must_use]
    pub fn product_paused(sku: Sku) -> Self {
        Repr::ProductPaused { sku }.into()
    }

    /// Returns an [`ErrorKind::InvalidOrderState`].
    #[must_use]
    pub fn invalid_order_state(id: OrderId, status: OrderStatus) -> Self {
        Repr::InvalidOrderState { id, status }.into()
    }

    /// Returns an [`ErrorKind::ReservationClosed`].
    #[must_use]
    pub fn reservation_closed(id: ReservationId, state: HoldState) -> Self {
        Repr::ReservationClosed { id, state }.into()
    }

    /// Returns an [`ErrorKind::Archived`].
    #[must_use]
    pub fn archived(entity: &'static str, id: impl Display) -> Self {
        let id = id.to_string();
        Repr::Archived { entity, id }.into()
    }

    /// Returns an [`ErrorKind::Hook`].
    #[must_use]
    pub fn hook(id: OrderId, source: BoxError) -> Self {
        Repr::Hook { id, source }.into()
    }

    /// Returns an [`ErrorKind::Suppressed`]: the preconditions held, and nothing was written.
    #[must_use]
    pub fn suppressed(entity: &'static str, id: impl Display) -> Self {
        let (id, table) = (id.to_string(), None);
        Repr::Suppressed { entity, id, table }.into()
    }

    /// As [`suppressed`](Self::suppressed), where the table of the missing row is known.
    pub(crate) fn suppressed_in(table: &str, entity: &'static str, id: impl Display) -> Self {
        let (id, table) = (id.to_string(), Some(table.to_owned()));
        Repr::Suppressed { entity, id, table }.into()
    }

    /// Returns an [`ErrorKind::IdempotencyMismatch`]: the id, or the key that names it, is that of another
    /// request.
    #[must_use]
    pub fn idempotency_mismatch(entity: &'static str, id: impl Display, key: Option<&str>) -> Self {
        let (entity, id) = match key {
            Some(key) => ("idempotency key", key.to_owned()),
            None => (entity, id.to_string()),
        };
        Repr::IdempotencyMismatch { entity, id }.into()
    }

    /// Returns `source` as the last error of this many attempts.
    #[cfg(test)]
    pub(crate) fn exhausted_by(source: Self, attempts: u32) -> Self {
        Repr::Exhausted {
            attempts,
            elapsed: Duration::ZERO,
            reason: crate::StopReason::Attempts,
            source: Box::new(source),
        }
        .into()
    }
}
