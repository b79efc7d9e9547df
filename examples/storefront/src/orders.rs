//! Orders, and where they go.

use axum::{Json, extract::State};
use optilock::{
    inventory::{Error, Inventory, Order, OrderId, Sku},
    sqlx::{self, PgPool, types},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Shop,
    body::{self, Path},
    checkout::Address,
    problem::Problem,
    users::User,
};

/// A row of the shop's own table.
#[derive(Debug, sqlx::FromRow)]
pub struct Delivery {
    order_id: Uuid,
    address: types::Json<Address>,
}

impl Delivery {
    pub fn order_id(&self) -> OrderId {
        self.order_id.into()
    }

    pub const fn address(&self) -> &Address {
        &self.address.0
    }

    pub async fn by_key(
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

    async fn of(pool: &PgPool, order: OrderId) -> Result<Option<Self>, sqlx::Error> {
        sqlx::query_as("SELECT order_id, address FROM storefront.deliveries WHERE order_id = $1")
            .bind(order.uuid())
            .fetch_optional(pool)
            .await
    }

    async fn newest(pool: &PgPool, customer: &str) -> Result<Vec<Self>, sqlx::Error> {
        // Order ids are in the order of time.
        sqlx::query_as(
            "SELECT order_id, address FROM storefront.deliveries
             WHERE customer = $1 ORDER BY order_id DESC LIMIT 20",
        )
        .bind(customer)
        .fetch_all(pool)
        .await
    }

    /// Writes down where the order goes, and takes what was bought out of the cart: both, or neither, and
    /// the second time nothing. The delivery that there is now.
    pub async fn make(
        pool: &PgPool,
        customer: &str,
        key: Option<&str>,
        order: &Order,
        address: &Address,
        bought: &[Sku],
    ) -> Result<Self, Problem> {
        sqlx::query(
            "WITH made AS (
                 INSERT INTO storefront.deliveries (order_id, customer, idempotency_key, address)
                 VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING customer)
             DELETE FROM storefront.cart_items AS item USING made
             WHERE item.customer = made.customer AND item.sku = ANY ($5)",
        )
        .bind(order.id.uuid())
        .bind(customer)
        .bind(key)
        .bind(types::Json(address))
        .bind(bought)
        .execute(pool)
        .await?;
        let made = Self::of(pool, order.id).await?;
        made.ok_or_else(|| Problem::internal(&"a delivery is not there"))
    }
}

/// An order with its delivery.
#[derive(Debug, Serialize)]
pub struct Placed {
    #[serde(flatten)]
    order: Order,
    shipping_address: Option<Address>,
}

impl Placed {
    pub fn new(order: Order, delivery: Option<Delivery>) -> Self {
        let shipping_address = delivery.map(|delivery| delivery.address.0);
        Self {
            order,
            shipping_address,
        }
    }

    async fn of(shop: &Shop, order: Order) -> Result<Json<Self>, Problem> {
        let delivery = Delivery::of(&shop.pool, order.id).await?;
        Ok(Json(Self::new(order, delivery)))
    }
}

/// To others it is not there at all.
async fn own(shop: &Shop, user: &User, id: OrderId) -> Result<Order, Problem> {
    let order = shop.inventory.order(id).await?;
    if user.admin || order.customer.as_deref() == Some(&user.name) {
        return Ok(order);
    }
    let (entity, id) = ("order", id.to_string());
    Err(Error::NotFound { entity, id }.into())
}

/// Their newest orders, twenty at most.
pub async fn list(State(shop): State<Shop>, user: User) -> Result<Json<Vec<Placed>>, Problem> {
    let mut placed = Vec::new();
    for delivery in Delivery::newest(&shop.pool, &user.name).await? {
        let order = shop.inventory.order(delivery.order_id()).await?;
        placed.push(Placed::new(order, Some(delivery)));
    }
    Ok(Json(placed))
}

pub async fn one(
    State(shop): State<Shop>,
    user: User,
    Path(id): Path<OrderId>,
) -> Result<Json<Placed>, Problem> {
    let order = own(&shop, &user, id).await?;
    Placed::of(&shop, order).await
}

/// A shop of yours hears of payments from its payment provider, not from the shopper.
pub async fn pay(
    State(shop): State<Shop>,
    user: User,
    Path(id): Path<OrderId>,
) -> Result<Json<Placed>, Problem> {
    own(&shop, &user, id).await?;
    let order = shop.inventory.mark_paid(id).await?;
    Placed::of(&shop, order).await
}

pub async fn fail(
    State(shop): State<Shop>,
    user: User,
    Path(id): Path<OrderId>,
) -> Result<Json<Placed>, Problem> {
    own(&shop, &user, id).await?;
    let order = shop.inventory.mark_payment_failed(id).await?;
    Placed::of(&shop, order).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    reason: Option<String>,
}

pub async fn cancel(
    State(shop): State<Shop>,
    user: User,
    Path(id): Path<OrderId>,
    body::Json(cancel): body::Json<Cancel>,
) -> Result<Json<Placed>, Problem> {
    own(&shop, &user, id).await?;
    let reason = cancel
        .reason
        .as_deref()
        .unwrap_or("cancelled by the shopper");
    let order = shop.inventory.cancel(id, reason).await?;
    Placed::of(&shop, order).await
}
