//! The seller: one method with its connection pool and counters.

use std::sync::Arc;

use optilock::{
    inventory::{
        BatchedInventory, Checkout, Inventory, Line, MemoryInventory, PgInventory, Quantity, Sku,
    },
    sqlx::PgPool,
};

use crate::{by_hand, error::BoxError, naive};

/// Sells one unit per call.
#[derive(Clone, Debug)]
pub(crate) enum Seller {
    Naive(PgPool),
    ByHand(PgPool),
    Optilock(PgInventory),
    Batched(BatchedInventory),
    Memory(Arc<MemoryInventory>),
}

/// The outcome of one checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Sold,
    /// Sold out.
    Refused,
    /// Lost to a concurrent write and not retried.
    Conflict,
}

/// Conflicts and attempts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    pub(crate) conflicts: u64,
    pub(crate) attempts_mean: f64,
    pub(crate) attempts_max: u32,
}

impl Seller {
    pub(crate) async fn buy(&self, sku: &Sku) -> Result<Outcome, BoxError> {
        match self {
            Self::Naive(pool) => naive::buy(pool, sku).await,
            Self::ByHand(pool) => by_hand::buy(pool, sku).await,
            Self::Optilock(inventory) => checkout(inventory, sku).await,
            Self::Batched(inventory) => checkout(inventory, sku).await,
            Self::Memory(inventory) => {
                // A checkout in memory never waits: without this, other buyers would starve.
                tokio::task::yield_now().await;
                checkout(&**inventory, sku).await
            }
        }
    }

    /// Returns the counters over all sales of this seller. Handwritten methods make one attempt.
    pub(crate) fn counters(&self) -> Counters {
        let stats = match self {
            Self::Optilock(inventory) => Some(inventory.stats()),
            Self::Batched(inventory) => Some(inventory.inventory().stats()),
            Self::Naive(_) | Self::ByHand(_) | Self::Memory(_) => None,
        };
        match stats {
            Some(stats) => Counters {
                conflicts: stats.conflicts,
                attempts_mean: stats.attempts_mean(),
                attempts_max: stats.attempts_max,
            },
            None => Counters {
                conflicts: 0,
                attempts_mean: 1.0,
                attempts_max: 1,
            },
        }
    }
}

async fn checkout(inventory: &impl Inventory, sku: &Sku) -> Result<Outcome, BoxError> {
    let request = Checkout::new([Line::new(sku.clone(), Quantity::ONE)])?;
    match inventory.checkout(request).await {
        Ok(_) => Ok(Outcome::Sold),
        Err(error) if error.is_insufficient_stock() => Ok(Outcome::Refused),
        Err(error) if error.is_conflict() => Ok(Outcome::Conflict),
        Err(error) => Err(error.into()),
    }
}
