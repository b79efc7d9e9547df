//! Pointers to an inventory are inventories.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    api::Inventory,
    model::{
        Adjustment, Audit, Checkout, Cleanup, Error, Movement, NewProduct, Order, OrderFilter,
        OrderId, OrderStep, Page, Product, Report, Reservation, ReservationId, Reserve,
        ReturnRequest, Sku, Stock,
    },
};
use crate::Version;

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        #[async_trait]
        impl<I: Inventory + ?Sized> Inventory for $pointer {
            async fn add_product(&self, new: NewProduct) -> Result<Product, Error> {
                (**self).add_product(new).await
            }

            async fn product(&self, sku: &Sku) -> Result<Product, Error> {
                (**self).product(sku).await
            }

            async fn products(&self, page: Page<Sku>) -> Result<Vec<Product>, Error> {
                (**self).products(page).await
            }

            async fn products_of(&self, skus: &[Sku]) -> Result<Vec<Product>, Error> {
                (**self).products_of(skus).await
            }

            async fn product_at(&self, sku: &Sku, expected: Version) -> Result<Product, Error> {
                (**self).product_at(sku, expected).await
            }

            async fn update_product(&self, changed: &Product) -> Result<Product, Error> {
                (**self).update_product(changed).await
            }

            async fn retire_product(&self, sku: &Sku, expected: Version) -> Result<(), Error> {
                (**self).retire_product(sku, expected).await
            }

            async fn pause(&self, sku: &Sku) -> Result<Product, Error> {
                (**self).pause(sku).await
            }

            async fn resume(&self, sku: &Sku) -> Result<Product, Error> {
                (**self).resume(sku).await
            }

            async fn adjust_stock(&self, adjustment: Adjustment) -> Result<Product, Error> {
                (**self).adjust_stock(adjustment).await
            }

            async fn count_stock(
                &self,
                sku: &Sku,
                expected: Version,
                counted: Stock,
                reason: &str,
            ) -> Result<Product, Error> {
                (**self).count_stock(sku, expected, counted, reason).await
            }

            async fn checkout(&self, request: Checkout) -> Result<Order, Error> {
                (**self).checkout(request).await
            }

            async fn order(&self, id: OrderId) -> Result<Order, Error> {
                (**self).order(id).await
            }

            async fn orders(&self, filter: OrderFilter, page: Page<OrderId>) -> Result<Vec<Order>, Error> {
                (**self).orders(filter, page).await
            }

            async fn step(&self, step: OrderStep) -> Result<Order, Error> {
                (**self).step(step).await
            }

            async fn mark_paid(&self, id: OrderId) -> Result<Order, Error> {
                (**self).mark_paid(id).await
            }

            async fn mark_payment_failed(&self, id: OrderId) -> Result<Order, Error> {
                (**self).mark_payment_failed(id).await
            }

            async fn cancel(&self, id: OrderId, reason: &str) -> Result<Order, Error> {
                (**self).cancel(id, reason).await
            }

            async fn revive(&self, id: OrderId) -> Result<Order, Error> {
                (**self).revive(id).await
            }

            async fn return_items(&self, request: ReturnRequest) -> Result<Order, Error> {
                (**self).return_items(request).await
            }

            async fn cleanup_failed_orders(&self, older_than: Duration) -> Result<Cleanup, Error> {
                (**self).cleanup_failed_orders(older_than).await
            }

            async fn cleanup_idempotency_keys(&self, older_than: Duration) -> Result<u64, Error> {
                (**self).cleanup_idempotency_keys(older_than).await
            }

            async fn reserve(&self, request: Reserve) -> Result<Reservation, Error> {
                (**self).reserve(request).await
            }

            async fn reservation(&self, id: ReservationId) -> Result<Reservation, Error> {
                (**self).reservation(id).await
            }

            async fn extend(&self, id: ReservationId, by: Duration) -> Result<Reservation, Error> {
                (**self).extend(id, by).await
            }

            async fn release(&self, id: ReservationId) -> Result<(), Error> {
                (**self).release(id).await
            }

            async fn cleanup_reservations(&self) -> Result<Cleanup, Error> {
                (**self).cleanup_reservations().await
            }

            async fn movements(&self, sku: &Sku, page: Page<Version>) -> Result<Vec<Movement>, Error> {
                (**self).movements(sku, page).await
            }

            async fn report(&self, window: Duration) -> Result<Report, Error> {
                (**self).report(window).await
            }

            async fn audit(&self) -> Result<Audit, Error> {
                (**self).audit().await
            }
        }
    )*};
}

forward!(&I, Box<I>, Arc<I>);
