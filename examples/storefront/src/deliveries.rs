//! The shop's own table of deliveries.

use optilock::{
    inventory::{Order, OrderId, Sku},
    sqlx::{self, PgPool, types},
};
use uuid::Uuid;

use crate::{address::Address, problem::Problem};

/// The delivery of an order.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Delivery {
    order_id: Uuid,
    address: types::Json<Address>,
}

/// A delivery to be written, and what the order took out of the customer's cart.
#[derive(Debug)]
pub(crate) struct NewDelivery<'a> {
    pub(crate) customer: &'a str,
    pub(crate) idempotency_key: Option<&'a str>,
    pub(crate) address: &'a Address,
    pub(crate) bought: &'a [Sku],
}

impl Delivery {
    pub(crate) fn order_id(&self) -> OrderId {
        self.order_id.into()
    }

    pub(crate) const fn address(&self) -> &Address {
        &self.address.0
    }

    pub(crate) fn into_address(self) -> Address {
        self.address.0
    }

    pub(crate) async fn by_key(
        pool: &PgPool,
        customer: &str,
        key: &str,
    ) -> Result<Option<Self>, sqlx::Error> {
        sqlx::query_as(
            "SELECT order_id, address FROM storefront.deliveries
             WHERE customer = $1 AND idempotency_key = $2",
        )
        .bind(customer)
        .bind(key)
        .fetch_optional(pool)
        .await
    }

    pub(crate) async fn of_order(
        pool: &PgPool,
        order: OrderId,
    ) -> Result<Option<Self>, sqlx::Error> {
        sqlx::query_as("SELECT order_id, address FROM storefront.deliveries WHERE order_id = $1")
            .bind(order.uuid())
            .fetch_optional(pool)
            .await
    }

    /// Returns the customer's 20 newest deliveries, the newest first.
    pub(crate) async fn newest(pool: &PgPool, customer: &str) -> Result<Vec<Self>, sqlx::Error> {
        // Order ids are in the order of time.
        sqlx::query_as(
            "SELECT order_id, address FROM storefront.deliveries
             WHERE customer = $1 ORDER BY order_id DESC LIMIT 20",
        )
        .bind(customer)
        .fetch_all(pool)
        .await
    }

    /// Writes the delivery and removes the bought items from the cart, in one statement. If the delivery
    /// already exists, changes nothing. Returns the stored delivery.
    pub(crate) async fn create(
        pool: &PgPool,
        order: &Order,
        new: NewDelivery<'_>,
    ) -> Result<Self, Problem> {
        sqlx::query(
            "WITH new_delivery AS (
                 INSERT INTO storefront.deliveries (order_id, customer, idempotency_key, address)
                 VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING customer)
             DELETE FROM storefront.cart_items AS item USING new_delivery
             WHERE item.customer = new_delivery.customer AND item.sku = ANY ($5)",
        )
        .bind(order.id.uuid())
        .bind(new.customer)
        .bind(new.idempotency_key)
        .bind(types::Json(new.address))
        .bind(new.bought)
        .execute(pool)
        .await?;
        let stored = Self::of_order(pool, order.id).await?;
        stored.ok_or_else(|| Problem::internal(&format!("no delivery of order {}", order.id)))
    }
}
