//! The inventory of a client process, in one of its forms, and the rows of the host's own.

use std::{fmt, sync::Arc, time::Duration};

use optilock::{
    RetryPolicy,
    inventory::{BatchOptions, BatchedInventory, Inventory, PgInventory, Strategy},
    postgres::{PgRepository, pool_options},
    sqlx::PgPool,
};

use crate::{BoxError, goods::Account};

/// Ends each operation within a few seconds, so that faults show in its answer.
pub(super) const POLICY: RetryPolicy = RetryPolicy::new()
    .with_max_attempts(6)
    .with_deadline(Some(Duration::from_secs(2)));

#[derive(Clone)]
pub(super) struct Shop {
    pub(super) inventory: Arc<dyn Inventory>,
    pub(super) accounts: PgRepository<Account>,
    pub(super) pool: PgPool,
    batched: Option<BatchedInventory>,
}

impl Shop {
    /// Opens a pool of 2 to 8 connections. The number of the process decides the form of the inventory.
    pub(super) fn open(url: &str, number: u32, seed: u64) -> Result<Self, BoxError> {
        let connections = 2 + u32::try_from(seed % 7)?;
        let pool = pool_options()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(2))
            .connect_lazy(url)?;
        let plain = PgInventory::new(pool.clone())
            .with_policy(POLICY)
            .with_outbox();
        let batched = |inventory: PgInventory| {
            let options = BatchOptions::new().with_time_limit(Duration::from_secs(2));
            BatchedInventory::new(inventory, options)
        };
        let (inventory, batched): (Arc<dyn Inventory>, _) = match number % 5 {
            0 => (Arc::new(plain.with_strategy(Strategy::Guarded)), None),
            1 => {
                let shop = batched(plain);
                (Arc::new(shop.clone()), Some(shop))
            }
            2 => (Arc::new(plain.with_strategy(Strategy::Optimistic)), None),
            3 => {
                let shop = batched(plain.with_connection_reuse());
                (Arc::new(shop.clone()), Some(shop))
            }
            _ => (Arc::new(plain.with_strategy(Strategy::Pessimistic)), None),
        };
        Ok(Self {
            inventory,
            accounts: PgRepository::new(pool.clone()),
            pool,
            batched,
        })
    }

    pub(super) async fn close(&self) {
        if let Some(batched) = &self.batched {
            // No call is open: there is nothing that a limit could cut.
            let _ = batched.shutdown(Duration::from_secs(5)).await;
        }
        self.pool.close().await;
    }
}

impl fmt::Debug for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shop").finish_non_exhaustive()
    }
}
