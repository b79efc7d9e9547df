//! The endpoints of reservations, which hold the units of a cart for a while.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use optilock::{
    RetryPolicy,
    inventory::{Error, Inventory, Reservation, ReservationId, Reserve},
    postgres::{Tx, transact},
};
use serde::Deserialize;

use crate::{
    body::{self, Path},
    cart,
    if_match::CartVersions,
    problem::Problem,
    shop::Shop,
    users::User,
};

/// How long a reservation can last, with all its extensions: nobody takes the stock of a shop without buying it.
const LONGEST: Duration = Duration::from_secs(3_600);

fn duration(seconds: u64) -> Result<Duration, Problem> {
    match seconds {
        1..=3_600 => Ok(Duration::from_secs(seconds)),
        _ => Err(Problem::invalid("seconds: 1 to 3600")),
    }
}

/// Returns the user's reservation. To other users it does not exist.
async fn own_reservation(
    shop: &Shop,
    user: &User,
    id: ReservationId,
) -> Result<Reservation, Problem> {
    let reservation = shop.inventory.reservation(id).await?;
    if reservation.customer.as_deref() == Some(&user.name) {
        return Ok(reservation);
    }
    Err(Error::not_found("reservation", id).into())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReserveBody {
    seconds: Option<u64>,
}

/// Reserves the units of the cart, all of them or none.
pub(crate) async fn reserve(
    State(shop): State<Shop>,
    user: User,
    versions: CartVersions,
    body::Json(body): body::Json<ReserveBody>,
) -> Result<Response, Problem> {
    let duration = duration(body.seconds.unwrap_or(600))?;
    let cart = shop.carts.of(&user.name).await?;
    if !versions.accept(cart.version) {
        return Err(cart::stale(&shop, &versions, &cart).await);
    }
    if cart.items().is_empty() {
        return Err(Problem::empty_cart());
    }
    let items = cart.items().iter();
    let lines = items.map(|item| (item.sku.clone(), item.quantity));
    let request = Reserve::new(lines)?
        .with_customer(&user.name)
        .for_duration(duration);
    let reservation = shop.inventory.reserve(request).await?;
    let location = format!("/api/marketplace/reservations/{}", reservation.id);
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(reservation),
    )
        .into_response())
}

pub(crate) async fn one(
    State(shop): State<Shop>,
    user: User,
    Path(id): Path<ReservationId>,
) -> Result<Json<Reservation>, Problem> {
    Ok(Json(own_reservation(&shop, &user, id).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExtendBody {
    seconds: u64,
}

/// Extends the reservation by the given seconds.
pub(crate) async fn extend(
    State(shop): State<Shop>,
    user: User,
    Path(id): Path<ReservationId>,
    body::Json(body): body::Json<ExtendBody>,
) -> Result<Json<Reservation>, Problem> {
    let duration = duration(body.seconds)?;
    own_reservation(&shop, &user, id).await?;
    // The extension is undone if it ends too late, by the clock of the database.
    let extend = async |tx: &mut Tx<'_>| {
        let extended = shop
            .inventory
            .inventory()
            .extend_in(tx, id, duration)
            .await?;
        let last = extended.created_at + LONGEST;
        if extended.holds.iter().all(|hold| hold.expires_at <= last) {
            return Ok(extended);
        }
        let longest = LONGEST.as_secs();
        let why = format!("a reservation lasts {longest} s at most, with all its extensions");
        Err(Error::invalid("seconds", why))
    };
    let extended = transact(&shop.pool, &RetryPolicy::new(), extend).await;
    Ok(Json(extended.map_err(Error::from)?))
}

/// Releases the units of the reservation.
pub(crate) async fn release(
    State(shop): State<Shop>,
    user: User,
    Path(id): Path<ReservationId>,
) -> Result<StatusCode, Problem> {
    own_reservation(&shop, &user, id).await?;
    shop.inventory.release(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
