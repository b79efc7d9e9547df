//! The endpoints of orders.

use axum::{Json, extract::State};
use optilock::{
    RetryPolicy,
    inventory::{Error, ErrorKind, Inventory, Order, OrderFilter, OrderId, OrderStatus, Page},
    postgres::{Tx, transact},
};
use serde::Deserialize;

use crate::{
    body::{self, Path},
    deliveries,
    placed_order::{EXPIRED, PlacedOrder, is_expired},
    problem::Problem,
    shop::Shop,
    users::User,
};

/// The reason of a cancellation without one.
const BY_SHOPPER: &str = "cancelled by the shopper";

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

/// Pays an order whose state allows no payment. The transaction holds the order's delivery: a second payment, and a
/// cancellation, wait for it.
async fn pay_late(shop: &Shop, id: OrderId, refused: Error) -> Result<Order, Problem> {
    let inventory = shop.inventory.inventory();
    let pay = async |tx: &mut Tx<'_>| {
        let withdrawn = deliveries::lock(tx, id).await?;
        let mut order = inventory.order_in(tx, id).await?;
        match order.status {
            OrderStatus::Paid => {
                order.replayed = true;
                return Ok(Some(order));
            }
            OrderStatus::PendingPayment | OrderStatus::PaymentFailed => {}
            _ if is_expired(&order) && !withdrawn => drop(inventory.revive_in(tx, id).await?),
            _ => return Ok(None),
        }
        inventory.mark_paid_in(tx, id).await.map(Some)
    };
    let paid = transact(&shop.pool, &RetryPolicy::new(), pay).await;
    paid.map_err(Error::from)?.ok_or_else(|| refused.into())
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
    let reason = body.reason.as_deref().unwrap_or(BY_SHOPPER);
    let reason = if reason == EXPIRED {
        BY_SHOPPER
    } else {
        reason
    };
    let mut order = shop.inventory.cancel(id, reason).await?;
    if is_expired(&order) {
        order = withdraw(&shop, id).await?;
    }
    PlacedOrder::read(&shop, order).await
}

/// Cancels an order that has expired, so that no late payment revives it.
async fn withdraw(shop: &Shop, id: OrderId) -> Result<Order, Problem> {
    let inventory = shop.inventory.inventory();
    let withdraw = async |tx: &mut Tx<'_>| {
        deliveries::lock(tx, id).await?;
        // A late payment may have come in between: then this fails.
        let order = inventory.cancel_in(tx, id, BY_SHOPPER).await?;
        deliveries::withdraw(tx, id).await?;
        Ok::<_, Error>(order)
    };
    let withdrawn = transact(&shop.pool, &RetryPolicy::new(), withdraw).await;
    Ok(withdrawn.map_err(Error::from)?)
}
