//! A call takes effect once, whatever happens to its connection or to concurrent calls.

mod concurrent_calls;
mod late_messages;
mod lost_messages;
mod products;
mod round_trips;

use std::sync::Arc;

use optilock::inventory::{Checkout, Error, Inventory, Order, PgInventory, Strategy};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    support::db::{Db, assert_balanced, order_count},
    support::goods::{add, cart, stock_of},
    support::proxy::{Cut, Proxy},
};

/// A shop with one pot and one mug behind a proxy that cuts connections.
struct ProxiedShop {
    db: Db,
    proxy: Proxy,
    /// Sends its statements through the proxy.
    shop: PgInventory,
    /// Bypasses the proxy.
    direct: PgInventory,
    strategy: Strategy,
}

impl ProxiedShop {
    async fn new(strategy: Strategy) -> Self {
        let db = Db::new().await;
        let proxy = Proxy::new(&db).await;
        let shop = PgInventory::new(proxy.pool(4).await).with_strategy(strategy);
        let direct = stocked(&db, Strategy::Guarded).await;
        Self {
            db,
            proxy,
            shop,
            direct,
            strategy,
        }
    }

    /// Spawns a checkout through the proxy.
    fn spawn(&self, request: &Checkout) -> JoinHandle<Result<Order, Error>> {
        spawn_checkout(&self.shop, request)
    }

    /// Sets a trap for the next message with the order's id.
    fn trap(&self, request: &Checkout, cut: Cut) {
        self.proxy.trap(request.order_id().uuid().as_bytes(), cut);
    }

    /// Asserts the stock of pots, the number of orders, and the audit.
    async fn assert_left(&self, pots: i64, orders: i64) {
        let left = (
            stock_of(&self.direct, "pot").await,
            order_count(&self.db.pool).await,
        );
        assert_eq!(left, (pots, orders), "{:?}", self.strategy);
        assert_balanced(&self.db.pool).await;
    }
}

/// A message that arrives after its connection was cut: the signal that releases it, and the one that
/// it has arrived.
struct Late {
    release: Arc<Notify>,
    arrived: Arc<Notify>,
}

impl Late {
    fn new() -> Self {
        let (release, arrived) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        Self { release, arrived }
    }

    fn cut(&self) -> Cut {
        Cut::Late(self.release.clone(), self.arrived.clone())
    }

    async fn deliver(&self) {
        self.release.notify_one();
        self.arrived.notified().await;
    }
}

/// Creates an inventory with one pot and one mug.
async fn stocked(db: &Db, strategy: Strategy) -> PgInventory {
    let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
    add(&shop, "pot", 1).await;
    add(&shop, "mug", 1).await;
    shop
}

fn spawn_checkout(shop: &PgInventory, request: &Checkout) -> JoinHandle<Result<Order, Error>> {
    let (shop, request) = (shop.clone(), request.clone());
    tokio::spawn(async move { shop.checkout(request).await })
}

/// Carts of one line, of two lines, and with an idempotency key.
fn carts() -> [Checkout; 3] {
    [
        cart(&[("pot", 1)]),
        cart(&[("pot", 1), ("mug", 1)]),
        cart(&[("pot", 1)]).with_idempotency_key("click"),
    ]
}

/// Returns bytes that occur only in a statement that sells: the order's id and a customer that is NULL.
fn sale_of(request: &Checkout) -> Vec<u8> {
    [request.order_id().uuid().as_bytes(), [0xff; 4].as_slice()].concat()
}
