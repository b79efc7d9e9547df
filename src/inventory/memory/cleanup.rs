//! The clean-ups in memory.

use std::time::Duration;

use super::{
    clock::{is_older, now},
    holds::is_expired,
    ledger::Cause,
    store::Store,
};
use crate::inventory::model::{
    Cleanup, Error, Hold, HoldState, MovementKind, OrderId, OrderStatus, OrderStep,
};

/// The states of an order that awaits payment.
pub(super) const UNPAID: [OrderStatus; 2] =
    [OrderStatus::PendingPayment, OrderStatus::PaymentFailed];

impl Store {
    pub(super) fn cleanup_failed_orders(&mut self, older_than: Duration) -> Result<Cleanup, Error> {
        let old = |since| is_older(since, older_than, now());
        let unpaid: Vec<OrderId> = self
            .orders
            .iter()
            .filter(|(_, stored)| UNPAID.contains(&stored.order.status))
            .filter(|(_, stored)| old(stored.pending_since))
            .map(|(id, _)| *id)
            .collect();
        let mut done = Cleanup::default();
        for id in unpaid {
            let order = self.step(&OrderStep::cancel(id, "expired"))?;
            let units = order.lines.iter().map(|line| line.quantity.get());
            done = done.plus(Cleanup::of_orders(1, units.sum::<i64>().unsigned_abs()));
        }
        Ok(done)
    }

    /// Returns how many keys were forgotten.
    pub(super) fn cleanup_idempotency_keys(&mut self, older_than: Duration) -> u64 {
        let before = self.order_keys.len();
        let orders = &self.orders;
        self.order_keys.retain(|_, id| {
            let created_at = orders.get(id).map(|stored| stored.order.created_at);
            let age = created_at.and_then(|created_at| (now() - created_at).to_std().ok());
            age.is_some_and(|age| age <= older_than) && !older_than.is_zero()
        });
        (before - self.order_keys.len()) as u64
    }

    pub(super) fn cleanup_reservations(&mut self) -> Result<Cleanup, Error> {
        let now = now();
        let expired = |_, hold: &Hold| is_expired(hold, now);
        let cause = Cause::of(MovementKind::Expired);
        self.end_holds(expired, HoldState::Expired, cause)
    }
}
