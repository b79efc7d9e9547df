//! The cart's goods, held for a while.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use optilock::inventory::{Error, Inventory, Reservation, ReservationId, Reserve};
use serde::Deserialize;

use super::{
    Shop,
    body::{self, Path},
    cart,
    problem::Problem,
    users::User,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    seconds: Option<u64>,
}

fn duration(seconds: u64) -> Result<Duration, Problem> {
    match seconds {
        1..=3_600 => Ok(Duration::from_secs(seconds)),
        _ => Err(Problem::invalid("seconds: 1 to 3600")),
    }
}

/// To others it is not there at all.
async fn own(shop: &Shop, user: &User, id: ReservationId) -> Result<Reservation, Problem> {
    let held = shop.inventory.reservation(id).await?;
    if held.customer.as_deref() == Some(&user.name) {
        return Ok(held);
    }
    let (entity, id) = ("reservation", id.to_string());
    Err(Error::NotFound { entity, id }.into())
}

pub async fn hold(
    State(shop): State<Shop>,
    user: User,
    body::Json(wanted): body::Json<Wanted>,
) -> Result<Response, Problem> {
    let duration = duration(wanted.seconds.unwrap_or(600))?;
    let items = cart::items(&shop.pool, &user.name).await?;
    if items.is_empty() {
        return Err(Problem::empty_cart());
    }
    let lines = items.into_iter().map(|item| (item.sku, item.quantity));
    let request = Reserve::new(lines)?
        .with_customer(&user.name)
        .for_duration(duration);
    let held = shop.inventory.reserve(request).await?;
    let location = format!("/api/marketplace/reservations/{}", held.id);
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(held),
    )
        .into_response())
}

pub async fn one(
    State(shop): State<Shop>,
    user: User,
    Path(id): Path<ReservationId>,
) -> Result<Json<Reservation>, Problem> {
    Ok(Json(own(&shop, &user, id).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Longer {
    seconds: u64,
}

pub async fn extend(
    State(shop): State<Shop>,
    user: User,
    Path(id): Path<ReservationId>,
    body::Json(longer): body::Json<Longer>,
) -> Result<Json<Reservation>, Problem> {
    let by = duration(longer.seconds)?;
    own(&shop, &user, id).await?;
    Ok(Json(shop.inventory.extend(id, by).await?))
}

pub async fn release(
    State(shop): State<Shop>,
    user: User,
    Path(id): Path<ReservationId>,
) -> Result<StatusCode, Problem> {
    own(&shop, &user, id).await?;
    shop.inventory.release(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
