//! A product as a versioned row: two of them, for what an editor of the catalogue compares and what
//! somebody before the shelf does.

use std::marker::PhantomData;

use super::{row::impossible, time::Time};
use crate::{
    Version,
    inventory::{Error, Money, Product, Sku, Stock},
    versioned_row,
};

/// A product's row, guarded by `G`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct ProductRow<G> {
    pub(super) sku: Sku,
    pub(super) name: String,
    pub(super) price: i64,
    pub(super) currency: String,
    pub(super) stock: i64,
    pub(super) reserved: i64,
    pub(super) version: Version,
    pub(super) revision: Version,
    pub(super) retired: bool,
    paused: bool,
    created_at: Time,
    updated_at: Time,
    #[sqlx(skip)]
    guard: PhantomData<fn() -> G>,
}

#[derive(Debug)]
pub(super) struct ByRevision;

#[derive(Debug)]
pub(super) struct ByVersion;

/// Name and price. Compared by its revision: sales, which only the version counts, are no conflict.
pub(super) type Entry = ProductRow<ByRevision>;

versioned_row! { Entry in "optilock.products" {
    entity: "catalogue entry",
    id: sku: Sku,
    version: revision,
    columns: [name, price, currency],
    on_update: [
        version: "version + 1",
        updated_at: "greatest(updated_at, pg_catalog.clock_timestamp())"
    ],
    read_only: [stock, reserved, retired, paused, created_at],
    only: "NOT retired",
} }

/// What is there, and whether it is sold at all. Compared by its version: nothing may have moved.
pub(super) type Shelf = ProductRow<ByVersion>;

versioned_row! { Shelf in "optilock.products" {
    entity: "product",
    id: sku: Sku,
    version: version,
    columns: [stock, retired],
    on_update: [updated_at: "greatest(updated_at, pg_catalog.clock_timestamp())"],
    read_only: [name, price, currency, reserved, revision, paused, created_at],
    only: "NOT retired",
} }

impl Entry {
    /// As the caller changed it. What it does not write is not heeded.
    pub(super) fn of(changed: &Product) -> Self {
        Self {
            sku: changed.sku.clone(),
            name: changed.name.clone(),
            price: changed.price.minor(),
            currency: changed.price.currency().to_string(),
            stock: changed.stock.get(),
            reserved: changed.reserved.get(),
            version: changed.version,
            revision: changed.revision,
            retired: false,
            paused: changed.paused,
            created_at: Time(changed.created_at),
            updated_at: Time(changed.updated_at),
            guard: PhantomData,
        }
    }
}

impl<G> TryFrom<ProductRow<G>> for Product {
    type Error = Error;

    fn try_from(row: ProductRow<G>) -> Result<Self, Error> {
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
