#[cfg(doc)]
use crate::inventory::model::ErrorKind;
use std::{sync::Arc, time::Duration};

use moka::future::Cache;

use super::{
    DisplayedStock,
    epochs::{Changed, Changing, Epochs},
    slot::{Left, Slot},
};
use crate::inventory::{
    api::Inventory,
    model::{Cleanup, Error, Order, Sku},
};

/// An [`Inventory`] that also knows what to show.
///
/// [`display`](Self::display) answers from memory; everything else goes to the inventory behind it, and
/// what it changed is asked for anew at the next view. What other processes change is seen when the
/// [`ttl`](Self::with_ttl) is over; and what a transaction of the host's changes by `.._in` operations,
/// unless the host [`forget`](Self::forget)s those products after its commit. A checkout that is refused
/// has its products asked for again, too: that they ran out may be news. A call that a busy inventory turned
/// away changed nothing.
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
/// 30 seconds, 10,000 products.
#[derive(Debug)]
#[must_use]
pub struct CachedStock<I> {
    pub(super) inventory: I,
    ttl: Duration,
    products: Cache<Sku, Arc<Slot>>,
    epochs: Epochs,
}

impl<I: Inventory> CachedStock<I> {
    /// Before this inventory, which may be a `&`, a `Box` or an `Arc` of one.
    pub fn new(inventory: I) -> Self {
        Self::build(inventory, Duration::from_secs(30), 10_000)
    }

    /// How old what is shown may be, as long as the inventory answers. Zero shows what there is.
    pub fn with_ttl(self, ttl: Duration) -> Self {
        let products = self.products.policy().max_capacity().unwrap_or_default();
        Self::build(self.inventory, ttl, products)
    }

    /// Of how many products it is kept; of more, those that are viewed most.
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

    /// The inventory behind it.
    #[must_use]
    pub const fn inventory(&self) -> &I {
        &self.inventory
    }

    /// Returns what to show of this product.
    ///
    /// One viewer of a product asks the inventory; the others wait for its answer. If the inventory takes
    /// longer than a second, viewers get what was seen last, if anything was. If that viewer's future is
    /// dropped, the next viewer asks.
    ///
    /// The answer is never older than the last change through this value, and not older than the `ttl` as
    /// long as the inventory answers. A failure is remembered for a second, in which the inventory is not
    /// asked again: viewers get what was seen last, whose [`age`](DisplayedStock::age) says how old it is,
    /// or an error. With a `ttl` of zero each viewer asks.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when it is not sold. If the inventory fails and there is nothing to show: its
    /// error for the viewer that asked, and [`ErrorKind::Busy`] with the rest of the second as `retry_after`
    /// for the others.
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

    /// Asks for this product anew at its next view: after a change that this value did not make.
    pub fn forget(&self, sku: &Sku) {
        self.epochs.bump(sku);
    }

    /// The same for all products.
    pub fn forget_all(&self) {
        self.epochs.bump_all();
    }

    /// A call that changes these products; also when it is dropped midway, but not when the inventory was
    /// busy: then nothing happened, and what was seen before is all that viewers can get.
    pub(super) async fn change<T>(
        &self,
        what: Changed,
        call: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let mut changing = self.changing(what);
        let answer = call.await;
        if answer.as_ref().is_err_and(Error::is_busy) {
            changing.what = Changed::Nothing;
        }
        answer
    }

    /// A clean-up, whose products are not known.
    pub(super) async fn clean_up(
        &self,
        call: impl Future<Output = Result<Cleanup, Error>> + Send,
    ) -> Result<Cleanup, Error> {
        let mut changing = self.changing(Changed::Anything);
        let done = call.await;
        let nothing = match &done {
            Ok(done) => !done.has_effect(),
            // Batches before it may have given units back, which are then shown by the `ttl`: a janitor
            // must not forget all products every minute that the database is away.
            Err(error) => error.is_busy(),
        };
        if nothing {
            changing.what = Changed::Nothing;
        }
        done
    }

    /// A step of an order: which products it has is known when it was made.
    pub(super) async fn order_step(
        &self,
        step: impl Future<Output = Result<Order, Error>> + Send,
    ) -> Result<Order, Error> {
        let mut changing = self.changing(Changed::Anything);
        let answer = step.await;
        match &answer {
            Ok(order) => changing.what = Changed::skus(order.lines.iter().map(|line| &line.sku)),
            // It may have taken effect; or holds that had run out were lapsed, and it was refused all the same.
            Err(error)
                if error.is_unknown() || error.is_insufficient_stock() || error.is_busy() => {}
            Err(_) => changing.what = Changed::Nothing,
        }
        answer
    }

