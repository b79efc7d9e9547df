//! Read, check, write: what oversells.
//!
//! `optilock.products` would refuse a negative stock by its own CHECK, so this sells from tables of
//! its own, as they were before anybody thought of that.

use optilock::{
    inventory::{Sku, Stock},
    sqlx::{self, PgPool},
};

use crate::{fault::Fault, seller::Answer};

pub(crate) async fn create_tables(pool: &PgPool) -> Result<(), Fault> {
    sqlx::raw_sql(
        "CREATE SCHEMA naive;
         CREATE TABLE naive.products (sku text PRIMARY KEY, stock bigint NOT NULL);
         CREATE TABLE naive.orders (id bigserial PRIMARY KEY, sku text NOT NULL);",
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(crate) async fn add_product(pool: &PgPool, sku: &Sku, stock: Stock) -> Result<(), Fault> {
    sqlx::query("INSERT INTO naive.products (sku, stock) VALUES ($1, $2)")
        .bind(sku.as_str())
        .bind(stock.get())
        .execute(pool)
        .await?;
    Ok(())
}

/// One unit.
pub(crate) async fn buy(pool: &PgPool, sku: &Sku) -> Result<Answer, Fault> {
    let mut conn = pool.acquire().await?;
    let stock: i64 = sqlx::query_scalar("SELECT stock FROM naive.products WHERE sku = $1")
        .bind(sku.as_str())
        .fetch_one(&mut *conn)
        .await?;
    if stock < 1 {
        return Ok(Answer::Refused);
    }
    sqlx::query("UPDATE naive.products SET stock = stock - 1 WHERE sku = $1")
        .bind(sku.as_str())
        .execute(&mut *conn)
        .await?;
    sqlx::query("INSERT INTO naive.orders (sku) VALUES ($1)")
        .bind(sku.as_str())
        .execute(&mut *conn)
        .await?;
    Ok(Answer::Sold)
}

/// Units sold of these products.
pub(crate) async fn sold(pool: &PgPool, skus: &[&str]) -> Result<i64, Fault> {
    let sold = sqlx::query_scalar("SELECT count(*) FROM naive.orders WHERE sku = ANY($1)")
        .bind(skus)
        .fetch_one(pool)
        .await?;
    Ok(sold)
}
