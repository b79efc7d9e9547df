//! The plan of a batch: each request judged in memory, in the order of arrival.

mod checkout;
mod order;
mod reservation;

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{
    changes::{Changes, Condition, Movement, ProductChange},
    known::{Held, Known},
    request::Request,
};
use crate::{
    Version,
    inventory::model::{
        Checkout, Money, MovementKind, Order, OrderId, ReservationId, Reserve, Sku, checkout::Facts,
    },
};

/// The requests that can be accepted, judged by known facts, which the statement compares with the rows.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// In the order of arrival.
    pub(super) accepted: Vec<Accepted<'a>>,
    pub(super) changes: Changes<'a>,
    /// The facts as the batch leaves them.
    pub(super) after: Known,
}

/// A request that the batch makes, and what its answer is made of.
#[derive(Debug)]
pub(super) struct Accepted<'a> {
    /// The index of the request in the batch.
    pub(super) index: usize,
    pub(super) outcome: Outcome<'a>,
}

#[derive(Debug)]
pub(super) enum Outcome<'a> {
    Sold {
        request: &'a Checkout,
        /// One per line.
        prices: Vec<Money>,
    },
    Reserved(&'a Reserve),
    /// The reservation before the extension, which the time of the statement decides.
    Extended(Held),
    Released,
    /// An order, cancelled or with a return.
    Changed {
        /// The version that the order must have.
        before: Version,
        after: Order,
    },
    /// An earlier call had the same effect: the batch has nothing to write for it.
    Replayed(Order),
}

/// Judges each request, all of its lines or none, against the rows as the requests before it leave them. A
/// request that is not accepted has to bypass the queue; so has one whose id, key or order another request of
/// the batch has, and one that is not `is_new`.
pub(super) fn plan<'a>(
    requests: &[&'a Request],
    known: &'a Known,
    is_new: impl Fn(&Request) -> bool,
) -> Plan<'a> {
    let mut planner = Planner::new(known);
    let mut accepted = Vec::with_capacity(requests.len());
    for (index, &request) in requests.iter().enumerate() {
        if is_new(request)
            && let Some(outcome) = planner.judge(request)
        {
            accepted.push(Accepted { index, outcome });
        }
    }
    let after = planner.after();
    Plan {
        accepted,
        changes: planner.changes,
        after,
    }
}

/// The state of a plan between two requests.
struct Planner<'a> {
    known: &'a Known,
    changes: Changes<'a>,
    /// Reservations as the accepted requests leave them.
    reservations: HashMap<ReservationId, Held>,
    ids: HashSet<Uuid>,
    /// Idempotency keys with their customers, of orders and of reservations.
    keys: HashSet<(Entity, &'a str, &'a str)>,
}

/// The table to which an idempotency key belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Entity {
    Order,
    Reservation,
}

/// What one request changes of a product.
struct Change<'a> {
    sku: &'a Sku,
    kind: MovementKind,
    stock: i64,
    reserved: i64,
    order: Option<OrderId>,
    reservation: Option<ReservationId>,
    reason: Option<&'a str>,
}

impl<'a> Planner<'a> {
    fn new(known: &'a Known) -> Self {
        Self {
            known,
            changes: Changes::default(),
            reservations: HashMap::new(),
            ids: HashSet::new(),
            keys: HashSet::new(),
        }
    }

    fn judge(&mut self, request: &'a Request) -> Option<Outcome<'a>> {
        match request {
            Request::Checkout(request, _) => self.checkout(request),
            Request::Reserve(request) => self.reserve(request),
            Request::Extend { id, by } => self.extend(*id, *by),
            Request::Release(id) => self.release(*id),
            Request::Cancel(step, _) => self.cancel(step),
            Request::Return(request, _) => self.give_back(request),
        }
    }

    /// Returns whether no other request of the batch has this id or key.
    fn is_new(
        &self,
        entity: Entity,
        id: Uuid,
        customer: Option<&'a str>,
        key: Option<&'a str>,
    ) -> bool {
        let named = key.map(|key| (entity, customer.unwrap_or_default(), key));
        !self.ids.contains(&id) && !named.is_some_and(|named| self.keys.contains(&named))
    }

    fn remember(
        &mut self,
        entity: Entity,
        id: Uuid,
        customer: Option<&'a str>,
        key: Option<&'a str>,
    ) {
        self.ids.insert(id);
        self.keys
            .extend(key.map(|key| (entity, customer.unwrap_or_default(), key)));
    }

    /// Returns the facts of a product as the accepted requests leave it.
    fn facts(&self, sku: &Sku) -> Option<Facts> {
        let facts = *self.known.products.get(sku)?;
        let Some(change) = self.changes.products.get(sku) else {
            return Some(facts);
        };
        Some(Facts {
            available: facts.available + change.stock - change.reserved,
            version: facts.version.plus(change.changes)?,
            ..facts
        })
    }

    /// Requires that the product can be sold and has `units` available at this turn.
    fn require(&mut self, sku: &'a Sku, units: i64, price: Option<Money>) {
        let change = self.change_of(sku);
        let before = units - (change.stock - change.reserved);
        change.units = change.units.max(before);
        change.price = change.price.or(price);
        change.condition = Condition::Sellable;
    }

    fn change_of(&mut self, sku: &'a Sku) -> &mut ProductChange {
        self.changes
            .products
            .entry(sku)
            .or_insert(ProductChange::NONE)
    }

    fn apply(&mut self, by: &Change<'a>) {
        let change = self.change_of(by.sku);
        change.changes += 1;
        change.stock += by.stock;
        change.reserved += by.reserved;
        let (number, stock, reserved) = (change.changes, change.stock, change.reserved);
        self.changes.movements.push(Movement {
            sku: by.sku,
            kind: by.kind,
            delta: by.stock,
            number,
            stock,
            reserved,
            order: by.order,
            reservation: by.reservation,
            reason: by.reason,
        });
    }

    /// Returns the facts of the changed rows as the batch leaves them.
    fn after(&mut self) -> Known {
        let skus = self.changes.products.keys();
        let products = skus.filter_map(|&sku| Some((sku.clone(), self.facts(sku)?)));
        Known {
            products: products.collect(),
            reservations: std::mem::take(&mut self.reservations),
            orders: HashMap::new(),
        }
    }
}

#[cfg(test)]
mod tests;
