//! Checkouts by handwritten SQL without a lock: read, check, write. This oversells.
//!
//! A CHECK constraint of `optilock.products` refuses a negative stock, so this uses tables without one.

use optilock::{
    inventory::{Sku, Stock},
    sqlx::{self, PgPool},
};

use crate::{error::BoxError, seller::Outcome};

pub(crate) async fn create_tables(pool: &PgPool) -> Result<(), BoxError> {
    sqlx::raw_sql(
        "CREATE SCHEMA naive;
         CREATE TABLE naive.products (sku text PRIMARY KEY, stock bigint NOT NULL);
         CREATE TABLE naive.orders (id bigserial PRIMARY KEY, sku text NOT NULL);",
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(crate) async fn add_product(pool: &PgPool, sku: &Sku, stock: Stock) -> Result<(), BoxError> {
    sqlx::query("INSERT INTO naive.products (sku, stock) VALUES ($1, $2)")
        .bind(sku.as_str())
        .bind(stock.get())
        .execute(pool)
        .await?;
    Ok(())
}

/// Buys one unit.
pub(crate) async fn buy(pool: &PgPool, sku: &Sku) -> Result<Outcome, BoxError> {
    let mut conn = pool.acquire().await?;
    let stock: i64 = sqlx::query_scalar("SELECT stock FROM naive.products WHERE sku = $1")
        .bind(sku.as_str())
        .fetch_one(&mut *conn)
        .await?;
    if stock < 1 {
        return Ok(Outcome::Refused);
    }
    sqlx::query("UPDATE naive.products SET stock = stock - 1 WHERE sku = $1")
        .bind(sku.as_str())
        .execute(&mut *conn)
        .await?;
    sqlx::query("INSERT INTO naive.orders (sku) VALUES ($1)")
        .bind(sku.as_str())
        .execute(&mut *conn)
        .await?;
    Ok(Outcome::Sold)
}

/// Returns the number of units sold of these products.
pub(crate) async fn sold(pool: &PgPool, skus: &[&str]) -> Result<i64, BoxError> {
    let sold = sqlx::query_scalar("SELECT count(*) FROM naive.orders WHERE sku = ANY($1)")
        .bind(skus)
        .fetch_one(pool)
        .await?;
    Ok(sold)
}
