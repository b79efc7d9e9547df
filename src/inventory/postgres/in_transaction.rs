//! The operations in a transaction of the caller's: each makes one attempt and commits nothing.

#[cfg(doc)]
use crate::inventory::model::ErrorKind;
use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    PgInventory, checkout,
    hook::UnfinishedSale,
    ledger::{audit, feed, movements, report},
    orders::{self, doubt::Doubt, returns, step},
    products,
    reservations::{self, expiry, reserve},
};
use crate::{
    Version,
    inventory::model::{
        Adjustment, Audit, Checkout, Error, FeedPosition, Movement, MovementFeed, NewProduct,
        Order, OrderFilter, OrderId, OrderStep, Page, Product, Report, Reservation, ReservationId,
        Reserve, ReturnRequest, Sku, Stock,
    },
};

impl PgInventory {
    /// Runs [`add_product`](crate::inventory::Inventory::add_product) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn add_product_in(
        &self,
        conn: &mut PgConnection,
        new: &NewProduct,
    ) -> Result<Product, Error> {
        products::add(&mut self.schema().on(conn), new, Uuid::now_v7()).await
    }

    /// Runs [`product`](crate::inventory::Inventory::product) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn product_in(&self, conn: &mut PgConnection, sku: &Sku) -> Result<Product, Error> {
        products::find(&mut self.schema().on(conn), sku).await
    }

    /// Runs [`products`](crate::inventory::Inventory::products) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn products_in(
        &self,
        conn: &mut PgConnection,
        page: &Page<Sku>,
    ) -> Result<Vec<Product>, Error> {
        products::page(&mut self.schema().on(conn), page).await
    }

    /// Runs [`products_of`](crate::inventory::Inventory::products_of) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn products_of_in(
        &self,
        conn: &mut PgConnection,
        skus: &[Sku],
    ) -> Result<Vec<Product>, Error> {
        products::of(&mut self.schema().on(conn), skus).await
    }

    /// Runs [`product_at`](crate::inventory::Inventory::product_at) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn product_at_in(
        &self,
        conn: &mut PgConnection,
        sku: &Sku,
        expected: Version,
    ) -> Result<Product, Error> {
        products::at(&mut self.schema().on(conn), sku, expected).await
    }

    /// Runs [`update_product`](crate::inventory::Inventory::update_product) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn update_product_in(
        &self,
        conn: &mut PgConnection,
        changed: &Product,
    ) -> Result<Product, Error> {
        products::edit(&mut self.schema().on(conn), changed, Uuid::now_v7()).await
    }

    /// Runs [`retire_product`](crate::inventory::Inventory::retire_product) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn retire_product_in(
        &self,
        conn: &mut PgConnection,
        sku: &Sku,
        expected: Version,
    ) -> Result<(), Error> {
        products::retire(&mut self.schema().on(conn), sku, expected, Uuid::now_v7())
            .await
            .map(drop)
    }

    /// Runs [`pause`](crate::inventory::Inventory::pause) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn pause_in(&self, conn: &mut PgConnection, sku: &Sku) -> Result<Product, Error> {
        products::set_paused(&mut self.schema().on(conn), sku, true, Uuid::now_v7()).await
    }

    /// Runs [`resume`](crate::inventory::Inventory::resume) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn resume_in(&self, conn: &mut PgConnection, sku: &Sku) -> Result<Product, Error> {
        products::set_paused(&mut self.schema().on(conn), sku, false, Uuid::now_v7()).await
    }

    /// Runs [`adjust_stock`](crate::inventory::Inventory::adjust_stock) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn adjust_stock_in(
        &self,
        conn: &mut PgConnection,
        adjustment: &Adjustment,
    ) -> Result<Product, Error> {
        expiry::in_transaction(
            &mut self.schema().on(conn),
            self.executor.policy(),
            adjustment,
        )
        .await
    }

    /// Runs [`count_stock`](crate::inventory::Inventory::count_stock) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn count_stock_in(
        &self,
        conn: &mut PgConnection,
        sku: &Sku,
        expected: Version,
        counted: Stock,
        reason: &str,
    ) -> Result<Product, Error> {
        products::count(
            &mut self.schema().on(conn),
            sku,
            expected,
            counted,
            reason,
            Uuid::now_v7(),
        )
        .await
    }

    /// Runs [`checkout`](crate::inventory::Inventory::checkout) in the caller's transaction: order, lines and
    /// movements commit with the host's own rows, or not at all. Locks the products until then, with every
    /// strategy.
    ///
    /// With a [hook](PgInventory::with_hook), it has to be in a transaction. If the future is dropped before
    /// the hook ends, the transaction can only be rolled back: see
    /// [`OnAccepted`](crate::inventory::OnAccepted).
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn checkout_in(
        &self,
        conn: &mut PgConnection,
        request: &Checkout,
    ) -> Result<Order, Error> {
        request.check()?;
        let conn = &mut self.schema().on(conn);
        let policy = self.executor.policy();
        if !self.effects.hook.is_some() {
            return checkout::in_transaction(conn, &self.effects, policy, request).await;
        }
        let sale = UnfinishedSale::begin(conn, request.id).await?;
        let sold = checkout::in_transaction(conn, &self.effects, policy, request).await;
        let ended = match &sold {
            Ok(_) => sale.finish(conn).await,
            Err(_) => sale.undo(conn).await,
        };
        let order = sold?;
        ended?;
        Ok(order)
    }

    /// Runs [`order`](crate::inventory::Inventory::order) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn order_in(&self, conn: &mut PgConnection, id: OrderId) -> Result<Order, Error> {
        orders::find(&mut self.schema().on(conn), id).await
    }

    /// Runs [`orders`](crate::inventory::Inventory::orders) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn orders_in(
        &self,
        conn: &mut PgConnection,
        filter: &OrderFilter,
        page: &Page<OrderId>,
    ) -> Result<Vec<Order>, Error> {
        orders::page(&mut self.schema().on(conn), filter, page).await
    }

    /// Runs [`step`](crate::inventory::Inventory::step) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method. [`ErrorKind::Conflict`] also when other transactions change the order while it is
    /// read; another attempt may succeed.
    pub async fn step_in(&self, conn: &mut PgConnection, step: &OrderStep) -> Result<Order, Error> {
        step::step(
            &mut self.schema().on(conn),
            step,
            self.executor.policy(),
            &Doubt::default(),
        )
        .await
    }

    /// Runs [`mark_paid`](crate::inventory::Inventory::mark_paid) in the caller's transaction, for example with
    /// the host's row of the payment.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn mark_paid_in(&self, conn: &mut PgConnection, id: OrderId) -> Result<Order, Error> {
        self.step_in(&mut self.schema().on(conn), &OrderStep::mark_paid(id))
            .await
    }

    /// Runs [`mark_payment_failed`](crate::inventory::Inventory::mark_payment_failed) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn mark_payment_failed_in(
        &self,
        conn: &mut PgConnection,
        id: OrderId,
    ) -> Result<Order, Error> {
        self.step_in(
            &mut self.schema().on(conn),
            &OrderStep::mark_payment_failed(id),
        )
        .await
    }

    /// Runs [`cancel`](crate::inventory::Inventory::cancel) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn cancel_in(
        &self,
        conn: &mut PgConnection,
        id: OrderId,
        reason: &str,
    ) -> Result<Order, Error> {
        let step = OrderStep::cancel(id, reason);
        self.step_in(&mut self.schema().on(conn), &step).await
    }

    /// Runs [`revive`](crate::inventory::Inventory::revive) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn revive_in(&self, conn: &mut PgConnection, id: OrderId) -> Result<Order, Error> {
        self.step_in(&mut self.schema().on(conn), &OrderStep::revive(id))
            .await
    }

    /// Runs [`return_items`](crate::inventory::Inventory::return_items) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn return_items_in(
        &self,
        conn: &mut PgConnection,
        request: &ReturnRequest,
    ) -> Result<Order, Error> {
        returns::make(&mut self.schema().on(conn), request, &Doubt::default()).await
    }

    /// Runs [`audit`](crate::inventory::Inventory::audit) in the caller's transaction: at REPEATABLE READ, in
    /// one snapshot with the host's own rows.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn audit_in(&self, conn: &mut PgConnection) -> Result<Audit, Error> {
        audit::audit_in(&mut self.schema().on(conn)).await
    }

    /// Runs [`reserve`](crate::inventory::Inventory::reserve) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn reserve_in(
        &self,
        conn: &mut PgConnection,
        request: &Reserve,
    ) -> Result<Reservation, Error> {
        reserve::in_transaction(&mut self.schema().on(conn), self.executor.policy(), request).await
    }

    /// Runs [`reservation`](crate::inventory::Inventory::reservation) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn reservation_in(
        &self,
        conn: &mut PgConnection,
        id: ReservationId,
    ) -> Result<Reservation, Error> {
        reservations::find(&mut self.schema().on(conn), id).await
    }

    /// Runs [`extend`](crate::inventory::Inventory::extend) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn extend_in(
        &self,
        conn: &mut PgConnection,
        id: ReservationId,
        by: Duration,
    ) -> Result<Reservation, Error> {
        reservations::extend(&mut self.schema().on(conn), id, by).await
    }

    /// Runs [`release`](crate::inventory::Inventory::release) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn release_in(
        &self,
        conn: &mut PgConnection,
        id: ReservationId,
    ) -> Result<(), Error> {
        reservations::release(&mut self.schema().on(conn), id).await
    }

    /// Runs [`report`](crate::inventory::Inventory::report) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn report_in(
        &self,
        conn: &mut PgConnection,
        window: Duration,
    ) -> Result<Report, Error> {
        report::report(
            &mut self.schema().on(conn),
            window,
            &self.traffic.over(window),
        )
        .await
    }

    /// Runs [`movements`](crate::inventory::Inventory::movements) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn movements_in(
        &self,
        conn: &mut PgConnection,
        sku: &Sku,
        page: &Page<Version>,
    ) -> Result<Vec<Movement>, Error> {
        movements::page_of(&mut self.schema().on(conn), sku, page).await
    }

    /// Runs [`movements_since`](Self::movements_since) in the caller's transaction, whose own movements are not
    /// included.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn movements_since_in(
        &self,
        conn: &mut PgConnection,
        position: &FeedPosition,
        limit: u32,
    ) -> Result<MovementFeed, Error> {
        feed::since(&mut self.schema().on(conn), position, limit).await
    }
}
