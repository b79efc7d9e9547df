//! The inventory methods of a [`CachedStock`]: each goes to the inventory behind, and counts as a change of its
//! products.

use std::time::Duration;

use async_trait::async_trait;

use super::{CachedStock, epochs::Changed};
use crate::{
    Version,
    inventory::{
        api::Inventory,
        layer::Layer,
        model::{
            Adjustment, Checkout, Cleanup, Error, NewProduct, Order, OrderStep, Product,
            Reservation, ReservationId, Reserve, ReturnRequest, Sku, Stock,
        },
    },
};

#[async_trait]
impl<I: Inventory> Layer for CachedStock<I> {
    type Behind = I;

    fn behind(&self) -> &I {
        &self.inventory
    }

    async fn add_product(&self, new: NewProduct) -> Result<Product, Error> {
        let what = Changed::skus([new.sku()]);
        self.change(what, self.inventory.add_product(new)).await
    }

    async fn retire_product(&self, sku: &Sku, expected: Version) -> Result<(), Error> {
        let what = Changed::skus([sku]);
        self.change(what, self.inventory.retire_product(sku, expected))
            .await
    }

    async fn pause(&self, sku: &Sku) -> Result<Product, Error> {
        self.change(Changed::skus([sku]), self.inventory.pause(sku))
            .await
    }

    async fn resume(&self, sku: &Sku) -> Result<Product, Error> {
        self.change(Changed::skus([sku]), self.inventory.resume(sku))
            .await
    }

    async fn adjust_stock(&self, adjustment: Adjustment) -> Result<Product, Error> {
        let what = Changed::skus([adjustment.sku()]);
        self.change(what, self.inventory.adjust_stock(adjustment))
            .await
    }

    async fn count_stock(
        &self,
        sku: &Sku,
        expected: Version,
        counted: Stock,
        reason: &str,
    ) -> Result<Product, Error> {
        let count = self.inventory.count_stock(sku, expected, counted, reason);
        self.change(Changed::skus([sku]), count).await
    }

    async fn checkout(&self, request: Checkout) -> Result<Order, Error> {
        let what = Changed::skus(request.lines().iter().map(|line| &line.sku));
        self.change(what, self.inventory.checkout(request)).await
    }

    async fn step(&self, step: OrderStep) -> Result<Order, Error> {
        if step.moves_stock() {
            self.order_step(self.inventory.step(step)).await
        } else {
            self.inventory.step(step).await
        }
    }

    async fn return_items(&self, request: ReturnRequest) -> Result<Order, Error> {
        self.order_step(self.inventory.return_items(request)).await
    }

    async fn cleanup_failed_orders(&self, older_than: Duration) -> Result<Cleanup, Error> {
        self.clean_up(self.inventory.cleanup_failed_orders(older_than))
            .await
    }

    async fn reserve(&self, request: Reserve) -> Result<Reservation, Error> {
        let what = Changed::skus(request.lines().iter().map(|(sku, _)| sku));
        self.change(what, self.inventory.reserve(request)).await
    }

    async fn release(&self, id: ReservationId) -> Result<(), Error> {
        let what = match self.inventory.reservation(id).await {
            Ok(held) => Changed::skus(held.holds.iter().map(|hold| &hold.sku)),
            Err(_) => Changed::Anything,
        };
        self.change(what, self.inventory.release(id)).await
    }

    async fn cleanup_reservations(&self) -> Result<Cleanup, Error> {
        self.clean_up(self.inventory.cleanup_reservations()).await
    }
}
