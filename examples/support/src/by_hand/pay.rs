use sqlx::{PgPool, types::Uuid};

/// Marks an order as paid. Returns whether it awaited payment.
///
/// # Errors
///
/// Errors of the database, including conflicts.
pub async fn pay(pool: &PgPool, order: Uuid) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let status: i16 =
        sqlx::query_scalar("SELECT status FROM optilock.orders WHERE id = $1 FOR UPDATE")
            .bind(order)
            .fetch_one(&mut *transaction)
            .await?;
    if !matches!(status, 0 | 1) {
        transaction.rollback().await?;
        return Ok(false);
    }
    sqlx::query("UPDATE optilock.orders SET status = 2, version = version + 1 WHERE id = $1")
        .bind(order)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}
