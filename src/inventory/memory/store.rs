//! The data behind the lock.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    Version,
    inventory::model::{
        Error, Movement, Order, OrderId, Product, Reservation, ReservationId, ReturnRequest, Sku,
    },
};

/// A customer and one of its idempotency keys.
pub(super) type CustomerKey = (Option<String>, String);

/// The data of a [`MemoryInventory`](super::MemoryInventory), behind its lock.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) products: BTreeMap<Sku, StoredProduct>,
    pub(super) orders: BTreeMap<OrderId, StoredOrder>,
    pub(super) order_keys: BTreeMap<CustomerKey, OrderId>,
    pub(super) adjustments: BTreeMap<Uuid, (Sku, i64)>,
    pub(super) returns: BTreeMap<Uuid, ReturnRequest>,
    /// As they were stored: an expired hold stays held until an operation ends it.
    pub(super) reservations: BTreeMap<ReservationId, Reservation>,
    pub(super) reservation_keys: BTreeMap<CustomerKey, ReservationId>,
}

#[derive(Debug)]
pub(super) struct StoredProduct {
    pub(super) product: Product,
    pub(super) retired: bool,
    pub(super) ledger: Vec<Movement>,
}

#[derive(Debug)]
pub(super) struct StoredOrder {
    pub(super) order: Order,
    /// Since when it has awaited payment.
    pub(super) pending_since: DateTime<Utc>,
}

/// Returns the key of a request under which its answer is stored, if it has one.
pub(super) fn customer_key(customer: Option<&String>, key: Option<&String>) -> Option<CustomerKey> {
    key.map(|key| (customer.cloned(), key.clone()))
}

pub(super) fn next(version: Version) -> Result<Version, Error> {
    version.next().ok_or_else(Error::out_of_range)
}
