#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use moka::future::Cache;

use super::{
    DisplayedStock,
    epochs::{Changed, Changing, Epochs},
    slot::{Left, Slot},
};
#[cfg(doc)]
use crate::inventory::model::ErrorKind;
use crate::inventory::{
    api::Inventory,
    model::{Cleanup, Error, Order, Sku},
};

/// An [`Inventory`] with a cache of the stock to display.
///
/// [`display`](Self::display) answers from memory. All other calls go to the inventory behind; a product that a
/// call changed is read again at its next view. Changes by other processes become visible when the
/// [`ttl`](Self::with_ttl) has passed, and so do changes by `.._in` operations in a transaction of the host's,
/// unless the host calls [`forget`](Self::forget) after its commit. After a refused checkout its products are
/// read again as well, as their stock may have changed. A call that was refused by a busy inventory changed
/// nothing.
///
/// ```
/// use optilock::{cache::CachedStock, inventory::{Checkout, Inventory, Line, MemoryInventory, Money, NewProduct, Quantity, Sku, Stock}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), optilock::inventory::Error> {
/// let shop = CachedStock::new(MemoryInventory::new());
/// let pot = Sku::new("pot")?;
/// let new = NewProduct::new(pot.clone(), "Pot", Money::new(900, "MXN".parse()?)?);
/// shop.add_product(new.with_stock(Stock::new(2)?)).await?;
/// assert_eq!(shop.display(&pot).await?.to_string(), "2 left");
///
/// shop.checkout(Checkout::new([Line::new(pot.clone(), Quantity::new(2)?)])?).await?;
/// assert!(shop.display(&pot).await?.is_sold_out());
/// # Ok(()) }
/// ```
///
/// # Default
///
/// A `ttl` of 30 seconds, 10,000 products.
#[derive(Debug)]
#[must_use]
pub struct CachedStock<I> {
    pub(super) inventory: I,
    ttl: Duration,
    products: Cache<Sku, Arc<Slot>>,
    epochs: Epochs,
}

impl<I: Inventory> CachedStock<I> {
    /// Creates a cache in front of this inventory, which may be a `&`, a `Box` or an `Arc`.
    pub fn new(inventory: I) -> Self {
        Self::build(inventory, Duration::from_secs(30), 10_000)
    }

    /// Sets the largest age of a displayed stock while the inventory answers. With zero, each view reads the
    /// inventory.
    pub fn with_ttl(self, ttl: Duration) -> Self {
        let products = self.products.policy().max_capacity().unwrap_or_default();
        Self::build(self.inventory, ttl, products)
    }

    /// Sets the number of products in the cache. If there are more, those that are viewed most are kept.
    pub fn with_products(self, products: u64) -> Self {
        Self::build(self.inventory, self.ttl, products)
    }

    fn build(inventory: I, ttl: Duration, products: u64) -> Self {
        Self {
            inventory,
            ttl,
            products: Cache::new(products),
            epochs: Epochs::default(),
        }
    }

    /// Returns the inventory behind.
    #[must_use]
    pub const fn inventory(&self) -> &I {
        &self.inventory
    }

    /// Returns the stock of this product to display.
    ///
    /// One viewer of a product asks the inventory; the others wait for its answer. If the inventory takes
    /// longer than a second, viewers get the last answer, if there is one. If the future of the viewer that
    /// asks is dropped, the next viewer asks.
    ///
    /// The answer is never older than the last change through this value, and not older than the `ttl` as long
    /// as the inventory answers. A failure is remembered for a second in which the inventory is not asked
    /// again: viewers get the last answer, whose [`age`](DisplayedStock::age) shows how old it is, or an error.
    /// With a `ttl` of zero each viewer asks.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when the product is not sold. If the inventory fails and there is no earlier
    /// answer: its error for the viewer that asked, and [`ErrorKind::Busy`] with the rest of the second as
    /// `retry_after` for the others.
    pub async fn display(&self, sku: &Sku) -> Result<DisplayedStock, Error> {
        let slot = if self.ttl.is_zero() {
            Arc::default()
        } else {
            self.products
                .get_with_by_ref(sku, async { Arc::default() })
                .await
        };
        let ask = async {
            match self.inventory.product(sku).await {
                Ok(product) => Ok(Some(Left {
                    available: product.available(),
                    paused: product.paused,
                })),
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => Err(error),
            }
        };
        let seen = slot.view(self.ttl, || self.epochs.of(sku), ask).await?;
        let left = seen.left.ok_or_else(|| Error::no_product(sku))?;
        Ok(DisplayedStock {
            available: left.available,
            paused: left.paused,
            asked: seen.asked,
        })
    }

    /// Makes the next view of this product read the inventory, after a change that was not made through this
    /// value.
    pub fn forget(&self, sku: &Sku) {
        self.epochs.bump(sku);
    }

    /// Makes the next view of each product read the inventory.
    pub fn forget_all(&self) {
        self.epochs.bump_all();
    }

    /// Runs a call that changes these products. If it is dropped midway, they count as changed. If the inventory
    /// was busy they don't: nothing happened, and the last answer is all that viewers can get.
    pub(super) async fn change<T>(
        &self,
        what: Changed,
        call: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        self.count_change(what, call, |answer| match answer {
            Err(error) if error.is_busy() => Some(Changed::Nothing),
            _ => None,
        })
        .await
    }

    /// Runs a clean-up, whose products are unknown.
    pub(super) async fn clean_up(
        &self,
        call: impl Future<Output = Result<Cleanup, Error>> + Send,
    ) -> Result<Cleanup, Error> {
        self.count_change(Changed::Anything, call, |done| match done {
            Ok(done) if !done.may_have_effect() => Some(Changed::Nothing),
            // Earlier batches of the call may have given units back, which become visible after the `ttl`: a
            // janitor must not forget all products every minute while the database is away.
            Err(error) if error.is_busy() => Some(Changed::Nothing),
            _ => None,
        })
        .await
    }

    /// Runs a step of an order, whose products are known when it is made.
    pub(super) async fn order_step(
        &self,
        step: impl Future<Output = Result<Order, Error>> + Send,
    ) -> Result<Order, Error> {
        self.count_change(Changed::Anything, step, |answer| match answer {
            Ok(order) => Some(Changed::skus(order.lines.iter().map(|line| &line.sku))),
            // The step may have taken effect; or it was refused after expired holds were ended.
            Err(error)
                if error.is_unknown() || error.is_insufficient_stock() || error.is_busy() =>
            {
                None
            }
            Err(_) => Some(Changed::Nothing),
        })
        .await
    }

    /// Runs a call, and counts a change of the products that `known` returns for its answer, or else of `what`.
    async fn count_change<T>(
        &self,
        what: Changed,
        call: impl Future<Output = Result<T, Error>> + Send,
        known: impl FnOnce(&Result<T, Error>) -> Option<Changed> + Send,
    ) -> Result<T, Error> {
        let mut changing = Changing {
            epochs: &self.epochs,
            what,
        };
        let answer = call.await;
        if let Some(known) = known(&answer) {
            changing.what = known;
        }
        answer
    }
}
