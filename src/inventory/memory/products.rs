//! Products and changes of their data.

use std::ops::Bound;

use super::{
    clock::now,
    ledger::Cause,
    store::{Store, StoredProduct, next},
};
use crate::{
    Version, Versioned,
    inventory::model::{
        Error, MovementKind, NewProduct, Page, Product, Sku,
        product::{check_text, unedited, unmoved},
    },
};

impl Store {
    /// Returns a product that is not retired.
    pub(super) fn product(&self, sku: &Sku) -> Result<&Product, Error> {
        match self.products.get(sku) {
            Some(stored) if !stored.retired => Ok(&stored.product),
            _ => Err(Error::no_product(sku)),
        }
    }

    pub(super) fn product_at(&self, sku: &Sku, expected: Version) -> Result<Product, Error> {
        let product = self.product(sku)?;
        unmoved(product, expected)?;
        Ok(product.clone())
    }

    pub(super) fn products(&self, page: &Page<Sku>) -> Vec<Product> {
        let after = page.after.as_ref();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let products = self.products.range((from, Bound::Unbounded));
        products
            .filter(|(_, stored)| !stored.retired)
            .take(page.limit() as usize)
            .map(|(_, stored)| stored.product.clone())
            .collect()
    }

    pub(super) fn products_of(&self, skus: &[Sku]) -> Vec<Product> {
        let found = skus.iter().filter_map(|sku| self.product(sku).ok());
        let mut found: Vec<Product> = found.cloned().collect();
        found.sort_by(|a, b| a.sku.cmp(&b.sku));
        found.dedup_by(|a, b| a.sku == b.sku);
        found
    }

    pub(super) fn add_product(&mut self, new: NewProduct) -> Result<Product, Error> {
        check_text("name", &new.name)?;
        let mut product = Product::new(new.sku, new.name, new.price);
        product.stock = new.stock;
        match self.products.get(&product.sku) {
            None => Ok(self.insert(product)),
            Some(stored) if stored.retired => {
                let retired = &stored.product;
                if retired.reserved > product.stock {
                    let (counted, reserved) = (product.stock.get(), retired.reserved.get());
                    return Err(Error::stock_held(product.sku, counted, reserved));
                }
                product.reserved = retired.reserved;
                product.version = retired.version;
                product.revision = next(retired.revision)?;
                product.created_at = retired.created_at;
                self.put(product, Cause::of(MovementKind::Added))
            }
            Some(_) => Err(Error::already_exists(Product::ENTITY, &product.sku)),
        }
    }

    fn insert(&mut self, mut product: Product) -> Product {
        product.created_at = now();
        product.updated_at = product.created_at;
        let mut stored = StoredProduct {
            product,
            retired: false,
            ledger: Vec::new(),
        };
        let stock = stored.product.stock.get();
        stored.record(Cause::of(MovementKind::Added), stock);
        let product = stored.product.clone();
        self.products.insert(product.sku.clone(), stored);
        product
    }

    pub(super) fn update_product(&mut self, changed: &Product) -> Result<Product, Error> {
        check_text("name", &changed.name)?;
        let mut product = self.product(&changed.sku)?.clone();
        unedited(&product, changed.revision)?;
        product.name.clone_from(&changed.name);
        product.price = changed.price;
        product.revision = next(product.revision)?;
        self.put(product, Cause::of(MovementKind::Edit))
    }

    pub(super) fn retire_product(&mut self, sku: &Sku, expected: Version) -> Result<(), Error> {
        let product = self.product_at(sku, expected)?;
        let cause = Cause::of(MovementKind::Retired);
        self.put(product, cause).map(drop)
    }

    pub(super) fn set_paused(&mut self, sku: &Sku, paused: bool) -> Result<Product, Error> {
        let mut product = self.product(sku)?.clone();
        if product.paused == paused {
            return Ok(product);
        }
        product.paused = paused;
        let kind = match paused {
            true => MovementKind::Paused,
            false => MovementKind::Resumed,
        };
        self.put(product, Cause::of(kind))
    }

    /// Stores a changed product at the next version, and records the change in its ledger.
    pub(super) fn put(&mut self, product: Product, cause: Cause<'_>) -> Result<Product, Error> {
        let version = next(product.version)?;
        let Some(stored) = self.products.get_mut(&product.sku) else {
            return Err(Error::no_product(&product.sku));
        };
        let before = stored.product.stock.get();
        let delta = product.stock.get().saturating_sub(before);
        stored.retired = matches!(cause.kind, MovementKind::Retired)
            || stored.retired && !matches!(cause.kind, MovementKind::Added);
        let updated_at = stored.product.updated_at;
        stored.product = product;
        stored.product.version = version;
        stored.product.updated_at = now().max(updated_at);
        stored.record(cause, delta);
        Ok(stored.product.clone())
    }
}
