//! The contract of every inventory.

use std::time::Duration;

use async_trait::async_trait;

#[cfg(doc)]
use super::model::ErrorKind;
use super::model::{
    Adjustment, Audit, Checkout, Cleanup, Error, Movement, NewProduct, Order, OrderFilter, OrderId,
    OrderStep, Page, Product, Report, Reservation, ReservationId, Reserve, ReturnRequest, Sku,
    Stock,
};
use crate::Version;

/// The operations of an inventory.
///
/// [`PgInventory`](crate::inventory::PgInventory) implements them on PostgreSQL and
/// [`MemoryInventory`](crate::inventory::MemoryInventory) in memory; both give the same answers. Code that
/// works with either takes `&dyn Inventory` or `Arc<dyn Inventory>`: a `&`, a `Box` and an `Arc` of an
/// inventory are inventories.
///
/// Every method that changes something takes effect completely or not at all.
#[async_trait]
pub trait Inventory: Send + Sync {
    /// Adds a product. A retired SKU is sold again and continues from its version.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] when the SKU is in use, [`ErrorKind::Invalid`] for a name that can't be
    /// stored, [`ErrorKind::StockHeld`] when reservations of the retired product hold more units than the new
    /// stock.
    async fn add_product(&self, new: NewProduct) -> Result<Product, Error>;

    /// Returns a product.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when the product does not exist or is retired.
    async fn product(&self, sku: &Sku) -> Result<Product, Error>;

    /// Returns a page of the products that are not retired, sorted by SKU.
    ///
    /// # Errors
    ///
    /// Those of the database.
    async fn products(&self, page: Page<Sku>) -> Result<Vec<Product>, Error>;

    /// Returns those of these products that exist and are not retired, each once, sorted by SKU.
    ///
    /// # Errors
    ///
    /// Those of the database.
    async fn products_of(&self, skus: &[Sku]) -> Result<Vec<Product>, Error>;

    /// Returns a product if it is still at `expected`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when the product is at another version, [`ErrorKind::NotFound`] when it does not
    /// exist or is retired.
    async fn product_at(&self, sku: &Sku, expected: Version) -> Result<Product, Error>;

    /// Writes the name and the price of `changed`, if neither was edited since it was read. The
    /// [`revision`](Product::revision) is compared, so sales are no conflict. Stock is never written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] with the revisions when another edit was written first, [`ErrorKind::NotFound`],
    /// [`ErrorKind::Invalid`] for a name that can't be stored.
    async fn update_product(&self, changed: &Product) -> Result<Product, Error>;

    /// Retires a product, if it is still at `expected`. It is kept for its orders and its ledger.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`], [`ErrorKind::NotFound`].
    async fn retire_product(&self, sku: &Sku, expected: Version) -> Result<(), Error>;

    /// Pauses the sale of a product: checkouts, reservations and revived orders of it are refused with
    /// [`ErrorKind::ProductPaused`] until it is [resumed](Self::resume). Compares no version, so that it
    /// succeeds at once on a contended product. If the product is paused already, changes nothing.
    ///
    /// No later sale has a version above that of the answer. A reservation that was made before is honoured:
    /// its live holds can be bought. The product stays listed, as [`paused`](Product::paused). Its orders can
    /// be cancelled and returned, and it can be counted, adjusted, edited and retired. A retired product that
    /// is added again is not paused.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`].
    async fn pause(&self, sku: &Sku) -> Result<Product, Error>;

    /// Resumes the sale of a paused product. If the product is not paused, changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`].
    async fn resume(&self, sku: &Sku) -> Result<Product, Error>;

    /// Changes the stock by a number of units, once per [`Adjustment::id`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InsufficientStock`] when it takes more units than are available,
    /// [`ErrorKind::IdempotencyMismatch`] when its id was used by another request, [`ErrorKind::NotFound`],
    /// [`ErrorKind::Invalid`] when the stock would exceed [`Stock::MAX`].
    async fn adjust_stock(&self, adjustment: Adjustment) -> Result<Product, Error>;

    /// Sets the stock to a count, if the product is still at `expected`. For `reason` see [`Adjustment::new`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`], [`ErrorKind::NotFound`], [`ErrorKind::StockHeld`] when reservations hold more
    /// units than were counted, [`ErrorKind::Invalid`] for a reason that can't be stored.
    async fn count_stock(
        &self,
        sku: &Sku,
        expected: Version,
        counted: Stock,
        reason: &str,
    ) -> Result<Product, Error>;

