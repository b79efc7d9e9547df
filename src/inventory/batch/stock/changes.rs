//! The changes of rows that a batch makes, as its statement takes them.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};

use crate::{
    Version,
    inventory::model::{
        Checkout, HoldState, Money, MovementKind, OrderId, OrderStatus, ReservationId, Reserve,
        ReturnRequest, Sku,
    },
};

/// All changes of one batch.
#[derive(Debug, Default)]
pub(super) struct Changes<'a> {
    pub(super) products: BTreeMap<&'a Sku, ProductChange>,
    /// In the order of arrival.
    pub(super) movements: Vec<Movement<'a>>,
    pub(super) orders: Vec<NewOrder<'a>>,
    pub(super) reservations: Vec<&'a Reserve>,
    pub(super) returns: Vec<&'a ReturnRequest>,
    pub(super) returned_lines: Vec<ReturnedLine<'a>>,
    pub(super) changed_reservations: BTreeMap<ReservationId, Remaining>,
    pub(super) changed_holds: BTreeMap<(&'a Sku, ReservationId), HoldChange>,
    pub(super) changed_orders: BTreeMap<OrderId, OrderChange<'a>>,
}

impl Changes<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.products.is_empty() && self.changed_holds.is_empty()
    }

    /// Returns whether the batch has more than checkouts of free units.
    pub(super) fn is_mixed(&self) -> bool {
        !self.reservations.is_empty()
            || !self.changed_holds.is_empty()
            || !self.changed_reservations.is_empty()
            || !self.changed_orders.is_empty()
            || self
                .orders
                .iter()
                .any(|order| order.request.reservation.is_some())
    }
}

/// The change of a product by all requests of the batch, and what must hold before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProductChange {
    /// The units that must be available before the batch, so that each request finds its own at its turn.
    pub(super) units: i64,
    pub(super) price: Option<Money>,
    /// The version that the product must have, if a request expects one.
    pub(super) pinned: Option<Version>,
    /// The number of changes, each of which is a version.
    pub(super) changes: i64,
    pub(super) stock: i64,
    pub(super) reserved: i64,
    pub(super) condition: Condition,
}

impl ProductChange {
    pub(super) const NONE: Self = Self {
        units: i64::MIN,
        price: None,
        pinned: None,
        changes: 0,
        stock: 0,
        reserved: 0,
        condition: Condition::None,
    };
}

/// The state that a product must be in, as the statement knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Condition {
    /// Units come back, or are no longer held.
    None = 0,
    /// Units are sold or reserved: the product is neither retired nor paused.
    Sellable = 2,
}

/// A change of one product by one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Movement<'a> {
    pub(super) sku: &'a Sku,
    pub(super) kind: MovementKind,
    pub(super) delta: i64,
    /// The number of the change of the product in the batch, from 1.
    pub(super) number: i64,
    /// The change of the stock up to and including this one.
    pub(super) stock: i64,
    /// The change of the reserved units up to and including this one.
    pub(super) reserved: i64,
    pub(super) order: Option<OrderId>,
    pub(super) reservation: Option<ReservationId>,
    pub(super) reason: Option<&'a str>,
}

/// An order of an accepted checkout.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewOrder<'a> {
    pub(super) request: &'a Checkout,
    pub(super) total: Money,
}

/// The remaining units of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remaining {
    pub(super) before: i64,
    pub(super) after: i64,
}

/// The change of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HoldChange {
    pub(super) before: (i64, HoldState),
    pub(super) after: (i64, HoldState),
    /// From the time of the statement; zero for none.
    pub(super) extension: Duration,
    /// The expiry before, which an extension must know: its answer names the later one.
    pub(super) expires_at: DateTime<Utc>,
}

/// Units of a line of an order that come back.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReturnedLine<'a> {
    pub(super) order: OrderId,
    pub(super) sku: &'a Sku,
    pub(super) quantity: i64,
    /// The units that had come back before.
    pub(super) before: i64,
}

/// The change of an order that exists.
#[derive(Clone, Copy, Debug)]
pub(super) struct OrderChange<'a> {
    pub(super) before: Version,
    pub(super) status: OrderStatus,
    pub(super) reason: Option<&'a str>,
}

impl NewOrder<'_> {
    /// Returns the order in which new orders are inserted: two processes with the same requests insert them in
    /// the same order, and wait for each other at the first of them only.
    pub(super) fn insert_order(&self) -> impl Ord + use<'_> {
        let key = self.request.key.as_deref();
        (
            key.is_none(),
            key,
            self.request.customer.as_deref(),
            self.request.id,
        )
    }
}
