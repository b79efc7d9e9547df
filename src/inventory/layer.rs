//! Layers: inventories in front of another one, pointers included. This is the one place that forwards the
//! trait.

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

/// Declares [`Layer`], whose methods forward to the inventory behind, and implements [`Inventory`] for every
/// layer.
macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        /// An inventory in front of another one.
        ///
        /// A layer implements the methods that it changes; all others forward to the inventory
        /// [behind](Self::behind) it. Each layer is an [`Inventory`].
        /// [`BatchedInventory`](super::BatchedInventory) and [`CachedStock`](super::cache::CachedStock) are
        /// layers, and so are a `&`, a `Box` and an `Arc` of an inventory.
        ///
        /// ```
        /// use async_trait::async_trait;
        /// use optilock::inventory::{Checkout, Error, Inventory, Layer, MemoryInventory, Order};
        ///
        /// /// Refuses checkouts of more than three products.
        /// struct SmallCarts<I>(I);
        ///
        /// #[async_trait]
        /// impl<I: Inventory> Layer for SmallCarts<I> {
        ///     type Behind = I;
        ///
        ///     fn behind(&self) -> &I {
        ///         &self.0
        ///     }
        ///
        ///     async fn checkout(&self, request: Checkout) -> Result<Order, Error> {
        ///         if request.lines().len() > 3 {
        ///             return Err(Error::invalid("checkout", "has more than three products"));
        ///         }
        ///         self.behind().checkout(request).await
        ///     }
        /// }
        ///
        /// fn shop() -> impl Inventory {
        ///     SmallCarts(MemoryInventory::new())
        /// }
        /// # shop();
        /// ```
        #[async_trait]
        pub trait Layer: Send + Sync {
            /// The type of the inventory behind.
            type Behind: Inventory + ?Sized;

            /// Returns the inventory behind.
            fn behind(&self) -> &Self::Behind;

            $(
                #[doc = concat!("See [`Inventory::", stringify!($name), "`].")]
                async fn $name(&self $(, $argument: $type)*) -> Result<$answer, Error> {
                    self.behind().$name($($argument),*).await
                }
            )*
        }

        #[async_trait]
        impl<L: Layer + ?Sized> Inventory for L {
            $(
                async fn $name(&self $(, $argument: $type)*) -> Result<$answer, Error> {
                    Layer::$name(self $(, $argument)*).await
                }
            )*
        }
    };
}

forward! {
    add_product(new: NewProduct) -> Product;
    product(sku: &Sku) -> Product;
    products(page: Page<Sku>) -> Vec<Product>;
    products_of(skus: &[Sku]) -> Vec<Product>;
    product_at(sku: &Sku, expected: Version) -> Product;
    update_product(changed: &Product) -> Product;
    retire_product(sku: &Sku, expected: Version) -> ();
    pause(sku: &Sku) -> Product;
    resume(sku: &Sku) -> Product;
    adjust_stock(adjustment: Adjustment) -> Product;
    count_stock(sku: &Sku, expected: Version, counted: Stock, reason: &str) -> Product;
    checkout(request: Checkout) -> Order;
    order(id: OrderId) -> Order;
    orders(filter: OrderFilter, page: Page<OrderId>) -> Vec<Order>;
    step(step: OrderStep) -> Order;
    return_items(request: ReturnRequest) -> Order;
    cleanup_failed_orders(older_than: Duration) -> Cleanup;
    cleanup_idempotency_keys(older_than: Duration) -> u64;
    reserve(request: Reserve) -> Reservation;
    reservation(id: ReservationId) -> Reservation;
    extend(id: ReservationId, by: Duration) -> Reservation;
    release(id: ReservationId) -> ();
    cleanup_reservations() -> Cleanup;
    movements(sku: &Sku, page: Page<Version>) -> Vec<Movement>;
    report(window: Duration) -> Report;
    audit() -> Audit;
}

impl<I: Inventory + ?Sized> Layer for &I {
    type Behind = I;

    fn behind(&self) -> &I {
        self
    }
}

impl<I: Inventory + ?Sized> Layer for Box<I> {
    type Behind = I;

    fn behind(&self) -> &I {
        self
    }
}

impl<I: Inventory + ?Sized> Layer for Arc<I> {
    type Behind = I;

    fn behind(&self) -> &I {
        self
    }
}
