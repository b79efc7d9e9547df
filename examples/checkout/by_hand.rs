//! The buyer of what is written by hand.

use optilock::{
    inventory::{OrderId, Sku},
    sqlx::{self, PgPool},
};

use crate::{fault::Fault, seller::Answer};

/// One unit.
pub(crate) async fn buy(pool: &PgPool, sku: &Sku) -> Result<Answer, Fault> {
    match support::by_hand::order(pool, OrderId::new().uuid(), sku.as_str(), None).await {
        Ok(true) => Ok(Answer::Sold),
        Ok(false) => Ok(Answer::Refused),
        Err(error) if is_conflict(&error) => Ok(Answer::Conflict),
        Err(error) => Err(error.into()),
    }
}

/// A serialization failure or a deadlock: nothing that this code would handle.
fn is_conflict(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("40001" | "40P01"))
}
