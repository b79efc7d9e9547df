#[cfg(doc)]
use crate::inventory::model::ErrorKind;
use std::time::Duration;

use async_trait::async_trait;

use super::model::{
    Adjustment, Audit, Checkout, Cleanup, Error, Movement, NewProduct, Order, OrderFilter, OrderId,
    OrderStep, Page, Product, Report, Reservation, ReservationId, Reserve, ReturnRequest, Sku,
    Stock,
};
use crate::Version;

/// What a shop asks of its inventory.
///
/// [`PgInventory`](crate::inventory::PgInventory) keeps it on PostgreSQL and
/// [`MemoryInventory`](crate::inventory::MemoryInventory) in memory; both give the same answers. Take
/// `&dyn Inventory` or `Arc<dyn Inventory>` where either may come: a `&`, a `Box` and an `Arc` of an
/// inventory are inventories.
///
/// Every method that changes something takes effect completely or not at all.
#[async_trait]
pub trait Inventory: Send + Sync {
    /// Adds a product. A retired SKU is taken up again and goes on from its version.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] when the SKU is sold, [`ErrorKind::Invalid`] for a name that can't be
    /// stored, [`ErrorKind::StockHeld`] when reservations of the retired product hold more than the new
    /// stock.
    async fn add_product(&self, new: NewProduct) -> Result<Product, Error>;

    /// The product as it stands.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when there is none, or it is retired.
    async fn product(&self, sku: &Sku) -> Result<Product, Error>;

    /// A page of the products that are sold, sorted by SKU.
    ///
    /// # Errors
    ///
    /// Those of the database.
    async fn products(&self, page: Page<Sku>) -> Result<Vec<Product>, Error>;

    /// Those of these products that are sold, each once, sorted by SKU.
    ///
    /// # Errors
    ///
    /// Those of the database.
    async fn products_of(&self, skus: &[Sku]) -> Result<Vec<Product>, Error>;

    /// The product, if it is still at `expected`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when it moved on, [`ErrorKind::NotFound`] when it is gone.
    async fn product_at(&self, sku: &Sku, expected: Version) -> Result<Product, Error>;

    /// Writes name and price of `changed`, if nobody edited them since it was read: compares
    /// [`revision`](Product::revision), so that sales are no conflict. Stock is never written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] with the revisions when another edit came first, [`ErrorKind::NotFound`],
    /// [`ErrorKind::Invalid`] for a name that can't be stored.
    async fn update_product(&self, changed: &Product) -> Result<Product, Error>;

    /// Stops selling a product, if it is still at `expected`. It is kept for its orders and ledger.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`], [`ErrorKind::NotFound`].
    async fn retire_product(&self, sku: &Sku, expected: Version) -> Result<(), Error>;

    /// Pauses the sale of a product: checkouts, reservations and revived orders of it are refused with
    /// [`ErrorKind::ProductPaused`] until it is [resumed](Self::resume). Compares no version, so that it succeeds
    /// at once on a product in demand; for a product that is paused already it changes nothing.
    ///
    /// No sale after it has a version above that of the answer. A reservation made before is honoured: its
    /// live holds can be bought. The product stays listed, as [`paused`](Product::paused); cancelling,
    /// returning, counting, adjusting, editing and retiring go on. A retired product that is added again is
    /// not paused.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`].
    async fn pause(&self, sku: &Sku) -> Result<Product, Error>;

    /// Resumes the sale of a paused product. For one that is not paused it changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`].
    async fn resume(&self, sku: &Sku) -> Result<Product, Error>;

    /// Changes stock by so many units, once per [`Adjustment::id`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InsufficientStock`] when it would take more than is available,
    /// [`ErrorKind::IdempotencyMismatch`] when its id was used for something else, [`ErrorKind::NotFound`],
    /// [`ErrorKind::Invalid`] when stock would pass [`Stock::MAX`].
    async fn adjust_stock(&self, adjustment: Adjustment) -> Result<Product, Error>;

    /// Sets stock to what was counted, if nothing moved since `expected` was read. `reason` as in
    /// [`Adjustment::new`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`], [`ErrorKind::NotFound`], [`ErrorKind::StockHeld`] when reservations hold more
    /// than was counted, [`ErrorKind::Invalid`] for a reason that can't be stored.
    async fn count_stock(
        &self,
        sku: &Sku,
        expected: Version,
        counted: Stock,
        reason: &str,
    ) -> Result<Product, Error>;

