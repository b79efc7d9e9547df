#[cfg(doc)]
use super::ErrorKind;
use super::{Error, Order, OrderId, OrderStatus, product::check_text};
use crate::{Conflict, Version, Versioned};

/// A request to take an order from one state to the next.
///
/// [`Inventory::mark_paid`](crate::inventory::Inventory::mark_paid) and the similar methods make such a step in
/// every state in which it begins. With [`expecting_version`](Self::expecting_version) it is made once only,
/// also if the same request is sent again after another actor has undone its effect.
///
/// ```
/// use optilock::inventory::{Error, Inventory, Order, OrderStep};
///
/// /// May be called again with the same order, for instance after a restart.
/// async fn cancel(shop: &dyn Inventory, seen: &Order) -> Result<Order, Error> {
///     let step = OrderStep::cancel(seen.id, "changed my mind").expecting_version(seen.version);
///     shop.step(step).await
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct OrderStep {
    pub(crate) id: OrderId,
    pub(crate) kind: Kind,
    pub(crate) expected: Option<Version>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    MarkPaid,
    MarkPaymentFailed,
    Cancel { reason: String },
    Revive,
}

/// The judgement of a step on an order as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// The order is in the state to which the step leads.
    Made,
    Begins,
}

impl OrderStep {
    const fn new(id: OrderId, kind: Kind) -> Self {
        let expected = None;
        Self { id, kind, expected }
    }

    /// Marks the order as paid: see [`Inventory::mark_paid`](crate::inventory::Inventory::mark_paid).
    pub const fn mark_paid(id: OrderId) -> Self {
        Self::new(id, Kind::MarkPaid)
    }

    /// Marks the payment as failed: see
    /// [`Inventory::mark_payment_failed`](crate::inventory::Inventory::mark_payment_failed).
    pub const fn mark_payment_failed(id: OrderId) -> Self {
        Self::new(id, Kind::MarkPaymentFailed)
    }

    /// Cancels the order for `reason` (1 to 500 bytes): see
    /// [`Inventory::cancel`](crate::inventory::Inventory::cancel).
    pub fn cancel(id: OrderId, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::new(id, Kind::Cancel { reason })
    }

    /// Takes the stock of a cancelled order again: see
    /// [`Inventory::revive`](crate::inventory::Inventory::revive).
    pub const fn revive(id: OrderId) -> Self {
        Self::new(id, Kind::Revive)
    }

    /// Makes the step only at this version of the order. If the order has passed it, the answer is the order as
    /// [`replayed`](Order::replayed) when the step itself, or another request of the same meaning, made the
    /// next version; else [`ErrorKind::Conflict`].
    pub const fn expecting_version(mut self, version: Version) -> Self {
        self.expected = Some(version);
        self
    }

    /// Returns the order.
    #[must_use]
    pub const fn order(&self) -> OrderId {
        self.id
    }

    /// Returns the version that it expects, if any.
    #[must_use]
    pub const fn expected_version(&self) -> Option<Version> {
        self.expected
    }

    /// Returns the name of the step in events and metrics.
    pub(crate) const fn label(&self) -> &'static str {
        match self.kind {
            Kind::MarkPaid => "mark paid",
            Kind::MarkPaymentFailed => "mark payment failed",
            Kind::Cancel { .. } => "cancel",
            Kind::Revive => "revive",
        }
    }

    /// Returns the reason of a cancellation.
    pub(crate) fn reason(&self) -> Option<&str> {
        match &self.kind {
            Kind::Cancel { reason } => Some(reason),
            _ => None,
        }
    }

    /// Returns whether the step changes stock.
    #[cfg(feature = "cache")]
    pub(crate) const fn moves_stock(&self) -> bool {
        matches!(self.kind, Kind::Cancel { .. } | Kind::Revive)
    }

    /// Refuses a reason that can't be stored.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.kind {
            Kind::Cancel { reason } => check_text("reason", reason),
            _ => Ok(()),
        }
    }

    const fn begins_at(&self, status: OrderStatus) -> bool {
        match self.kind {
            Kind::MarkPaid | Kind::Cancel { .. } => matches!(
                status,
                OrderStatus::PendingPayment | OrderStatus::PaymentFailed
            ),
            Kind::MarkPaymentFailed => matches!(status, OrderStatus::PendingPayment),
            Kind::Revive => matches!(status, OrderStatus::Cancelled),
        }
    }

    /// Returns the state to which the step leads.
    pub(crate) const fn to(&self) -> OrderStatus {
        match self.kind {
            Kind::MarkPaid => OrderStatus::Paid,
            Kind::MarkPaymentFailed => OrderStatus::PaymentFailed,
            Kind::Cancel { .. } => OrderStatus::Cancelled,
            Kind::Revive => OrderStatus::PendingPayment,
        }
    }

    /// Judges the step on this order, or returns why it is refused. The one place where a step is judged.
    pub(crate) fn judge(&self, order: &Order) -> Result<Judged, Error> {
        let is_next = |expected: Version| expected.next() == Some(order.version);
        if order.status == self.to() && self.expected.is_none_or(is_next) {
            return Ok(Judged::Made);
        }
        unmoved(order, self.expected)?;
        if self.begins_at(order.status) {
            Ok(Judged::Begins)
        } else {
            Err(closed(order))
        }
    }

    /// Returns the order after the step.
    pub(crate) fn made(&self, order: &Order) -> Result<Order, Error> {
        let mut made = order.clone();
        made.status = self.to();
        made.version = order.version.next().ok_or_else(Error::out_of_range)?;
        match &self.kind {
            Kind::Cancel { reason } => made.reason = Some(reason.clone()),
            Kind::Revive => made.reason = None,
            Kind::MarkPaid | Kind::MarkPaymentFailed => {}
        }
        Ok(made)
    }
}

/// Returns the error of a step that does not begin in the state of the order.
pub(crate) fn closed(order: &Order) -> Error {
    Error::invalid_order_state(order.id, order.status)
}

/// Returns the error of an order that was changed after `expected` was read.
pub(crate) fn moved(order: &Order, expected: Version) -> Error {
    Conflict::new(Order::ENTITY, order.id, expected, order.version).into()
}

/// Refuses an order at another version than the expected one, if any.
pub(crate) fn unmoved(order: &Order, expected: Option<Version>) -> Result<(), Error> {
    match expected {
        Some(expected) if expected != order.version => Err(moved(order, expected)),
        _ => Ok(()),
    }
}
