use sqlx::{PgPool, types::Uuid};

/// Holds one unit for ten minutes, optionally for a customer with an idempotency key. Returns whether there was
/// stock.
///
/// # Errors
///
/// Errors of the database, including conflicts.
pub async fn reserve(
    pool: &PgPool,
    id: Uuid,
    sku: &str,
    customer: Option<(&str, &str)>,
) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let available: i64 = sqlx::query_scalar(
        "SELECT stock - reserved FROM optilock.products WHERE sku = $1 AND NOT retired FOR UPDATE",
    )
    .bind(sku)
    .fetch_one(&mut *transaction)
    .await?;
    if available < 1 {
        transaction.rollback().await?;
        return Ok(false);
    }
    let (version, stock): (i64, i64) = sqlx::query_as(
        "UPDATE optilock.products SET reserved = reserved + 1, version = version + 1, updated_at = now()
         WHERE sku = $1 RETURNING version, stock",
    )
    .bind(sku)
    .fetch_one(&mut *transaction)
    .await?;
    let (customer, key) = customer.unzip();
    sqlx::query(
        "INSERT INTO optilock.reservations (id, customer, idempotency_key, remaining)
         VALUES ($1, $2, $3, 1)",
    )
    .bind(id)
    .bind(customer)
    .bind(key)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
         VALUES ($1, $2, 1, 1, now() + interval '10 minutes')",
    )
    .bind(id)
    .bind(sku)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, reservation_id)
         VALUES ($1, $2, 4, 0, $3, $4)",
    )
    .bind(sku)
    .bind(version)
    .bind(stock)
    .bind(id)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(true)
}