    /// Takes all lines, or none, and makes an order that awaits payment; exactly once per order id, and
    /// per [idempotency key](Checkout::with_idempotency_key) of the customer.
    ///
    /// # Errors
    ///
    /// The first of these that applies: [`ErrorKind::NotFound`], [`ErrorKind::ProductPaused`],
    /// [`ErrorKind::PriceChanged`],
    /// [`ErrorKind::Conflict`] (for [`expecting_version`](crate::inventory::Line::expecting_version)),
    /// [`ErrorKind::InsufficientStock`] with every short line, [`ErrorKind::Invalid`] for several
    /// currencies or a total that is too large. [`ErrorKind::IdempotencyMismatch`] when the order id or
    /// the key was used by another request, [`ErrorKind::ReservationClosed`] when the reservation that it
    /// is from was released or used up.
    async fn checkout(&self, request: Checkout) -> Result<Order, Error>;

    /// The order as it stands.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when there is none.
    async fn order(&self, id: OrderId) -> Result<Order, Error>;

    /// A page of the orders, sorted by id, and so by the time at which their ids were made.
    ///
    /// # Errors
    ///
    /// Those of the database.
    async fn orders(&self, filter: OrderFilter, page: Page<OrderId>) -> Result<Vec<Order>, Error>;

    /// Makes a step of an order: with the version that it [expects](OrderStep::expecting_version), once only,
    /// also if the same step is sent again after another actor has undone its effect.
    ///
    /// Without a version it is answered with the order as `replayed` where the order is in the step's state
    /// already, and made from every other state in which it begins.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOrderState`] when the step does not begin in the state of the order,
    /// [`ErrorKind::Conflict`] when the order is past the version expected, and not by this step. Those of
    /// [`cancel`](Self::cancel) and [`revive`](Self::revive), [`ErrorKind::NotFound`]. [`ErrorKind::Unknown`] also
    /// when an earlier attempt of this call may have taken effect and been undone.
    async fn step(&self, step: OrderStep) -> Result<Order, Error>;

    /// The payment arrived. For an order that is paid already it changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOrderState`] when it was cancelled: [`revive`](Self::revive) it, or pay back.
    /// [`ErrorKind::NotFound`].
    async fn mark_paid(&self, id: OrderId) -> Result<Order, Error> {
        self.step(OrderStep::mark_paid(id)).await
    }

    /// A payment failed. The order keeps its stock and awaits another, until it is cancelled.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOrderState`] when it is paid or cancelled, [`ErrorKind::NotFound`].
    async fn mark_payment_failed(&self, id: OrderId) -> Result<Order, Error> {
        self.step(OrderStep::mark_payment_failed(id)).await
    }

    /// Cancels an order that is not paid, and gives back exactly what it took, once. For an order that
    /// is cancelled already it changes nothing. `reason` as in [`Adjustment::new`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOrderState`] when it is paid: its units come back by
    /// [`return_items`](Self::return_items). [`ErrorKind::NotFound`], [`ErrorKind::Invalid`] for a reason that
    /// can't be stored.
    async fn cancel(&self, id: OrderId, reason: &str) -> Result<Order, Error> {
        self.step(OrderStep::cancel(id, reason)).await
    }

    /// Takes the stock of a cancelled order again, at the order's prices: for a payment that arrived
    /// after all. The order awaits payment again, as if it had just been made: mark it paid next.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ProductPaused`] when the sale of one of its products is paused,
    /// [`ErrorKind::InsufficientStock`] with every line that can't be had any more, a retired product
    /// among them; then nothing changes. [`ErrorKind::InvalidOrderState`] when it is paid or its payment failed,
    /// [`ErrorKind::NotFound`].
    async fn revive(&self, id: OrderId) -> Result<Order, Error> {
        self.step(OrderStep::revive(id)).await
    }

    /// Puts units of a paid order back into stock, once per [`ReturnRequest::id`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ReturnExceedsOrder`] with every line that asks for more than is left of it; then
    /// nothing changes. [`ErrorKind::InvalidOrderState`] when the order is not paid, [`ErrorKind::Conflict`] when it is at
    /// another version than [expected](ReturnRequest::expecting_version),
    /// [`ErrorKind::IdempotencyMismatch`] when its id was used for something else, [`ErrorKind::NotFound`].
    async fn return_items(&self, request: ReturnRequest) -> Result<Order, Error>;

