//! One contender at work.

use std::sync::Arc;

use optilock::{
    inventory::{
        BatchedInventory, Checkout, Inventory, Line, MemoryInventory, PgInventory, Quantity, Sku,
    },
    sqlx::PgPool,
};

use crate::{by_hand, fault::Fault, naive};

/// Sells one unit at a time to whoever asks.
#[derive(Clone, Debug)]
pub(crate) enum Seller {
    Naive(PgPool),
    ByHand(PgPool),
    Optilock(PgInventory),
    BatchedInventory(BatchedInventory),
    Memory(Arc<MemoryInventory>),
}

/// What a buyer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Sold,
    /// Sold out.
    Refused,
    /// Somebody else was faster, and nobody tried again.
    Conflict,
}

/// How hard it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) conflicts: u64,
    pub(crate) attempts_mean: f64,
    pub(crate) attempts_max: u32,
}

impl Seller {
    pub(crate) async fn buy(&self, sku: &Sku) -> Result<Answer, Fault> {
        match self {
            Self::Naive(pool) => naive::buy(pool, sku).await,
            Self::ByHand(pool) => by_hand::buy(pool, sku).await,
            Self::Optilock(inventory) => checkout(inventory, sku).await,
            Self::BatchedInventory(inventory) => checkout(inventory, sku).await,
            Self::Memory(inventory) => {
                // It never waits for anything, and would keep other buyers from their turn.
                tokio::task::yield_now().await;
                checkout(&**inventory, sku).await
            }
        }
    }

    /// Over all that it sold; what is written by hand tries once.
    pub(crate) fn effort(&self) -> Effort {
        let stats = match self {
            Self::Optilock(inventory) => Some(inventory.stats()),
            Self::BatchedInventory(inventory) => Some(inventory.inventory().stats()),
            Self::Naive(_) | Self::ByHand(_) | Self::Memory(_) => None,
        };
        match stats {
            Some(stats) => Effort {
                conflicts: stats.conflicts,
                attempts_mean: stats.attempts_mean(),
                attempts_max: stats.attempts_max,
            },
            None => Effort {
                conflicts: 0,
                attempts_mean: 1.0,
                attempts_max: 1,
            },
        }
    }
}

async fn checkout(inventory: &impl Inventory, sku: &Sku) -> Result<Answer, Fault> {
    let request = Checkout::new([Line::new(sku.clone(), Quantity::ONE)])?;
    match inventory.checkout(request).await {
        Ok(_) => Ok(Answer::Sold),
        Err(error) if error.is_insufficient_stock() => Ok(Answer::Refused),
        Err(error) if error.is_conflict() => Ok(Answer::Conflict),
        Err(error) => Err(error.into()),
    }
}
