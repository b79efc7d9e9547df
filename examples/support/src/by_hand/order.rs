use sqlx::{PgPool, types::Uuid};

/// Buys one unit, optionally with a customer and an idempotency key. Returns whether there was stock.
///
/// # Errors
///
/// Errors of the database, including conflicts.
pub async fn order(
    pool: &PgPool,
    id: Uuid,
    sku: &str,
    customer: Option<(&str, &str)>,
) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let (available, price, currency): (i64, i64, String) = sqlx::query_as(
        "SELECT stock - reserved, price, currency FROM optilock.products
         WHERE sku = $1 AND NOT retired FOR UPDATE",
    )
    .bind(sku)
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
    .bind(sku)
    .fetch_one(&mut *transaction)
    .await?;
    let (customer, key) = customer.unzip();
    sqlx::query(
        "INSERT INTO optilock.orders (id, customer, idempotency_key, total, currency)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(id)
    .bind(customer)
    .bind(key)
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
        "INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id)
         VALUES ($1, $2, 1, -1, $3, $4)",
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
