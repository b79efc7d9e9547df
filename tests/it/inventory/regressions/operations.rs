//! A list of operations that write, and what they work on.

use std::time::Duration;

use optilock::inventory::{
    Adjustment, Error, Inventory, OrderId, PgInventory, Product, ReservationId, Reserve,
    ReturnRequest, Sku,
};

use crate::support::goods::{add, cart, new_product, sku, stock, units};

pub const OPERATIONS: [&str; 17] = [
    "mark_paid",
    "mark_payment_failed",
    "cancel",
    "revive",
    "return_items",
    "reserve",
    "extend",
    "release",
    "adjust_stock",
    "add_product",
    "count_stock",
    "update_product",
    "retire_product",
    "pause",
    "resume",
    "checkout",
    "cleanup_failed_orders",
];

/// Two products, orders of them in three states, and a reservation.
pub struct Targets {
    pot: Product,
    mug: Product,
    /// The product that `add_product` adds.
    new: Sku,
    pending: OrderId,
    cancelled: OrderId,
    paid: OrderId,
    reservation: ReservationId,
}

impl Targets {
    /// Stores them; the products' names end with `suffix`.
    pub async fn store(shop: &PgInventory, suffix: &str) -> Self {
        let [pot, mug] = ["pot", "mug"].map(|name| format!("{name}{suffix}"));
        add(shop, &pot, 50).await;
        add(shop, &mug, 50).await;
        let one_of_each = || cart(&[(&pot, 1), (&mug, 1)]);
        let pending = shop.checkout(one_of_each()).await.unwrap().id;
        let cancelled = shop.checkout(one_of_each()).await.unwrap().id;
        shop.cancel(cancelled, "cancelled").await.unwrap();
        let paid = shop.checkout(one_of_each()).await.unwrap().id;
        shop.mark_paid(paid).await.unwrap();
        let request = Reserve::new([(sku(&pot), units(2))]).unwrap();
        let reservation = shop.reserve(request).await.unwrap().id;
        Self {
            pot: shop.product(&sku(&pot)).await.unwrap(),
            mug: shop.product(&sku(&mug)).await.unwrap(),
            new: sku(&format!("new{suffix}")),
            pending,
            cancelled,
            paid,
            reservation,
        }
    }

    /// Runs one of the operations.
    pub async fn run(&self, operation: &str, shop: &PgInventory) -> Result<(), Error> {
        let (pot, mug) = (&self.pot.sku, &self.mug.sku);
        match operation {
            "mark_paid" => shop.mark_paid(self.pending).await.map(drop),
            "mark_payment_failed" => shop.mark_payment_failed(self.pending).await.map(drop),
            "cancel" => shop.cancel(self.pending, "unwanted").await.map(drop),
            "revive" => shop.revive(self.cancelled).await.map(drop),
            "return_items" => {
                let lines = [(pot.clone(), units(1))];
                let request = ReturnRequest::new(self.paid, lines, "chipped").unwrap();
                shop.return_items(request).await.map(drop)
            }
            "reserve" => {
                let request = Reserve::new([(pot.clone(), units(1))]).unwrap();
                shop.reserve(request).await.map(drop)
            }
            "extend" => {
                let duration = Duration::from_secs(7_200);
                shop.extend(self.reservation, duration).await.map(drop)
            }
            "release" => shop.release(self.reservation).await,
            "adjust_stock" => {
                let adjustment = Adjustment::new(pot.clone(), 3, "found").unwrap();
                shop.adjust_stock(adjustment).await.map(drop)
            }
            "add_product" => {
                let product = new_product(self.new.as_str(), 3);
                shop.add_product(product).await.map(drop)
            }
            "count_stock" => shop
                .count_stock(pot, self.pot.version, stock(33), "counted")
                .await
                .map(drop),
            "update_product" => {
                let mut pot = shop.product(pot).await?;
                pot.name = "Another".to_owned();
                shop.update_product(&pot).await.map(drop)
            }
            "retire_product" => shop.retire_product(mug, self.mug.version).await,
            "pause" => shop.pause(pot).await.map(drop),
            "resume" => shop.resume(mug).await.map(drop),
            "checkout" => {
                let cart = cart(&[(pot.as_str(), 1), (mug.as_str(), 1)]);
                shop.checkout(cart).await.map(drop)
            }
            "cleanup_failed_orders" => shop.cleanup_failed_orders(Duration::ZERO).await.map(drop),
            _ => unreachable!(),
        }
    }
}
