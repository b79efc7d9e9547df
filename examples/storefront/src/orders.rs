//! The endpoints of orders.

use axum::{Json, extract::State};
use optilock::inventory::{Error, ErrorKind, Inventory, Order, OrderFilter, OrderId, Page};
use serde::Deserialize;

use crate::{
    body::{self, Path},
    placed_order::{PlacedOrder, is_expired},
    problem::Problem,
    shop::Shop,
    users::User,
};

/// Returns the order if the user may see it. To other users it does not exist.
async fn visible_order(shop: &Shop, user: &User, id: OrderId) -> Result<Order, Problem> {
    let order = shop.inventory.order(id).await?;
    if user.admin || order.customer.as_deref() == Some(&user.name) {
        return Ok(order);
    }
    Err(Error::not_found("order", id).into())
}

/// Lists the user's newest orders, at most 20.
pub(crate) async fn list(
    State(shop): State<Shop>,
    user: User,
) -> Result<Json<Vec<PlacedOrder>>, Problem> {
    let own = OrderFilter::all().with_customer(&user.name).newest_first();
    let orders = shop.inventory.orders(own, Page::first(20)).await?;
    PlacedOrder::read_all(&shop, orders).await.map(Json)
}

pub(crate) async fn one(
    State(shop): State<Shop>,
    user: User,
    Path(id): Path<OrderId>,
) -> Result<Json<PlacedOrder>, Problem> {
    let order = visible_order(&shop, &user, id).await?;
    PlacedOrder::read(&shop, order).await
}

/// Marks the order as paid. In production the payment provider reports payments, not the shopper.
///
/// A payment that is late, when the order has expired, takes the stock again, or is refused with what is short.
pub(crate) async fn pay(
    State(shop): State<Shop>,
    user: User,
    Path(id): Path<OrderId>,
) -> Result<Json<PlacedOrder>, Problem> {
    visible_order(&shop, &user, id).await?;
    let paid = match shop.inventory.mark_paid(id).await {
        Err(error) if error.kind() == ErrorKind::InvalidOrderState => {
            pay_late(&shop, id, error).await?
        }
        paid => paid?,
    };
    PlacedOrder::read(&shop, paid).await
}

async fn pay_late(shop: &Shop, id: OrderId, refused: Error) -> Result<Order, Problem> {
    if !is_expired(&shop.inventory.order(id).await?) {
        return Err(refused.into());
    }
    shop.inventory.revive(id).await?;
    Ok(shop.inventory.mark_paid(id).await?)
}

/// Marks the payment of the order as failed.
pub(crate) async fn fail(
    State(shop): State<Shop>,
    user: User,
    Path(id): Path<OrderId>,
) -> Result<Json<PlacedOrder>, Problem> {
    visible_order(&shop, &user, id).await?;
    let order = shop.inventory.mark_payment_failed(id).await?;
    PlacedOrder::read(&shop, order).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CancelBody {
    reason: Option<String>,
}

/// Cancels the order and returns its units to stock.
pub(crate) async fn cancel(
    State(shop): State<Shop>,
    user: User,
    Path(id): Path<OrderId>,
    body::Json(body): body::Json<CancelBody>,
) -> Result<Json<PlacedOrder>, Problem> {
    visible_order(&shop, &user, id).await?;
    let reason = body.reason.as_deref();
    let reason = reason.unwrap_or("cancelled by the shopper");
    let order = shop.inventory.cancel(id, reason).await?;
    PlacedOrder::read(&shop, order).await
}
