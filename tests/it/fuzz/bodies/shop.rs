//! An open shop without a network, whose limits of requests are not met.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use optilock::inventory::{Inventory, OrderId, ReservationId, Reserve};
use storefront::{App, Settings, Shop};
use tokio::sync::{Mutex, watch};

use crate::support::{
    db::Db,
    goods::{add, cart, sku, units},
};

/// A product that is never sold out.
pub const PRODUCT: &str = "jug";

pub struct OpenShop {
    pub db: Db,
    /// Replaced before the administrator has used up the limit.
    pub shop: Mutex<Shop>,
    /// An order, and a reservation of the administrator's.
    pub order: OrderId,
    pub reservation: ReservationId,
    stop: watch::Sender<bool>,
    requests: AtomicU32,
}

impl OpenShop {
    pub async fn new() -> Self {
        let db = Db::empty().await;
        let (stop, stopped) = watch::channel(false);
        let shop = App::open(db.pool.clone(), Settings::default(), stopped)
            .await
            .unwrap();
        add(&shop.inventory, PRODUCT, 1_000_000_000).await;
        let order = shop
            .inventory
            .checkout(cart(&[(PRODUCT, 1)]))
            .await
            .unwrap();
        let held = Reserve::new([(sku(PRODUCT), units(1))]).unwrap();
        let held = held
            .with_customer("admin")
            .for_duration(Duration::from_secs(1_800));
        let reservation = shop.inventory.reserve(held).await.unwrap();
        Self {
            order: order.id,
            reservation: reservation.id,
            db,
            shop: Mutex::new(shop),
            stop,
            requests: AtomicU32::new(0),
        }
    }

    /// Returns the token of the next request.
    pub async fn next_token(&self, admin: bool) -> String {
        let number = self.requests.fetch_add(1, Relaxed);
        if !admin {
            // A shopper stays for a few requests: a cart that was filled is bought.
            return format!("demo-load-{}", number / 20 % 5_000 + 1);
        }
        if number % 90 == 89 {
            let pool = self.db.pool.clone();
            let next = App::open(pool, Settings::default(), self.stop.subscribe())
                .await
                .unwrap();
            *self.shop.lock().await = next;
        }
        "demo-admin".to_owned()
    }
}
