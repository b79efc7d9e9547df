//! The endpoint that turns a cart into an order.
//!
//! One version of a cart becomes one order, whatever keys, tabs and processes ask for it: the inventory makes an
//! order once for each customer and version, and the sale's transaction empties the cart at that version or fails.

use std::{error::Error as StdError, iter::successors, time::Instant};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use optilock::inventory::{Error, Inventory, Order, ReservationId};
use serde::Deserialize;

use crate::{
    address::Address,
    body, cart,
    carts::{Cart, Item},
    deliveries::Delivery,
    if_match::CartVersions,
    placed_order::PlacedOrder,
    problem::Problem,
    sale::{CartChanged, KeyTaken, Purchase},
    shop::Shop,
    users::User,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckoutBody {
    shipping_address: Address,
    reservation: Option<ReservationId>,
}

/// A request for an order.
struct Request<'a> {
    shop: &'a Shop,
    user: &'a User,
    /// The versions of the cart that the client has seen; any version without the header.
    versions: CartVersions,
    key: Option<String>,
    body: CheckoutBody,
}

/// Buys the cart, at the version in `If-Match` if there is one. A repeated request returns the order of the first one.
pub(crate) async fn buy(
    State(shop): State<Shop>,
    user: User,
    versions: CartVersions,
    headers: HeaderMap,
    body::Json(mut body): body::Json<CheckoutBody>,
) -> Result<Response, Problem> {
    let key = body::idempotency_key(&headers)?;
    body.shipping_address = body.shipping_address.checked(&user.name)?;
    let request = Request {
        shop: &shop,
        user: &user,
        versions,
        key,
        body,
    };
    // The cart is read before the delivery: a request that finds the cart of after a sale also finds the delivery.
    let cart = shop.carts.of(&user.name).await?;
    if let Some(response) = request.answered(&cart).await? {
        return Ok(response);
    }
    if !request.versions.accept(cart.version) {
        return Err(cart::stale(&shop, &request.versions, &cart).await);
    }
    request.buy(&cart).await
}

impl Request<'_> {
    /// Returns the response of an earlier request with this key or for this version of the cart.
    async fn answered(&self, cart: &Cart) -> Result<Option<Response>, Problem> {
        let named = self.versions.named();
        if let Some(delivery) = self.delivery_of_key().await? {
            let order = self.shop.inventory.order(delivery.order_id()).await?;
            let same_cart = match named {
                [] => cart.items().is_empty() || has_items(&order, cart.items()),
                named => named.contains(&delivery.cart_version),
            };
            if !same_cart || delivery.address() != &self.body.shipping_address {
                return Err(Problem::idempotency_mismatch());
            }
            return Ok(Some(respond(
                self.shop,
                order,
                delivery.into_address(),
                true,
            )));
        }
        if named.is_empty() {
            return Ok(None);
        }
        match Delivery::of_cart(&self.shop.pool, &self.user.name, named).await? {
            Some(delivery) => self.replay(delivery).await.map(Some),
            None => Ok(None),
        }
    }

    async fn delivery_of_key(&self) -> Result<Option<Delivery>, Problem> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        Ok(Delivery::by_key(&self.shop.pool, &self.user.name, key).await?)
    }

    async fn buy(self, cart: &Cart) -> Result<Response, Problem> {
        if cart.items().is_empty() {
            return Err(Problem::empty_cart());
        }
        let version = cart.version;
        let purchase = Purchase {
            customer: self.user.name.clone(),
            cart_version: version,
            idempotency_key: self.key.clone(),
            address: self.body.shipping_address.clone(),
        };
        let mut checkout = purchase.request(cart.items().iter().map(Item::line))?;
        if let Some(reservation) = self.body.reservation {
            checkout = checkout.with_reservation(reservation);
        }
        let start = Instant::now();
        let outcome = self.shop.inventory.checkout(checkout).await;
        self.shop.pulse.record_checkout(start.elapsed(), &outcome);
        let refused = match outcome {
            Ok(order) if order.replayed => None,
            Ok(order) => return Ok(respond(self.shop, order, self.body.shipping_address, false)),
            Err(error) => Some(error),
        };
        // Another request may have bought this cart meanwhile.
        let (pool, customer) = (&self.shop.pool, &self.user.name);
        match (
            Delivery::of_cart(pool, customer, &[version]).await?,
            refused,
        ) {
            (Some(delivery), _) => self.replay(delivery).await,
            (None, Some(error)) if is_caused_by::<KeyTaken>(&error) => {
                Err(Problem::idempotency_mismatch())
            }
            (None, Some(error)) if is_caused_by::<CartChanged>(&error) => {
                let now = self.shop.carts.of(customer).await?;
                Err(cart::stale(self.shop, &self.versions, &now).await)
            }
            (None, Some(error)) => Err(error.into()),
            (None, None) => Err(Problem::internal(&format!(
                "no delivery of {customer}, {version}"
            ))),
        }
    }

    /// Returns the order of this cart, which another request has made.
    async fn replay(&self, delivery: Delivery) -> Result<Response, Problem> {
        if delivery.address() != &self.body.shipping_address {
            return Err(Problem::cart_bought(delivery.order_id()));
        }
        if let Some(key) = &self.key {
            let stored = delivery.add_key(&self.shop.pool, &self.user.name, key);
            stored.await?;
        }
        let order = self.shop.inventory.order(delivery.order_id()).await?;
        Ok(respond(self.shop, order, delivery.into_address(), true))
    }
}

/// Returns whether the order has exactly these items.
fn has_items(order: &Order, items: &[Item]) -> bool {
    let has = |item: &Item| {
        let mut lines = order.lines.iter();
        lines.any(|line| (&line.sku, line.quantity) == (&item.sku, item.quantity))
    };
    items.len() == order.lines.len() && items.iter().all(has)
}

/// Returns whether the sale was undone by the shop's hook, for this cause.
fn is_caused_by<E: StdError + 'static>(error: &Error) -> bool {
    let first = Some(error as &(dyn StdError + 'static));
    successors(first, |error| (*error).source()).any(|cause| cause.is::<E>())
}

fn respond(shop: &Shop, mut order: Order, address: Address, replayed: bool) -> Response {
    order.replayed = replayed;
    let location = format!("/api/marketplace/orders/{}", order.id);
    let response = (
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(PlacedOrder::new(shop, order, Some(address))),
    );
    if replayed {
        let replayed = HeaderName::from_static("idempotent-replayed");
        ([(replayed, "true")], response).into_response()
    } else {
        response.into_response()
    }
}
