//! Checkouts and whole sales by handwritten SQL that locks the rows.

use optilock::{
    inventory::{OrderId, ReservationId, Sku},
    sqlx::{self, PgPool},
};

use support::by_hand;

use crate::{error::BoxError, seller::Outcome};

/// Buys one unit.
pub(crate) async fn buy(pool: &PgPool, sku: &Sku) -> Result<Outcome, BoxError> {
    outcome(by_hand::order(pool, OrderId::new().uuid(), sku.as_str(), None).await)
}

/// Reserves one unit, buys it from the reservation, and pays: a transaction for each step.
pub(crate) async fn sell(pool: &PgPool, sku: &Sku) -> Result<Outcome, BoxError> {
    let (reservation, order) = (ReservationId::new().uuid(), OrderId::new().uuid());
    let reserved = outcome(by_hand::reserve(pool, reservation, sku.as_str(), None).await)?;
    if reserved != Outcome::Sold {
        return Ok(reserved);
    }
    let bought = by_hand::buy_reserved(pool, order, reservation, sku.as_str(), None).await;
    match outcome(bought)? {
        Outcome::Sold => outcome(by_hand::pay(pool, order).await),
        refused => Ok(refused),
    }
}

fn outcome(written: Result<bool, sqlx::Error>) -> Result<Outcome, BoxError> {
    match written {
        Ok(true) => Ok(Outcome::Sold),
        Ok(false) => Ok(Outcome::Refused),
        Err(error) if is_conflict(&error) => Ok(Outcome::Conflict),
        Err(error) => Err(error.into()),
    }
}

/// A serialization failure or a deadlock, which this code does not handle.
fn is_conflict(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("40001" | "40P01"))
}