    /// Takes all lines or none, and creates an order that awaits payment. Takes effect exactly once per order
    /// id, and per [idempotency key](Checkout::with_idempotency_key) of the customer.
    ///
    /// # Errors
    ///
    /// The first of these that applies: [`ErrorKind::NotFound`], [`ErrorKind::ProductPaused`],
    /// [`ErrorKind::PriceChanged`], [`ErrorKind::Conflict`] (for
    /// [`expecting_version`](crate::inventory::Line::expecting_version)), [`ErrorKind::InsufficientStock`] with
    /// every short line, [`ErrorKind::Invalid`] for several currencies or a total that is too large.
    /// [`ErrorKind::IdempotencyMismatch`] when the order id or the key was used by another request,
    /// [`ErrorKind::ReservationClosed`] when its reservation was released or used up.
    async fn checkout(&self, request: Checkout) -> Result<Order, Error>;

    /// Returns an order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when there is none.
    async fn order(&self, id: OrderId) -> Result<Order, Error>;

    /// Returns a page of the orders, sorted by id: the ids of [`OrderId::new`] sort by the time at which they
    /// were created. The filter says [in which direction](OrderFilter::newest_first).
    ///
    /// A page of a customer's orders is read by an index, in both directions. A filter by states reads the orders
    /// between those that it selects.
    ///
    /// # Errors
    ///
    /// Those of the database.
    async fn orders(&self, filter: OrderFilter, page: Page<OrderId>) -> Result<Vec<Order>, Error>;

    /// Makes a step of an order. With the version that it [expects](OrderStep::expecting_version) it is made
    /// once only, also if the same step is sent again after another actor has undone its effect.
    ///
    /// Without a version, returns the order as `replayed` if it is in the state to which the step leads, and
    /// makes the step from every other state in which it begins.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOrderState`] when the step does not begin in the state of the order,
    /// [`ErrorKind::Conflict`] when the order has passed the expected version, and not by this step. Those of
    /// [`cancel`](Self::cancel) and [`revive`](Self::revive), [`ErrorKind::NotFound`]. [`ErrorKind::Unknown`]
    /// also when an earlier attempt of this call may have taken effect and been undone.
    async fn step(&self, step: OrderStep) -> Result<Order, Error>;

    /// Marks an order as paid. If the order is paid already, changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOrderState`] when the order is cancelled: [`revive`](Self::revive) it, or refund the
    /// payment. [`ErrorKind::NotFound`].
    async fn mark_paid(&self, id: OrderId) -> Result<Order, Error> {
        self.step(OrderStep::mark_paid(id)).await
    }

    /// Marks the payment of an order as failed. The order keeps its stock and awaits another payment until it
    /// is cancelled.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOrderState`] when the order is paid or cancelled, [`ErrorKind::NotFound`].
    async fn mark_payment_failed(&self, id: OrderId) -> Result<Order, Error> {
        self.step(OrderStep::mark_payment_failed(id)).await
    }

    /// Cancels an unpaid order and gives back exactly what it took, once. If the order is cancelled already,
    /// changes nothing. For `reason` see [`Adjustment::new`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOrderState`] when the order is paid: its units come back by
    /// [`return_items`](Self::return_items). [`ErrorKind::NotFound`], [`ErrorKind::Invalid`] for a reason that
    /// can't be stored.
    async fn cancel(&self, id: OrderId, reason: &str) -> Result<Order, Error> {
        self.step(OrderStep::cancel(id, reason)).await
    }

    /// Takes the stock of a cancelled order again, at the order's prices, for a payment that arrived late. The
    /// order awaits payment again, as a new one does: mark it paid next.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ProductPaused`] when the sale of one of its products is paused,
    /// [`ErrorKind::InsufficientStock`] with every line that is not available, those of retired products
    /// included; then nothing changes. [`ErrorKind::InvalidOrderState`] when the order is paid or its payment
    /// failed, [`ErrorKind::NotFound`].
    async fn revive(&self, id: OrderId) -> Result<Order, Error> {
        self.step(OrderStep::revive(id)).await
    }

    /// Puts units of a paid order back into stock, once per [`ReturnRequest::id`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ReturnExceedsOrder`] with every line that requests more units than the order has left; then
    /// nothing changes. [`ErrorKind::InvalidOrderState`] when the order is not paid, [`ErrorKind::Conflict`]
    /// when it is at another version than [expected](ReturnRequest::expecting_version),
    /// [`ErrorKind::IdempotencyMismatch`] when the id was used by another request, [`ErrorKind::NotFound`].
    async fn return_items(&self, request: ReturnRequest) -> Result<Order, Error>;

