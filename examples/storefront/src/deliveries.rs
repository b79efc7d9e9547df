//! The shop's own table of deliveries.

use optilock::{
    Version,
    inventory::OrderId,
    sqlx::{self, PgConnection, PgPool, types::Json},
};
use uuid::Uuid;

use crate::{address::Address, sale::Purchase};

/// The delivery of an order.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Delivery {
    order_id: Uuid,
    /// The version of the cart that was bought.
    pub(crate) cart_version: Version,
    /// The shopper has cancelled the order after it had expired.
    pub(crate) withdrawn: bool,
    address: Json<Address>,
}

/// A delivery to be written.
#[derive(Debug)]
pub(crate) struct NewDelivery<'a> {
    pub(crate) order: OrderId,
    pub(crate) purchase: &'a Purchase,
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

    /// Returns the delivery whose request had this key.
    pub(crate) async fn by_key(
        pool: &PgPool,
        customer: &str,
        key: &str,
    ) -> Result<Option<Self>, sqlx::Error> {
        sqlx::query_as(
            "SELECT d.order_id, d.cart_version, d.withdrawn, d.address FROM storefront.shop_checkout_keys AS k
             JOIN storefront.shop_deliveries AS d ON d.order_id = k.order_id
             WHERE k.customer = $1 AND k.key = $2",
        )
        .bind(customer)
        .bind(key)
        .fetch_optional(pool)
        .await
    }

    /// Returns the delivery of one of these versions of the customer's cart, the newest.
    pub(crate) async fn of_cart(
        pool: &PgPool,
        customer: &str,
        versions: &[Version],
    ) -> Result<Option<Self>, sqlx::Error> {
        let versions: Vec<i64> = versions.iter().map(|version| version.get()).collect();
        sqlx::query_as(
            "SELECT order_id, cart_version, withdrawn, address FROM storefront.shop_deliveries
             WHERE customer = $1 AND cart_version = ANY ($2) ORDER BY cart_version DESC LIMIT 1",
        )
        .bind(customer)
        .bind(versions)
        .fetch_optional(pool)
        .await
    }

    /// Returns the deliveries of these orders, in no order.
    pub(crate) async fn of_orders(
        pool: &PgPool,
        orders: &[OrderId],
    ) -> Result<Vec<Self>, sqlx::Error> {
        let orders: Vec<Uuid> = orders.iter().map(|id| id.uuid()).collect();
        sqlx::query_as(
            "SELECT order_id, cart_version, withdrawn, address FROM storefront.shop_deliveries
             WHERE order_id = ANY ($1)",
        )
        .bind(orders)
        .fetch_all(pool)
        .await
    }

    /// Stores a further key of a request that this delivery answers. A key that is known stays as it is.
    pub(crate) async fn add_key(
        &self,
        pool: &PgPool,
        customer: &str,
        key: &str,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO storefront.shop_checkout_keys (customer, key, order_id) VALUES ($1, $2, $3)
             ON CONFLICT DO NOTHING",
        )
        .bind(customer)
        .bind(key)
        .bind(self.order_id)
        .execute(pool)
        .await
        .map(drop)
    }
}

/// Writes deliveries and their keys, all in one statement. Returns the orders whose key belongs to another one.
pub(crate) async fn create(
    conn: &mut PgConnection,
    new: impl Iterator<Item = NewDelivery<'_>>,
) -> Result<Vec<OrderId>, sqlx::Error> {
    let (mut orders, mut customers, mut versions) = (vec![], vec![], vec![]);
    let (mut addresses, mut keys) = (vec![], vec![]);
    for NewDelivery { order, purchase } in new {
        orders.push(order.uuid());
        customers.push(&*purchase.customer);
        versions.push(purchase.cart_version.get());
        addresses.push(Json(&purchase.address));
        keys.push(purchase.idempotency_key.as_deref());
    }
    let taken: Vec<Uuid> = sqlx::query_scalar(
        "WITH sold AS (
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::jsonb[], $5::text[])
                 AS s (order_id, customer, cart_version, address, key)),
         delivery AS (
             INSERT INTO storefront.shop_deliveries (order_id, customer, cart_version, address)
             SELECT order_id, customer, cart_version, address FROM sold),
         kept AS (
             INSERT INTO storefront.shop_checkout_keys (customer, key, order_id)
             SELECT customer, key, order_id FROM sold WHERE key IS NOT NULL
             ON CONFLICT DO NOTHING RETURNING order_id)
         SELECT order_id FROM sold WHERE key IS NOT NULL AND order_id NOT IN (SELECT order_id FROM kept)",
    )
    .bind(orders)
    .bind(customers)
    .bind(versions)
    .bind(addresses)
    .bind(keys)
    .fetch_all(conn)
    .await?;
    Ok(taken.into_iter().map(OrderId::from).collect())
}

/// Locks the delivery of an order. Returns whether its shopper has cancelled the order after it had expired.
pub(crate) async fn lock(conn: &mut PgConnection, order: OrderId) -> Result<bool, sqlx::Error> {
    let withdrawn = sqlx::query_scalar(
        "SELECT withdrawn FROM storefront.shop_deliveries WHERE order_id = $1 FOR NO KEY UPDATE",
    );
    let withdrawn = withdrawn.bind(order.uuid()).fetch_optional(conn).await?;
    Ok(withdrawn.unwrap_or(false))
}

/// Stores that the shopper has cancelled an order that had expired.
pub(crate) async fn withdraw(conn: &mut PgConnection, order: OrderId) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE storefront.shop_deliveries SET withdrawn = true WHERE order_id = $1")
        .bind(order.uuid())
        .execute(conn)
        .await
        .map(drop)
}
