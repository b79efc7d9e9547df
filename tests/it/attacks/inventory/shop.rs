//! The inventory that an operation runs on: a `PgInventory` and the layers in front of it.

use std::{ops::Deref, sync::Arc};

use optilock::{
    RetryPolicy,
    cache::CachedStock,
    inventory::{BatchOptions, BatchedInventory, Inventory, PgInventory, Sku},
    sqlx::PgPool,
};

use super::{Layer, Variant, operations::Special};
use crate::support::idle_hook::IdleHook;

/// A cache in front of an inventory of any type.
pub type Cache = CachedStock<Arc<dyn Inventory>>;

/// An inventory of a layer. Its pointer leads to the outermost layer.
pub struct Shop {
    pub pg: PgInventory,
    pub pool: PgPool,
    pub front: Arc<dyn Inventory>,
    pub cache: Option<Arc<Cache>>,
}

impl Deref for Shop {
    type Target = dyn Inventory;

    fn deref(&self) -> &Self::Target {
        &*self.front
    }
}

impl Shop {
    pub fn new(pg: PgInventory, pool: PgPool, layer: Layer) -> Self {
        let behind: Arc<dyn Inventory> = if layer.is_batched() {
            Arc::new(batched(&pg))
        } else {
            Arc::new(pg.clone())
        };
        let cache = layer
            .is_cached()
            .then(|| Arc::new(CachedStock::new(Arc::clone(&behind))));
        let front = match &cache {
            Some(cache) => Arc::clone(cache) as Arc<dyn Inventory>,
            None => behind,
        };
        Self {
            pg,
            pool,
            front,
            cache,
        }
    }

    /// Returns the inventory of the variant, with what its row asks for.
    pub fn of(variant: &Variant, pool: &PgPool, policy: RetryPolicy) -> Self {
        let mut pg = PgInventory::new(pool.clone())
            .with_policy(policy)
            .with_strategy(variant.strategy);
        if variant.operation.is(Special::WithOutbox) {
            pg = pg.with_outbox();
        }
        if variant.operation.is(Special::WithHook) {
            pg = pg.with_hook(Arc::new(IdleHook));
        }
        Self::new(pg, pool.clone(), variant.layer)
    }

    /// Fills the cache with the stock from before the operation.
    pub async fn view(&self, skus: [Sku; 2]) {
        if let Some(cache) = &self.cache {
            for sku in skus {
                // A product that does not exist yet, or a server that fails, leaves nothing to display.
                let _seen = cache.display(&sku).await;
            }
        }
    }
}

/// Returns an inventory that writes every request by the statements of batches.
pub fn batched(pg: &PgInventory) -> BatchedInventory {
    BatchedInventory::new(pg.clone(), BatchOptions::new().always())
}
