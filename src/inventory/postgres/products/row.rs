//! The row of a product.

use crate::{
    Version,
    inventory::{
        model::{Error, Money, Product, Sku, Stock},
        postgres::{row::impossible, types::Time},
    },
};

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct ProductRow {
    sku: Sku,
    name: String,
    price: i64,
    currency: String,
    stock: i64,
    reserved: i64,
    version: Version,
    revision: Version,
    pub(crate) retired: bool,
    paused: bool,
    created_at: Time,
    updated_at: Time,
}

impl TryFrom<ProductRow> for Product {
    type Error = Error;

    fn try_from(row: ProductRow) -> Result<Self, Error> {
        let currency = row.currency.parse().map_err(impossible)?;
        let price = Money::stored(row.price, currency);
        let mut product = Self::new(row.sku, row.name, price);
        product.stock = Stock::stored(row.stock);
        product.reserved = Stock::stored(row.reserved);
        product.version = row.version;
        product.revision = row.revision;
        product.paused = row.paused;
        product.created_at = row.created_at.0;
        product.updated_at = row.updated_at.0;
        Ok(product)
    }
}
