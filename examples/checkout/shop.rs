//! Where it is sold: the tables behind all contenders.

use std::sync::Arc;

use optilock::{
    inventory::{
        BatchOptions, BatchedInventory, Inventory, MemoryInventory, Money, NewProduct, PgInventory,
        Sku, Stock,
    },
    sqlx::{self, PgPool, postgres::PgConnectOptions},
};

use crate::{contender::Contender, fault::Fault, naive, seller::Seller};

/// A shop with one connection for each buyer, or one without a database.
#[derive(Clone, Debug)]
pub(crate) enum Shop {
    Postgres(PgPool),
    Memory(Arc<MemoryInventory>),
}

impl Shop {
    /// Opens all connections: a buyer who had to wait for theirs would miss the start.
    pub(crate) async fn open(options: PgConnectOptions, buyers: u32) -> Result<Self, Fault> {
        let pool = optilock::postgres::pool_options()
            .max_connections(buyers)
            .connect_with(options)
            .await?;
        let mut connections = Vec::new();
        for _ in 0..buyers {
            connections.push(pool.acquire().await?);
        }
        Ok(Self::Postgres(pool))
    }

    pub(crate) async fn close(self) {
        if let Self::Postgres(pool) = self {
            pool.close().await;
        }
    }

    pub(crate) fn inventory(&self) -> Arc<dyn Inventory> {
        match self {
            Self::Postgres(pool) => Arc::new(PgInventory::new(pool.clone())),
            Self::Memory(inventory) => Arc::clone(inventory) as Arc<dyn Inventory>,
        }
    }

    /// A seller whose effort starts from zero.
    pub(crate) fn seller(&self, contender: Contender) -> Seller {
        match (self, contender.strategy()) {
            (Self::Memory(inventory), _) => Seller::Memory(Arc::clone(inventory)),
            (Self::Postgres(pool), Some(strategy)) => {
                let inventory = PgInventory::new(pool.clone()).with_strategy(strategy);
                if contender == Contender::BatchedInventory {
                    Seller::BatchedInventory(BatchedInventory::new(inventory, BatchOptions::new()))
                } else {
                    Seller::Optilock(inventory)
                }
            }
            (Self::Postgres(pool), None) if contender == Contender::Naive => {
                Seller::Naive(pool.clone())
            }
            (Self::Postgres(pool), None) => Seller::ByHand(pool.clone()),
        }
    }

    /// Puts a product on the contender's shelf.
    pub(crate) async fn add_product(
        &self,
        contender: Contender,
        sku: &Sku,
        stock: Stock,
    ) -> Result<(), Fault> {
        match self {
            Self::Postgres(pool) if contender == Contender::Naive => {
                naive::add_product(pool, sku, stock).await
            }
            _ => {
                let price = Money::new(45_000, "MXN".parse()?)?;
                let pot = NewProduct::new(sku.clone(), "Clay pot", price).with_stock(stock);
                self.inventory().add_product(pot).await?;
                Ok(())
            }
        }
    }

    /// Units of these products that went into orders, by the tables and not by what buyers were told.
    pub(crate) async fn sold(&self, contender: Contender, skus: &[Sku]) -> Result<i64, Fault> {
        let names: Vec<&str> = skus.iter().map(Sku::as_str).collect();
        match self {
            Self::Postgres(pool) if contender == Contender::Naive => {
                naive::sold(pool, &names).await
            }
            Self::Postgres(pool) => Ok(sqlx::query_scalar(
                "SELECT coalesce(sum(quantity), 0)::bigint FROM optilock.order_lines WHERE sku = ANY($1)",
            )
            .bind(names)
            .fetch_one(pool)
            .await?),
            Self::Memory(inventory) => {
                let products = inventory.products_of(skus).await?;
                // One version for each sale, and one for being added.
                Ok(products.iter().map(|product| product.version.get() - 1).sum())
            }
        }
    }
}
