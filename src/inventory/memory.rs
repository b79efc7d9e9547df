//! The inventory in memory: the same contract without a database.

mod audit;
mod checkout;
mod cleanup;
mod clock;
mod holds;
mod ledger;
mod orders;
mod products;
mod report;
mod reservations;
mod stock;
mod store;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use super::{
    api::Inventory,
    model::{
        Adjustment, Audit, Checkout, Cleanup, Error, Movement, NewProduct, Order, OrderFilter,
        OrderId, OrderStep, Page, Product, Report, Reservation, ReservationId, Reserve,
        ReturnRequest, Sku, Stock,
    },
    traffic::Traffic,
};
use crate::Version;

use store::Store;

/// An [`Inventory`] in memory, with the same answers as [`PgInventory`](crate::inventory::PgInventory).
///
/// For tests and demonstrations of host applications: its data ends with the process. One lock guards it, so
/// operations never conflict.
#[derive(Debug, Default)]
pub struct MemoryInventory {
    store: Mutex<Store>,
    traffic: Arc<Traffic>,
}

impl MemoryInventory {
    /// Creates an empty inventory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        // Every change is checked before the first write, so a panic leaves nothing half done.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Inventory for MemoryInventory {
    async fn add_product(&self, new: NewProduct) -> Result<Product, Error> {
        self.store().add_product(new)
    }

    async fn product(&self, sku: &Sku) -> Result<Product, Error> {
        self.store().product(sku).cloned()
    }

    async fn products(&self, page: Page<Sku>) -> Result<Vec<Product>, Error> {
        Ok(self.store().products(&page))
    }

    async fn products_of(&self, skus: &[Sku]) -> Result<Vec<Product>, Error> {
        Ok(self.store().products_of(skus))
    }

    async fn product_at(&self, sku: &Sku, expected: Version) -> Result<Product, Error> {
        self.store().product_at(sku, expected)
    }

    async fn update_product(&self, changed: &Product) -> Result<Product, Error> {
        self.store().update_product(changed)
    }

    async fn retire_product(&self, sku: &Sku, expected: Version) -> Result<(), Error> {
        self.store().retire_product(sku, expected)
    }

    async fn pause(&self, sku: &Sku) -> Result<Product, Error> {
        self.store().set_paused(sku, true)
    }

    async fn resume(&self, sku: &Sku) -> Result<Product, Error> {
        self.store().set_paused(sku, false)
    }

    async fn adjust_stock(&self, adjustment: Adjustment) -> Result<Product, Error> {
        self.store().adjust_stock(&adjustment)
    }

    async fn count_stock(
        &self,
        sku: &Sku,
        expected: Version,
        counted: Stock,
        reason: &str,
    ) -> Result<Product, Error> {
        self.store().count_stock(sku, expected, counted, reason)
    }

    async fn checkout(&self, request: Checkout) -> Result<Order, Error> {
        let clock = self.traffic.clock();
        let answer = self.store().checkout(request);
        clock.stop(&answer);
        answer
    }

    async fn order(&self, id: OrderId) -> Result<Order, Error> {
        self.store().order(id).cloned()
    }

    async fn orders(&self, filter: OrderFilter, page: Page<OrderId>) -> Result<Vec<Order>, Error> {
        Ok(self.store().orders(&filter, &page))
    }

    async fn step(&self, step: OrderStep) -> Result<Order, Error> {
        step.check()?;
        self.store().step(&step)
    }

    async fn return_items(&self, request: ReturnRequest) -> Result<Order, Error> {
        self.store().return_items(request)
    }

    async fn cleanup_failed_orders(&self, older_than: Duration) -> Result<Cleanup, Error> {
        self.store().cleanup_failed_orders(older_than)
    }

    async fn cleanup_idempotency_keys(&self, older_than: Duration) -> Result<u64, Error> {
        Ok(self.store().cleanup_idempotency_keys(older_than))
    }

    async fn reserve(&self, request: Reserve) -> Result<Reservation, Error> {
        self.store().reserve(request)
    }

    async fn reservation(&self, id: ReservationId) -> Result<Reservation, Error> {
        self.store().reservation(id)
    }

    async fn extend(&self, id: ReservationId, by: Duration) -> Result<Reservation, Error> {
        self.store().extend(id, by)
    }

    async fn release(&self, id: ReservationId) -> Result<(), Error> {
        self.store().release(id)
    }

    async fn cleanup_reservations(&self) -> Result<Cleanup, Error> {
        self.store().cleanup_reservations()
    }

    async fn movements(&self, sku: &Sku, page: Page<Version>) -> Result<Vec<Movement>, Error> {
        Ok(self.store().movements(sku, &page))
    }

    async fn report(&self, window: Duration) -> Result<Report, Error> {
        Ok(self.store().report(window, &self.traffic.over(window)))
    }

    async fn audit(&self) -> Result<Audit, Error> {
        Ok(self.store().audit())
    }
}