    const fn changing(&self, what: Changed) -> Changing<'_> {
        Changing {
            epochs: &self.epochs,
            what,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::inventory::{
        memory::MemoryInventory,
        model::{
            Adjustment, Checkout, Line, Money, NewProduct, Quantity, Reserve, ReturnRequest, Stock,
        },
    };

    async fn shop() -> (CachedStock<MemoryInventory>, Sku) {
        let shop = CachedStock::new(MemoryInventory::new());
        let pot = Sku::new("pot").unwrap();
        let price = Money::new(100, "MXN".parse().unwrap()).unwrap();
        let new = NewProduct::new(pot.clone(), "Pot", price).with_stock(Stock::new(9).unwrap());
        shop.add_product(new).await.unwrap();
        (shop, pot)
    }

    fn lines(pot: &Sku) -> [(Sku, Quantity); 1] {
        [(pot.clone(), Quantity::ONE)]
    }

    fn cart(pot: &Sku) -> Checkout {
        Checkout::new([Line::new(pot.clone(), Quantity::ONE)]).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn it_shows_what_was_there_until_its_time_is_over() {
        let (shop, pot) = shop().await;
        assert_eq!(shop.display(&pot).await.unwrap().shown(), 9);
        // As another process does.
        shop.inventory().checkout(cart(&pot)).await.unwrap();
        advance(Duration::from_millis(29_999)).await;
        let shown = shop.display(&pot).await.unwrap();
        assert_eq!((shown.shown(), shown.age().as_secs()), (9, 29));
        advance(Duration::from_millis(1)).await;
        assert_eq!(shop.display(&pot).await.unwrap().shown(), 8);
        shop.inventory().checkout(cart(&pot)).await.unwrap();
        shop.forget(&pot);
        assert_eq!(shop.display(&pot).await.unwrap().shown(), 7);
        let shop = shop.with_ttl(Duration::ZERO);
        shop.inventory().checkout(cart(&pot)).await.unwrap();
        assert_eq!(shop.display(&pot).await.unwrap().to_string(), "6 left");
    }

    #[tokio::test]
    async fn what_it_changes_itself_is_shown_at_once() {
        let (shop, pot) = shop().await;
        let shown = async |shop: &CachedStock<_>| shop.display(&pot).await.unwrap().shown();
        assert_eq!(shown(&shop).await, 9);
        let order = shop.checkout(cart(&pot)).await.unwrap().id;
        assert_eq!(shown(&shop).await, 8);
        shop.cancel(order, "changed my mind").await.unwrap();
        assert_eq!(shown(&shop).await, 9);
        shop.revive(order).await.unwrap();
        assert_eq!(shown(&shop).await, 8);
        shop.mark_paid(order).await.unwrap();
        let returned = ReturnRequest::new(order, lines(&pot), "chipped").unwrap();
        shop.return_items(returned).await.unwrap();
        assert_eq!(shown(&shop).await, 9);
        let held = shop
            .reserve(Reserve::new(lines(&pot)).unwrap())
            .await
            .unwrap();
        assert_eq!(shown(&shop).await, 8);
        shop.release(held.id).await.unwrap();
        assert_eq!(shown(&shop).await, 9);
        let brief = Reserve::new(lines(&pot))
            .unwrap()
            .for_duration(Duration::from_micros(1));
        shop.reserve(brief).await.unwrap();
        assert_eq!(shown(&shop).await, 8);
        // A microsecond has passed when the next call of the clock differs.
        let before = chrono::Utc::now();
        while chrono::Utc::now() <= before + Duration::from_micros(2) {}
        shop.cleanup_reservations().await.unwrap();
        assert_eq!(shown(&shop).await, 9);
        shop.checkout(cart(&pot)).await.unwrap();
        assert_eq!(shown(&shop).await, 8);
        shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
        assert_eq!(shown(&shop).await, 9);
        let delivery = Adjustment::new(pot.clone(), 3, "delivery").unwrap();
        let product = shop.adjust_stock(delivery).await.unwrap();
        assert_eq!(shown(&shop).await, 12);
        let counted = shop.count_stock(&pot, product.version, Stock::new(4).unwrap(), "counted");
        let product = counted.await.unwrap();
        assert_eq!(shown(&shop).await, 4);
        shop.retire_product(&pot, product.version).await.unwrap();
        assert!(shop.display(&pot).await.unwrap_err().is_not_found());
        let again = NewProduct::new(pot.clone(), "Pot", product.price);
        shop.add_product(again).await.unwrap();
        assert!(shop.display(&pot).await.unwrap().is_sold_out());
    }

    #[tokio::test]
    async fn of_more_products_than_it_keeps_it_forgets_some() {
        let (shop, pot) = shop().await;
        let shop = shop.with_products(2);
        for name in 0..100 {
            let other = Sku::new(name.to_string()).unwrap();
            assert!(shop.display(&other).await.unwrap_err().is_not_found());
        }
        shop.products.run_pending_tasks().await;
        assert!(shop.products.entry_count() <= 2);
        assert_eq!(shop.display(&pot).await.unwrap().shown(), 9);
    }
}
