//! The import of many products.

use sqlx::PgConnection;

use super::{PgInventory, products::add_many};
#[cfg(doc)]
use crate::inventory::model::ErrorKind;
use crate::inventory::model::{Error, NewProduct, Sku};

impl PgInventory {
    /// Adds many products: 1,000 per statement, each statement in a transaction of its own. Products that exist, retired
    /// ones included, are left as they are. Returns their SKUs, sorted.
    ///
    /// A call that failed, or whose future was dropped, has added some of the products; the same call again adds the
    /// others. An attempt whose outcome is unknown is looked up: what it has added is not returned as existing.
    ///
    /// ```no_run
    /// use optilock::inventory::{Error, Money, NewProduct, PgInventory, Sku, Stock};
    ///
    /// # async fn doc(shop: PgInventory, catalogue: Vec<(String, String, i64, i64)>) -> Result<(), Error> {
    /// let pesos = "MXN".parse()?;
    /// let products = catalogue.into_iter().map(|(sku, name, price, stock)| {
    ///     let new = NewProduct::new(Sku::new(sku)?, name, Money::new(price, pesos)?);
    ///     Ok(new.with_stock(Stock::new(stock)?))
    /// });
    /// let existing = shop.add_products(&products.collect::<Result<Vec<_>, Error>>()?).await?;
    /// println!("{} products were there", existing.len());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a name that can't be stored, or a SKU that is named twice: nothing is added.
    /// [`ErrorKind::Suppressed`] and those of the database: some of the products may be added.
    pub async fn add_products(&self, products: &[NewProduct]) -> Result<Vec<Sku>, Error> {
        add_many::exactly_once(self.executor(), &add_many::Import::new(products)?).await
    }

    /// Runs [`add_products`](Self::add_products) in the caller's transaction, for example with the host's own rows of
    /// these products: all are added, or none. The transaction holds the rows of all of them until it ends.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn add_products_in(
        &self,
        conn: &mut PgConnection,
        products: &[NewProduct],
    ) -> Result<Vec<Sku>, Error> {
        let import = add_many::Import::new(products)?;
        add_many::in_transaction(&mut self.schema().on(conn), &import).await
    }
}
