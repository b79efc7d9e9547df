//! SELECT .. FOR UPDATE: what one writes by hand to sell no more than there is.
//!
//! It writes the same rows into the same tables as the library, with the checks that this program
//! needs and none that it does not: one line, one unit, no order id that was used before.

use optilock::{
    inventory::{OrderId, Sku},
    sqlx::{self, PgPool},
};

use crate::{fault::Fault, seller::Answer};

/// One unit.
pub(crate) async fn buy(pool: &PgPool, sku: &Sku) -> Result<Answer, Fault> {
    match order(pool, OrderId::new(), sku).await {
        Ok(true) => Ok(Answer::Sold),
        Ok(false) => Ok(Answer::Refused),
        Err(error) if is_conflict(&error) => Ok(Answer::Conflict),
        Err(error) => Err(error.into()),
    }
}

async fn order(pool: &PgPool, id: OrderId, sku: &Sku) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let (available, price, currency): (i64, i64, String) = sqlx::query_as(
        "SELECT stock - reserved, price, currency FROM optilock.products
         WHERE sku = $1 AND NOT retired FOR UPDATE",
    )
    .bind(sku.as_str())
    .fetch_one(&mut *transaction)
    .await?;
    if available < 1 {
        transaction.rollback().await?;
        return Ok(false);
    }
    let (version, stock): (i64, i64) = sqlx::query_as(
        "UPDATE optilock.products SET stock = stock - 1, version = version + 1, updated_at = now()
         WHERE sku = $1 RETURNING version, stock",
    )
    .bind(sku.as_str())
    .fetch_one(&mut *transaction)
    .await?;
    sqlx::query("INSERT INTO optilock.orders (id, total, currency) VALUES ($1, $2, $3)")
        .bind(id.uuid())
        .bind(price)
        .bind(&currency)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "INSERT INTO optilock.order_lines (order_id, sku, quantity, price) VALUES ($1, $2, 1, $3)",
    )
    .bind(id.uuid())
    .bind(sku.as_str())
    .bind(price)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id)
         VALUES ($1, $2, 1, -1, $3, $4)",
    )
    .bind(sku.as_str())
    .bind(version)
    .bind(stock)
    .bind(id.uuid())
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(true)
}

/// A serialization failure or a deadlock: nothing that this code would handle.
fn is_conflict(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("40001" | "40P01"))
}
