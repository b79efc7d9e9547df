//! Changes of a stock: adjustments, counts, and those of orders.

use super::{
    ledger::Cause,
    store::{Store, next},
};
use crate::{
    Version,
    inventory::model::{Adjustment, Error, MovementKind, Product, Sku, Stock, product::check_text},
};

impl Store {
    pub(super) fn adjust_stock(&mut self, adjustment: &Adjustment) -> Result<Product, Error> {
        let Adjustment { id, sku, delta, .. } = adjustment;
        if let Some((made_of, made)) = self.adjustments.get(id) {
            // Also if the product was retired since.
            return match self.products.get(sku) {
                Some(stored) if made_of == sku && made == delta => Ok(stored.product.clone()),
                _ => Err(Error::idempotency_mismatch("adjustment", id, None)),
            };
        }
        let mut product = self.product(sku)?.clone();
        let obtainable = product.available() + self.expired(sku, None);
        if obtainable + delta < 0 {
            return Err(adjustment.insufficient(obtainable));
        }
        while product.available() + delta < 0 {
            self.expire(&[(sku, -delta)], None)?;
            product = self.product(sku)?.clone();
        }
        let stock = product.stock.get().saturating_add(*delta);
        if *delta > 0 && stock > Stock::MAX.get() {
            return Err(adjustment.beyond());
        }
        product.stock = Stock::stored(stock);
        let cause = Cause::of(MovementKind::Adjustment).with_reason(&adjustment.reason);
        let product = self.put(product, cause)?;
        self.adjustments.insert(*id, (sku.clone(), *delta));
        Ok(product)
    }

    pub(super) fn count_stock(
        &mut self,
        sku: &Sku,
        expected: Version,
        counted: Stock,
        reason: &str,
    ) -> Result<Product, Error> {
        check_text("reason", reason)?;
        let mut product = self.product_at(sku, expected)?;
        if product.reserved > counted {
            let (counted, reserved) = (counted.get(), product.reserved.get());
            return Err(Error::stock_held(product.sku, counted, reserved));
        }
        product.stock = counted;
        let cause = Cause::of(MovementKind::Count).with_reason(reason);
        self.put(product, cause)
    }

    /// Changes the stock of each product by its number of units, or of none. The caller has checked that each
    /// has enough.
    pub(super) fn change_stock<'a>(
        &mut self,
        lines: impl IntoIterator<Item = (&'a Sku, i64)>,
        cause: Cause<'_>,
    ) -> Result<(), Error> {
        let mut changed = Vec::new();
        for (sku, delta) in lines {
            let Some(stored) = self.products.get(sku) else {
                return Err(Error::no_product(sku));
            };
            let mut product = stored.product.clone();
            let stock = product.stock.get().checked_add(delta);
            product.stock = stock.map(Stock::stored).ok_or_else(Error::out_of_range)?;
            next(product.version)?;
            changed.push(product);
        }
        for product in changed {
            self.put(product, cause)?;
        }
        Ok(())
    }
}
