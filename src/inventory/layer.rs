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
        /// Its methods have the names of the inventory's: implement the trait by its path, as here, and don't
        /// import it where an inventory is called.
        ///
        /// ```
        /// use async_trait::async_trait;
        /// use optilock::inventory::{Checkout, Error, Inventory, MemoryInventory, Order, layer};
        ///
        /// /// Refuses checkouts of more than three products.
        /// struct SmallCarts<I>(I);
        ///
        /// #[async_trait]
        /// impl<I: Inventory> layer::Layer for SmallCarts<I> {
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
        /// # #[tokio::main(flavor = "current_thread")] async fn main() {
        /// let shop = SmallCarts(MemoryInventory::new());
        /// assert!(shop.audit().await.unwrap().is_clean());
        /// # }
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

            /// See [`Inventory::mark_paid`]: by this layer's [`step`](Self::step).
            async fn mark_paid(&self, id: OrderId) -> Result<Order, Error> {
                Layer::step(self, OrderStep::mark_paid(id)).await
            }

            /// See [`Inventory::mark_payment_failed`]: by this layer's [`step`](Self::step).
            async fn mark_payment_failed(&self, id: OrderId) -> Result<Order, Error> {
                Layer::step(self, OrderStep::mark_payment_failed(id)).await
            }

            /// See [`Inventory::cancel`]: by this layer's [`step`](Self::step).
            async fn cancel(&self, id: OrderId, reason: &str) -> Result<Order, Error> {
                Layer::step(self, OrderStep::cancel(id, reason)).await
            }

            /// See [`Inventory::revive`]: by this layer's [`step`](Self::step).
            async fn revive(&self, id: OrderId) -> Result<Order, Error> {
                Layer::step(self, OrderStep::revive(id)).await
            }
        }

        #[async_trait]
        impl<L: Layer + ?Sized> Inventory for L {
            $(
                async fn $name(&self $(, $argument: $type)*) -> Result<$answer, Error> {
                    Layer::$name(self $(, $argument)*).await
                }
            )*

            async fn mark_paid(&self, id: OrderId) -> Result<Order, Error> {
                Layer::mark_paid(self, id).await
            }

            async fn mark_payment_failed(&self, id: OrderId) -> Result<Order, Error> {
                Layer::mark_payment_failed(self, id).await
            }

            async fn cancel(&self, id: OrderId, reason: &str) -> Result<Order, Error> {
                Layer::cancel(self, id, reason).await
            }

            async fn revive(&self, id: OrderId) -> Result<Order, Error> {
                Layer::revive(self, id).await
            }
        }
    };
}

/// Calls a macro with the methods of [`Inventory`] that have no default.
macro_rules! operations {
    ($with:ident) => {
        $with! {
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
    };
}

operations!(forward);
#[cfg(feature = "testing")]
pub(crate) use operations;

/// A pointer calls each method of the inventory that it points to, those with a default included.
macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        #[async_trait]
        impl<I: Inventory + ?Sized> Layer for $pointer {
            type Behind = I;

            fn behind(&self) -> &I {
                self
            }

            async fn mark_paid(&self, id: OrderId) -> Result<Order, Error> {
                self.behind().mark_paid(id).await
            }

            async fn mark_payment_failed(&self, id: OrderId) -> Result<Order, Error> {
                self.behind().mark_payment_failed(id).await
            }

            async fn cancel(&self, id: OrderId, reason: &str) -> Result<Order, Error> {
                self.behind().cancel(id, reason).await
            }

            async fn revive(&self, id: OrderId) -> Result<Order, Error> {
                self.behind().revive(id).await
            }
        }
    )*};
}

pointers!(&I, Box<I>, Arc<I>);
