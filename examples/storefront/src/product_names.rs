//! The names of products in other languages than English, in which the inventory has them.

use optilock::{
    inventory::Product,
    sqlx::{self, PgConnection, PgPool},
};

use crate::language::Language;

/// Sets the name of a product in a language.
pub(crate) async fn set(
    conn: &mut PgConnection,
    sku: &str,
    language: Language,
    name: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO storefront.shop_product_names (sku, language, name) VALUES ($1, $2, $3)
         ON CONFLICT (sku, language) DO UPDATE SET name = excluded.name",
    )
    .bind(sku)
    .bind(language.tag())
    .bind(name)
    .execute(conn)
    .await
    .map(drop)
}

/// Puts the names in the language of the request in their places. A product without one keeps its own.
pub(crate) async fn translate(pool: &PgPool, products: &mut [Product]) -> Result<(), sqlx::Error> {
    let language = Language::current();
    if language == Language::English || products.is_empty() {
        return Ok(());
    }
    let skus: Vec<&str> = products
        .iter()
        .map(|product| product.sku.as_str())
        .collect();
    let names: Vec<(String, String)> = sqlx::query_as(
        "SELECT sku, name FROM storefront.shop_product_names WHERE language = $1 AND sku = ANY ($2)",
    )
    .bind(language.tag())
    .bind(skus)
    .fetch_all(pool)
    .await?;
    for product in products {
        if let Some((_, name)) = names.iter().find(|(sku, _)| *sku == product.sku.as_str()) {
            product.name.clone_from(name);
        }
    }
    Ok(())
}
