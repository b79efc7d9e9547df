//! Inventories of a host's own: its implementations of the trait, and its layers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use optilock::{
    Version,
    inventory::{
        Adjustment, Audit, Checkout, Cleanup, Error, Inventory, MemoryInventory, Movement,
        NewProduct, Order, OrderFilter, OrderId, OrderStep, Page, Product, Report, Reservation,
        ReservationId, Reserve, ReturnRequest, Sku, Stock, layer,
    },
};

use crate::support::goods::{add, cart};

/// An inventory without products, which counts cancellations.
#[derive(Debug, Default)]
struct Empty {
    cancellations: AtomicU32,
}

impl Empty {
    fn refuse<T>(&self) -> Result<T, Error> {
        Err(Error::not_found("anything", "here"))
    }
}

#[async_trait]
impl Inventory for Empty {
    async fn add_product(&self, _: NewProduct) -> Result<Product, Error> {
        self.refuse()
    }

    async fn product(&self, _: &Sku) -> Result<Product, Error> {
        self.refuse()
    }

    async fn products(&self, _: Page<Sku>) -> Result<Vec<Product>, Error> {
        self.refuse()
    }

    async fn products_of(&self, _: &[Sku]) -> Result<Vec<Product>, Error> {
        self.refuse()
    }

    async fn product_at(&self, _: &Sku, _: Version) -> Result<Product, Error> {
        self.refuse()
    }

    async fn update_product(&self, _: &Product) -> Result<Product, Error> {
        self.refuse()
    }

    async fn retire_product(&self, _: &Sku, _: Version) -> Result<(), Error> {
        self.refuse()
    }

    async fn pause(&self, _: &Sku) -> Result<Product, Error> {
        self.refuse()
    }

    async fn resume(&self, _: &Sku) -> Result<Product, Error> {
        self.refuse()
    }

    async fn adjust_stock(&self, _: Adjustment) -> Result<Product, Error> {
        self.refuse()
    }

    async fn count_stock(&self, _: &Sku, _: Version, _: Stock, _: &str) -> Result<Product, Error> {
        self.refuse()
    }

    async fn checkout(&self, _: Checkout) -> Result<Order, Error> {
        self.refuse()
    }

    async fn order(&self, _: OrderId) -> Result<Order, Error> {
        self.refuse()
    }

    async fn orders(&self, _: OrderFilter, _: Page<OrderId>) -> Result<Vec<Order>, Error> {
        self.refuse()
    }

    async fn step(&self, _: OrderStep) -> Result<Order, Error> {
        self.refuse()
    }

    async fn return_items(&self, _: ReturnRequest) -> Result<Order, Error> {
        self.refuse()
    }

    async fn cleanup_failed_orders(&self, _: Duration) -> Result<Cleanup, Error> {
        self.refuse()
    }

    async fn cleanup_idempotency_keys(&self, _: Duration) -> Result<u64, Error> {
        self.refuse()
    }

    async fn reserve(&self, _: Reserve) -> Result<Reservation, Error> {
        self.refuse()
    }

    async fn reservation(&self, _: ReservationId) -> Result<Reservation, Error> {
        self.refuse()
    }

    async fn extend(&self, _: ReservationId, _: Duration) -> Result<Reservation, Error> {
        self.refuse()
    }

    async fn release(&self, _: ReservationId) -> Result<(), Error> {
        self.refuse()
    }

    async fn cleanup_reservations(&self) -> Result<Cleanup, Error> {
        self.refuse()
    }

    async fn movements(&self, _: &Sku, _: Page<Version>) -> Result<Vec<Movement>, Error> {
        self.refuse()
    }

    async fn report(&self, _: Duration) -> Result<Report, Error> {
        self.refuse()
    }

    async fn audit(&self) -> Result<Audit, Error> {
        self.refuse()
    }

    async fn cancel(&self, _: OrderId, _: &str) -> Result<Order, Error> {
        self.cancellations.fetch_add(1, Relaxed);
        self.refuse()
    }
}

/// A pointer calls the method that a host's type overrides, and not the default of the trait.
#[tokio::test]
async fn a_pointer_calls_an_overridden_default() {
    let empty = Arc::new(Empty::default());
    let shared: Arc<dyn Inventory> = empty.clone();
    let boxed: Box<dyn Inventory> = Box::new(empty.clone());
    let lent: &dyn Inventory = &*empty;
    for cancelled in [
        shared.cancel(OrderId::new(), "test").await,
        Arc::new(shared).cancel(OrderId::new(), "test").await,
        boxed.cancel(OrderId::new(), "test").await,
        (&lent).cancel(OrderId::new(), "test").await,
    ] {
        assert!(cancelled.unwrap_err().is_not_found());
    }
    assert_eq!(empty.cancellations.load(Relaxed), 4);
}

/// Refuses cancellations.
struct Final<I>(I);

#[async_trait]
impl<I: Inventory> layer::Layer for Final<I> {
    type Behind = I;

    fn behind(&self) -> &I {
        &self.0
    }

    async fn cancel(&self, _: OrderId, _: &str) -> Result<Order, Error> {
        Err(Error::invalid("order", "is final"))
    }
}

#[tokio::test]
async fn a_layer_changes_what_it_implements_and_forwards_the_rest() {
    let shop = Final(MemoryInventory::new());
    add(&shop, "pot", 3).await;
    let order = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let refused = shop.cancel(order.id, "changed my mind").await.unwrap_err();
    assert_eq!(refused.to_string(), "order is final");
    shop.mark_paid(order.id).await.unwrap();
}
