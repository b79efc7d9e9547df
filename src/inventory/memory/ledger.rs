//! The ledger of a product: what a change records.

use super::store::{Store, StoredProduct};
use crate::{
    Version,
    inventory::model::{Movement, MovementKind, OrderId, Page, ReservationId, Sku},
};

/// The cause of a change: what the ledger records besides the numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause<'a> {
    pub(super) kind: MovementKind,
    order: Option<OrderId>,
    reservation: Option<ReservationId>,
    reason: Option<&'a str>,
}

impl<'a> Cause<'a> {
    pub(super) const fn of(kind: MovementKind) -> Self {
        Self {
            kind,
            order: None,
            reservation: None,
            reason: None,
        }
    }

    pub(super) const fn with_order(mut self, order: OrderId) -> Self {
        self.order = Some(order);
        self
    }

    pub(super) const fn with_reservation(mut self, reservation: Option<ReservationId>) -> Self {
        self.reservation = reservation;
        self
    }

    pub(super) const fn with_reason(mut self, reason: &'a str) -> Self {
        self.reason = Some(reason);
        self
    }
}

impl StoredProduct {
    /// Appends a movement of `delta` units at the product's version.
    pub(super) fn record(&mut self, cause: Cause<'_>, delta: i64) {
        let product = &self.product;
        let (sku, stock) = (product.sku.clone(), product.stock.get());
        let mut movement = Movement::new(sku, product.version, cause.kind, delta, stock);
        movement.order = cause.order;
        movement.reservation = cause.reservation;
        movement.reason = cause.reason.map(ToOwned::to_owned);
        movement.moved_at = product.updated_at;
        self.ledger.push(movement);
    }
}

impl Store {
    pub(super) fn movements(&self, sku: &Sku, page: &Page<Version>) -> Vec<Movement> {
        let stored = self.products.get(sku);
        let ledger = stored.map_or(&[][..], |stored| &stored.ledger);
        let after = |movement: &&Movement| page.after.is_none_or(|after| movement.version > after);
        let movements = ledger.iter().filter(after).take(page.limit() as usize);
        movements.cloned().collect()
    }
}
