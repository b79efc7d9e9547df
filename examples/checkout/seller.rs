//! The seller: one method with its connection pool and counters.

use std::sync::Arc;

use optilock::{
    inventory::{
        BatchedInventory, Checkout, Error, Inventory, Line, MemoryInventory, PgInventory, Quantity,
        Reserve, Sku,
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

/// What a buyer makes again and again, for one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deal {
    /// A checkout.
    Checkout,
    /// A whole sale: a reservation, a checkout from it, and its payment.
    Sale,
}

/// The outcome of one deal.
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
    pub(crate) async fn make(&self, deal: Deal, sku: &Sku) -> Result<Outcome, BoxError> {
        match (self, deal) {
            // The other tables have neither reservations nor payments.
            (Self::Naive(pool), _) => naive::buy(pool, sku).await,
            (Self::ByHand(pool), Deal::Checkout) => by_hand::buy(pool, sku).await,
            (Self::ByHand(pool), Deal::Sale) => by_hand::sell(pool, sku).await,
            (Self::Optilock(inventory), _) => make(deal, inventory, sku).await,
            (Self::Batched(inventory), _) => make(deal, inventory, sku).await,
            (Self::Memory(inventory), _) => {
                // An operation in memory never waits: without this, other buyers would starve.
                tokio::task::yield_now().await;
                make(deal, &**inventory, sku).await
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

async fn make(deal: Deal, inventory: &dyn Inventory, sku: &Sku) -> Result<Outcome, BoxError> {
    let made = match deal {
        Deal::Checkout => checkout(inventory, sku).await,
        Deal::Sale => sell(inventory, sku).await,
    };
    match made {
        Ok(()) => Ok(Outcome::Sold),
        Err(error) if error.is_insufficient_stock() => Ok(Outcome::Refused),
        Err(error) if error.is_conflict() => Ok(Outcome::Conflict),
        Err(error) => Err(error.into()),
    }
}

async fn checkout(inventory: &dyn Inventory, sku: &Sku) -> Result<(), Error> {
    let request = Checkout::new([Line::new(sku.clone(), Quantity::ONE)])?;
    inventory.checkout(request).await.map(drop)
}

async fn sell(inventory: &dyn Inventory, sku: &Sku) -> Result<(), Error> {
    let request = Reserve::new([(sku.clone(), Quantity::ONE)])?;
    let reservation = inventory.reserve(request).await?;
    let request = Checkout::new([Line::new(sku.clone(), Quantity::ONE)])?;
    let request = request.with_reservation(reservation.id);
    let order = inventory.checkout(request).await?;
    inventory.mark_paid(order.id).await.map(drop)
}
