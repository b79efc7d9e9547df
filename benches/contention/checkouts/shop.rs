//! The inventories behind all methods, over one pool.

use optilock::{
    inventory::{
        BatchOptions, BatchedInventory, Checkout, Inventory, Line, OrderId, PgInventory, Quantity,
        Sku, Strategy,
    },
    sqlx::{PgPool, postgres::PgConnectOptions},
};
use support::by_hand;
use uuid::Uuid;

use super::method::Method;
use crate::pool::{self, CONNECTIONS};

pub(super) struct Shop {
    pub(super) pool: PgPool,
    pub(super) inventory: PgInventory,
    pub(super) batched: BatchedInventory,
}

impl Shop {
    pub(super) async fn open(options: PgConnectOptions) -> Self {
        let pool = pool::open(options, CONNECTIONS).await;
        let inventory = PgInventory::new(pool.clone());
        Self {
            pool,
            batched: BatchedInventory::new(inventory.clone(), BatchOptions::new()),
            inventory,
        }
    }

    /// Buys one unit, with a customer and an idempotency key.
    pub(super) async fn buy(&self, method: Method, sku: &Sku) {
        let key = Uuid::now_v7().to_string();
        if method == Method::ByHand {
            let customer = Some(("buyer", key.as_str()));
            let id = OrderId::new().uuid();
            let bought = by_hand::order(&self.pool, id, sku.as_str(), customer).await;
            assert!(bought.expect("the checkout succeeds"), "there is stock");
            return;
        }
        let line = Line::new(sku.clone(), Quantity::ONE);
        let request = Checkout::new([line]).expect("a valid cart");
        let request = request.with_customer("buyer").with_idempotency_key(key);
        let by = |strategy| self.inventory.clone().with_strategy(strategy);
        let order = match method {
            Method::Optimistic => by(Strategy::Optimistic).checkout(request).await,
            Method::Pessimistic => by(Strategy::Pessimistic).checkout(request).await,
            Method::Batched => self.batched.checkout(request).await,
            Method::Guarded | Method::ByHand => self.inventory.checkout(request).await,
        };
        order.expect("there is stock, and conflicts are retried");
    }
}
