//! The endpoint that turns a cart into an order.

use std::time::Instant;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use optilock::inventory::{Checkout, Inventory, Order, ReservationId, Sku};
use serde::Deserialize;

use crate::{
    address::Address,
    body,
    cart::{self, Item},
    deliveries::{Delivery, NewDelivery},
    placed_order::PlacedOrder,
    problem::Problem,
    shop::Shop,
    users::User,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckoutBody {
    shipping_address: Address,
    reservation: Option<ReservationId>,
}

/// Buys the cart. With an `Idempotency-Key`, a repeated request returns the order of the first one.
pub(crate) async fn buy(
    State(shop): State<Shop>,
    user: User,
    headers: HeaderMap,
    body::Json(body): body::Json<CheckoutBody>,
) -> Result<Response, Problem> {
    let key = body::idempotency_key(&headers)?;
    let address = &body.shipping_address;
    address.check()?;
    // The cart is read before the delivery. A finished checkout empties the cart and writes the delivery in
    // one statement, so a request that finds an empty cart also finds the delivery.
    let items = cart::items(&shop.pool, &user.name).await?;
    if let Some(key) = &key
        && let Some(delivery) = Delivery::by_key(&shop.pool, &user.name, key).await?
    {
        return replay(&shop, delivery, &items, address).await;
    }
    if items.is_empty() {
        return Err(Problem::empty_cart());
    }
    let mut request = Checkout::new(items.iter().map(Item::line))?.with_customer(&user.name);
    if let Some(key) = &key {
        request = request.with_idempotency_key(key);
    }
    if let Some(reservation) = body.reservation {
        request = request.with_reservation(reservation);
    }
    let start = Instant::now();
    let outcome = shop.inventory.checkout(request).await;
    shop.pulse.record_checkout(start.elapsed(), &outcome);
    let order = outcome?;
    // If the program dies here, the next request with this key gets the same order from the inventory and
    // continues with the delivery.
    let bought: Vec<Sku> = items.into_iter().map(|item| item.sku).collect();
    let new = NewDelivery {
        customer: &user.name,
        idempotency_key: key.as_deref(),
        address,
        bought: &bought,
    };
    let delivery = Delivery::create(&shop.pool, &order, new).await?;
    respond(order, delivery, address)
}

/// Answers a request whose key already has a delivery.
async fn replay(
    shop: &Shop,
    delivery: Delivery,
    items: &[Item],
    address: &Address,
) -> Result<Response, Problem> {
    let mut order = shop.inventory.order(delivery.order_id()).await?;
    if !items.is_empty() && !has_items(&order, items) {
        return Err(Problem::idempotency_mismatch());
    }
    order.replayed = true;
    respond(order, delivery, address)
}

/// Returns whether the order has exactly these items.
fn has_items(order: &Order, items: &[Item]) -> bool {
    let has = |item: &Item| {
        let mut lines = order.lines.iter();
        lines.any(|line| (&line.sku, line.quantity) == (&item.sku, item.quantity))
    };
    items.len() == order.lines.len() && items.iter().all(has)
}

fn respond(order: Order, delivery: Delivery, address: &Address) -> Result<Response, Problem> {
    if delivery.address() != address {
        return Err(Problem::idempotency_mismatch());
    }
    let location = format!("/api/marketplace/orders/{}", order.id);
    let replayed = order.replayed;
    let response = (
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(PlacedOrder::new(order, Some(delivery))),
    );
    Ok(if replayed {
        let replayed = HeaderName::from_static("idempotent-replayed");
        ([(replayed, "true")], response).into_response()
    } else {
        response.into_response()
    })
}