    /// Cancels the orders that have awaited payment for longer than `older_than` and gives their
    /// stock back, each exactly once. May be called by several processes at once, and dropped at any time.
    ///
    /// It waits for no lock longer than 50 ms: an order that another transaction has locked, or a product
    /// of such an order, is skipped and tried again until the policy's deadline has passed since the last
    /// page (3 s without one); the orders still locked are counted as [`Cleanup::skipped`]. An order that
    /// the database refuses to change (a constraint, a trigger or a policy of the host's) is left, counted
    /// as [`Cleanup::refused`] and named by a `WARN` event with target `optilock::cleanup`.
    ///
    /// # Errors
    ///
    /// Those of the database; what was cancelled before stays so.
    async fn cleanup_failed_orders(&self, older_than: Duration) -> Result<Cleanup, Error>;

    /// Forgets the [idempotency keys](Checkout::with_idempotency_key) of orders made longer than
    /// `older_than` ago, and returns how many. From then on such a key makes a new order: keep them for
    /// longer than any client repeats a request, a day or more.
    ///
    /// It reads all orders, page by page. Orders that are locked or refused are treated as by
    /// [`cleanup_failed_orders`](Self::cleanup_failed_orders).
    ///
    /// # Errors
    ///
    /// Those of the database; what was forgotten before stays so.
    async fn cleanup_idempotency_keys(&self, older_than: Duration) -> Result<u64, Error>;

    /// Holds all lines, or none, for a time; exactly once per reservation id, and per
    /// [idempotency key](Reserve::with_idempotency_key) of the customer. A customer may have several
    /// reservations.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], [`ErrorKind::ProductPaused`], [`ErrorKind::InsufficientStock`] with every short line,
    /// [`ErrorKind::IdempotencyMismatch`] when the id or the key was used by another request,
    /// [`ErrorKind::Invalid`] for a duration or a text that can't be stored.
    async fn reserve(&self, request: Reserve) -> Result<Reservation, Error>;

    /// The reservation as it stands. A hold past its time is [lapsed](crate::inventory::HoldState::Expired), whether a
    /// clean-up ended it or not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`].
    async fn reservation(&self, id: ReservationId) -> Result<Reservation, Error>;

    /// Holds what is still held for at least `by` from now on: 1 µs to
    /// [`Reserve::MAX_DURATION`]. A hold that lasts longer anyway stays as it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ReservationClosed`] when nothing is held any more, [`ErrorKind::NotFound`],
    /// [`ErrorKind::Invalid`].
    async fn extend(&self, id: ReservationId, by: Duration) -> Result<Reservation, Error>;

    /// Gives back what is still held. For a reservation that holds nothing it changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`].
    async fn release(&self, id: ReservationId) -> Result<(), Error>;

    /// Expires the holds that are past their time, each exactly once. Sales don't wait for it: a checkout
    /// expires the holds whose units it needs. May be called by several processes at once, and dropped at
    /// any time.
    ///
    /// It ends a bounded number of holds per statement, however many a product has. A product that is locked
    /// or refused is treated as an order by [`cleanup_failed_orders`](Self::cleanup_failed_orders).
    ///
    /// # Errors
    ///
    /// Those of the database; what was expired before stays so.
    async fn cleanup_reservations(&self) -> Result<Cleanup, Error>;

    /// A page of a product's ledger, by version. Of a retired product too; empty when there never was
    /// one.
    ///
    /// # Errors
    ///
    /// Those of the database.
    async fn movements(&self, sku: &Sku, page: Page<Version>) -> Result<Vec<Movement>, Error>;

    /// How the shop is doing: stock that can't be, orders that nobody pays, what sold best within the
    /// window, products that change often, and the five figures of [`KpiKind`](crate::inventory::KpiKind). It reads
    /// every product and the orders of the window, and blocks nobody: for every minute or so, or a
    /// replica.
    ///
    /// # Errors
    ///
    /// Those of the database.
    async fn report(&self, window: Duration) -> Result<Report, Error>;

    /// Compares everything that is kept twice, all of one moment: stocks with the ledger, orders with
    /// what it took for them, reservations with what products count as reserved. It reads every row, and
    /// blocks nobody: for the night, or a replica.
    ///
    /// # Errors
    ///
    /// Those of the database.
    async fn audit(&self) -> Result<Audit, Error>;
}
