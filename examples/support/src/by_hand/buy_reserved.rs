use sqlx::{PgPool, types::Uuid};

/// Buys the unit that a reservation holds, optionally with a customer and an idempotency key. Returns whether
/// the unit was still held.
///
/// # Errors
///
/// Errors of the database, including conflicts.
pub async fn buy_reserved(
    pool: &PgPool,
    id: Uuid,
    reservation: Uuid,
    sku: &str,
    customer: Option<(&str, &str)>,
) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    // Products before holds, as in the library: two orders of locks would deadlock.
    let (price, currency): (i64, String) = sqlx::query_as(
        "SELECT price, currency FROM optilock.products WHERE sku = $1 AND NOT retired FOR UPDATE",
    )
    .bind(sku)
    .fetch_one(&mut *transaction)
    .await?;
    let used = sqlx::query(
        "UPDATE optilock.holds SET held = 0, state = 1
         WHERE reservation_id = $1 AND sku = $2 AND state = 0 AND held = 1 AND expires_at > now()",
    )
    .bind(reservation)
    .bind(sku)
    .execute(&mut *transaction)
    .await?;
    if used.rows_affected() != 1 {
        transaction.rollback().await?;
        return Ok(false);
    }
    sqlx::query("UPDATE optilock.reservations SET remaining = 0 WHERE id = $1")
        .bind(reservation)
        .execute(&mut *transaction)
        .await?;
    let (version, stock): (i64, i64) = sqlx::query_as(
        "UPDATE optilock.products
         SET stock = stock - 1, reserved = reserved - 1, version = version + 1, updated_at = now()
         WHERE sku = $1 RETURNING version, stock",
    )
    .bind(sku)
    .fetch_one(&mut *transaction)
    .await?;
    let (customer, key) = customer.unzip();
    sqlx::query(
        "INSERT INTO optilock.orders (id, customer, idempotency_key, reservation_id, total, currency)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(id)
    .bind(customer)
    .bind(key)
    .bind(reservation)
    .bind(price)
    .bind(&currency)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "INSERT INTO optilock.order_lines (order_id, sku, quantity, price) VALUES ($1, $2, 1, $3)",
    )
    .bind(id)
    .bind(sku)
    .bind(price)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "INSERT INTO optilock.movements
             (sku, version, kind, delta, stock_after, order_id, reservation_id)
         VALUES ($1, $2, 1, -1, $3, $4, $5)",
    )
    .bind(sku)
    .bind(version)
    .bind(stock)
    .bind(id)
    .bind(reservation)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(true)
}
