//! Checkouts by handwritten SQL that locks the row.

use optilock::{
    inventory::{OrderId, Sku},
    sqlx::{self, PgPool},
};

use crate::{error::BoxError, seller::Outcome};

/// Buys one unit.
pub(crate) async fn buy(pool: &PgPool, sku: &Sku) -> Result<Outcome, BoxError> {
    match support::by_hand::order(pool, OrderId::new().uuid(), sku.as_str(), None).await {
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
