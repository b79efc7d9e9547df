//! The cart becomes an order, once, however often it is asked for.

use std::time::Instant;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use optilock::inventory::{Checkout, Inventory, Order, ReservationId, Sku};
use serde::{Deserialize, Serialize};

use super::{
    Shop, body,
    cart::{self, Item},
    orders::{Delivery, Placed},
    problem::{FieldError, Problem},
    users::User,
};

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    name: String,
    street: String,
    city: String,
    postal_code: String,
    country: String,
    phone: Option<String>,
}

impl Address {
    /// All that is wrong with it, so that a form can say so at once.
    fn check(&self) -> Result<(), Problem> {
        let texts = [
            ("shipping_address.name", &self.name, 1..=200),
            ("shipping_address.street", &self.street, 1..=200),
            ("shipping_address.city", &self.city, 1..=200),
            ("shipping_address.postal_code", &self.postal_code, 2..=12),
        ];
        let phone = self
            .phone
            .as_ref()
            .map(|phone| ("shipping_address.phone", phone, 5..=30));
        let mut errors = Vec::new();
        for (field, text, length) in texts.into_iter().chain(phone) {
            let characters = text.trim().chars().count();
            if characters == 0 {
                errors.push(FieldError {
                    field,
                    why: "is empty".to_owned(),
                });
            } else if !length.contains(&characters) {
                let why = format!(
                    "has {characters} characters, not {} to {}",
                    length.start(),
                    length.end()
                );
                errors.push(FieldError { field, why });
            } else if text.chars().any(char::is_control) {
                errors.push(FieldError {
                    field,
                    why: "holds a control character".to_owned(),
                });
            }
        }
        let letters = self.country.bytes().all(|byte| byte.is_ascii_uppercase());
        if self.country.len() != 2 || !letters {
            let why = "is not a country code like MX".to_owned();
            errors.push(FieldError {
                field: "shipping_address.country",
                why,
            });
        }
        match errors.is_empty() {
            true => Ok(()),
            false => Err(Problem::fields(errors)),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    shipping_address: Address,
    reservation: Option<ReservationId>,
}

pub async fn buy(
    State(shop): State<Shop>,
    user: User,
    headers: HeaderMap,
    body::Json(wanted): body::Json<Wanted>,
) -> Result<Response, Problem> {
    let key = body::idempotency_key(&headers)?;
    wanted.shipping_address.check()?;
    // The cart is read first. A checkout that has ended empties it and leaves its delivery, both at once:
    // whoever finds an empty cart finds the delivery.
    let items = cart::items(&shop.pool, &user.name).await?;
    if let Some(key) = &key
        && let Some(made) = Delivery::by_key(&shop.pool, &user.name, key).await?
    {
        let mut order = shop.inventory.order(made.order_id()).await?;
        if !items.is_empty() && !same(&items, &order) {
            return Err(Problem::idempotency_mismatch());
        }
        order.replayed = true;
        return answer(order, made, &wanted.shipping_address);
    }
    if items.is_empty() {
        return Err(Problem::empty_cart());
    }
    let mut request = Checkout::new(items.iter().map(Item::line))?.with_customer(&user.name);
    if let Some(key) = &key {
        request = request.with_idempotency_key(key);
    }
    if let Some(reservation) = wanted.reservation {
        request = request.with_reservation(reservation);
    }
    let began = Instant::now();
    let bought = shop.inventory.checkout(request).await;
    shop.pulse.checkout(began.elapsed(), &bought);
    let order = bought?;
    // If we die right here, the next request with this key finds the order by it, and comes here again.
    let skus: Vec<Sku> = items.into_iter().map(|item| item.sku).collect();
    let address = &wanted.shipping_address;
    let delivery = Delivery::make(
        &shop.pool,
        &user.name,
        key.as_deref(),
        &order,
        address,
        &skus,
    )
    .await?;
    answer(order, delivery, address)
}

/// Whether it is what was bought.
fn same(items: &[Item], order: &Order) -> bool {
    let bought = |item: &Item| {
        let mut lines = order.lines.iter();
        lines.any(|line| (&line.sku, line.quantity) == (&item.sku, item.quantity))
    };
    items.len() == order.lines.len() && items.iter().all(bought)
}

fn answer(order: Order, delivery: Delivery, address: &Address) -> Result<Response, Problem> {
    if delivery.address() != address {
        return Err(Problem::idempotency_mismatch());
    }
    let location = format!("/api/marketplace/orders/{}", order.id);
    let replayed = order.replayed;
    let placed = Placed::new(order, Some(delivery));
    let response = (
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(placed),
    );
    Ok(if replayed {
        let replayed = HeaderName::from_static("idempotent-replayed");
        ([(replayed, "true")], response).into_response()
    } else {
        response.into_response()
    })
}