    /// Cancels the orders that have awaited payment for longer than `older_than` and gives their stock back,
    /// each exactly once. Several processes may call it at once, and its future may be dropped at any time.
    ///
    /// It waits for no lock longer than 50 ms. An order that another transaction has locked, or whose product
    /// is locked, is skipped and tried again until the policy's deadline has passed since the last page (3 s
    /// without a deadline); orders that are still locked are counted as [`Cleanup::skipped`]. An order that the
    /// database refuses to change (by a constraint, a trigger or a policy of the host's) is left, counted as
    /// [`Cleanup::refused`] and named by a `WARN` event with target `optilock::cleanup`.
    ///
    /// # Errors
    ///
    /// Those of the database; orders that were cancelled before stay cancelled.
    async fn cleanup_failed_orders(&self, older_than: Duration) -> Result<Cleanup, Error>;

    /// Forgets the [idempotency keys](Checkout::with_idempotency_key) of orders that were created longer than
    /// `older_than` ago, and returns how many. A forgotten key creates a new order when it is sent again: keep
    /// keys for longer than any client repeats a request, a day or more.
    ///
    /// It reads all orders that have a key, page by page. Orders that are locked or refused are treated as by
    /// [`cleanup_failed_orders`](Self::cleanup_failed_orders).
    ///
    /// # Errors
    ///
    /// Those of the database; keys that were forgotten before stay forgotten.
    async fn cleanup_idempotency_keys(&self, older_than: Duration) -> Result<u64, Error>;

    /// Holds all lines or none, for a time. Takes effect exactly once per reservation id, and per [idempotency
    /// key](Reserve::with_idempotency_key) of the customer. A customer may have several reservations.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], [`ErrorKind::ProductPaused`], [`ErrorKind::InsufficientStock`] with every short line,
    /// [`ErrorKind::IdempotencyMismatch`] when the id or the key was used by another request,
    /// [`ErrorKind::Invalid`] for a duration or a text that can't be stored.
    async fn reserve(&self, request: Reserve) -> Result<Reservation, Error>;

    /// Returns a reservation. An expired hold is [`HoldState::Expired`](crate::inventory::HoldState::Expired),
    /// whether a clean-up has ended it or not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`].
    async fn reservation(&self, id: ReservationId) -> Result<Reservation, Error>;

    /// Extends the live holds of a reservation so that each lasts for at least `by` from now: 1 µs to
    /// [`Reserve::MAX_DURATION`]. A hold that lasts longer stays as it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ReservationClosed`] when no hold is live, [`ErrorKind::NotFound`], [`ErrorKind::Invalid`]
    /// for a duration out of range.
    async fn extend(&self, id: ReservationId, by: Duration) -> Result<Reservation, Error>;

    /// Releases the live holds of a reservation. If none is live, changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`].
    async fn release(&self, id: ReservationId) -> Result<(), Error>;

    /// Ends the expired holds and gives their units back, each exactly once. Sales don't wait for it: a
    /// checkout ends the expired holds whose units it needs. Several processes may call it at once, and its
    /// future may be dropped at any time.
    ///
    /// It ends a bounded number of holds per statement, however many a product has. A product that is locked or
    /// refused is treated as an order by [`cleanup_failed_orders`](Self::cleanup_failed_orders).
    ///
    /// # Errors
    ///
    /// Those of the database; holds that were ended before stay ended.
    async fn cleanup_reservations(&self) -> Result<Cleanup, Error>;

    /// Returns a page of a product's ledger, sorted by version; also of a retired product. Empty for a product
    /// that never existed.
    ///
    /// # Errors
    ///
    /// Those of the database.
    async fn movements(&self, sku: &Sku, page: Page<Version>) -> Result<Vec<Movement>, Error>;

    /// Returns a report on the shop: negative stock, unpaid orders, best sellers within the window, contended
    /// products, and the five figures of [`KpiKind`](crate::inventory::KpiKind). It reads every product and the
    /// orders of the window without blocking other operations: call it about once a minute, or on a replica.
    ///
    /// # Errors
    ///
    /// Those of the database.
    async fn report(&self, window: Duration) -> Result<Report, Error>;

    /// Compares everything that is stored twice: stocks with the ledger, orders with the units that the ledger took
    /// for them, reservations with the units that products count as reserved. Both numbers of each comparison are read
    /// in one snapshot. It reads every row without blocking other operations: call it at night, or on a replica.
    ///
    /// # Errors
    ///
    /// Those of the database.
    async fn audit(&self) -> Result<Audit, Error>;
}
