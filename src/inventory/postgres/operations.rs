//! The operations, each by the executor, which makes the attempts and settles unknown outcomes.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    PgInventory,
    cleanup::{Holds, Keys, Orders, clean_up},
    ledger::{audit, movements, report},
    orders::{self, doubt::Doubt, returns},
    products::{
        self, adjust,
        change::{self, Late},
    },
    reservations::{self, reserve},
};
use crate::{
    Version,
    inventory::{
        api::Inventory,
        model::{
            Adjustment, Audit, Checkout, Cleanup, Error, Movement, NewProduct, Order, OrderFilter,
            OrderId, OrderStep, Page, Product, Report, Reservation, ReservationId, Reserve,
            ReturnRequest, Sku, Stock,
        },
        postgres::executor::Work,
    },
};

#[async_trait]
impl Inventory for PgInventory {
    async fn add_product(&self, new: NewProduct) -> Result<Product, Error> {
        let (token, new) = (Uuid::now_v7(), &new);
        change::exactly_once(
            &self.executor,
            "add product",
            token,
            Late::NotCommitted,
            &|conn, _| Box::pin(products::add(conn, new, token)),
        )
        .await
    }

    async fn product(&self, sku: &Sku) -> Result<Product, Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(products::find(conn, sku));
        self.executor.read("product", work).await
    }

    async fn products(&self, page: Page<Sku>) -> Result<Vec<Product>, Error> {
        let page = &page;
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(products::page(conn, page));
        self.executor.read("products", work).await
    }

    async fn products_of(&self, skus: &[Sku]) -> Result<Vec<Product>, Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(products::of(conn, skus));
        self.executor.read("products of", work).await
    }

    async fn product_at(&self, sku: &Sku, expected: Version) -> Result<Product, Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(products::at(conn, sku, expected));
        self.executor.read("product at", work).await
    }

    async fn update_product(&self, changed: &Product) -> Result<Product, Error> {
        let token = Uuid::now_v7();
        change::exactly_once(
            &self.executor,
            "update product",
            token,
            Late::Refused,
            &|conn, _| Box::pin(products::edit(conn, changed, token)),
        )
        .await
    }

    async fn retire_product(&self, sku: &Sku, expected: Version) -> Result<(), Error> {
        let token = Uuid::now_v7();
        change::exactly_once(
            &self.executor,
            "retire product",
            token,
            Late::Refused,
            &|conn, _| Box::pin(products::retire(conn, sku, expected, token)),
        )
        .await
        .map(drop)
    }

    async fn pause(&self, sku: &Sku) -> Result<Product, Error> {
        change::pause(&self.executor, "pause", sku, true).await
    }

    async fn resume(&self, sku: &Sku) -> Result<Product, Error> {
        change::pause(&self.executor, "resume", sku, false).await
    }

    async fn adjust_stock(&self, adjustment: Adjustment) -> Result<Product, Error> {
        adjust::exactly_once(&self.executor, &adjustment).await
    }

    async fn count_stock(
        &self,
        sku: &Sku,
        expected: Version,
        counted: Stock,
        reason: &str,
    ) -> Result<Product, Error> {
        let token = Uuid::now_v7();
        change::exactly_once(
            &self.executor,
            "count stock",
            token,
            Late::Refused,
            &|conn, _| Box::pin(products::count(conn, sku, expected, counted, reason, token)),
        )
        .await
    }

    async fn checkout(&self, request: Checkout) -> Result<Order, Error> {
        let clock = self.traffic.clock();
        let answer = match request.check() {
            Ok(()) => self.sale(&request).exactly_once(&clock, false).await,
            Err(invalid) => Err(invalid),
        };
        clock.stop(&answer);
        answer
    }

    async fn order(&self, id: OrderId) -> Result<Order, Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(orders::find(conn, id));
        self.executor.read("order", work).await
    }

    async fn orders(&self, filter: OrderFilter, page: Page<OrderId>) -> Result<Vec<Order>, Error> {
        let (filter, page) = (&filter, &page);
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(orders::page(conn, filter, page));
        self.executor.read("orders", work).await
    }

    async fn step(&self, step: OrderStep) -> Result<Order, Error> {
        orders::change::step(&self.executor, &step, &Doubt::default()).await
    }

    async fn return_items(&self, request: ReturnRequest) -> Result<Order, Error> {
        let (expected, doubt, request) = (request.expected, &Doubt::default(), &request);
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(returns::make(conn, request, doubt));
        orders::change::exactly_once(&self.executor, "return items", expected, doubt, work).await
    }

    async fn cleanup_failed_orders(&self, older_than: Duration) -> Result<Cleanup, Error> {
        let task = Orders::older_than(older_than);
        let done = clean_up(&self.executor, self.cleanup_rate_limit, &task);
        done.await.map(|done| done.cleanup)
    }

    async fn cleanup_idempotency_keys(&self, older_than: Duration) -> Result<u64, Error> {
        let task = Keys { older_than };
        let done = clean_up(&self.executor, self.cleanup_rate_limit, &task);
        done.await.map(|done| done.keys)
    }

    async fn reserve(&self, request: Reserve) -> Result<Reservation, Error> {
        reserve::exactly_once(&self.executor, &request, false).await
    }

    async fn reservation(&self, id: ReservationId) -> Result<Reservation, Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(reservations::find(conn, id));
        self.executor.read("reservation", work).await
    }

    async fn extend(&self, id: ReservationId, by: Duration) -> Result<Reservation, Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(reservations::extend(conn, id, by));
        reservations::step(&self.executor, "extend", false, work).await
    }

    async fn release(&self, id: ReservationId) -> Result<(), Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(reservations::release(conn, id));
        reservations::step(&self.executor, "release", false, work).await
    }

    async fn cleanup_reservations(&self) -> Result<Cleanup, Error> {
        let task = Holds::expired();
        let done = clean_up(&self.executor, self.cleanup_rate_limit, &task);
        done.await.map(|done| done.cleanup)
    }

    async fn movements(&self, sku: &Sku, page: Page<Version>) -> Result<Vec<Movement>, Error> {
        let page = &page;
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(movements::page_of(conn, sku, page));
        self.executor.read("movements", work).await
    }

    async fn report(&self, window: Duration) -> Result<Report, Error> {
        let rates = &self.traffic.over(window);
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(report::report(conn, window, rates));
        self.executor.read("report", work).await
    }

    async fn audit(&self) -> Result<Audit, Error> {
        audit::audit(&self.executor).await
    }
}
