//! The shop: the products that all methods sell.

use std::{sync::Arc, time::Duration};

use optilock::{
    inventory::{
        BatchOptions, BatchedInventory, Inventory, MemoryInventory, Money, NewProduct, PgInventory,
        Sku, Stock,
    },
    sqlx::{self, PgPool, postgres::PgConnectOptions},
};

use crate::{
    error::BoxError,
    method::Method,
    naive,
    seller::{Deal, Seller},
};

/// How long a buyer waits for a connection that others share, in place of the 3 s of a shop: a method that is slow
/// on a busy machine is to be shown.
const SHARED: Duration = Duration::from_secs(60);

/// A database with one connection per buyer, or an inventory in memory.
#[derive(Clone, Debug)]
pub(crate) enum Shop {
    Postgres(PgPool),
    Memory(Arc<MemoryInventory>),
}

impl Shop {
    /// Opens all connections before the start, so that no buyer waits for one.
    pub(crate) async fn open(options: PgConnectOptions, buyers: u32) -> Result<Self, BoxError> {
        let pool = optilock::postgres::pool_options()
            .max_connections(buyers)
            .acquire_timeout(SHARED)
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

    /// Returns a seller whose counters start from zero.
    pub(crate) fn seller(&self, method: Method) -> Seller {
        match (self, method.strategy()) {
            (Self::Memory(inventory), _) => Seller::Memory(Arc::clone(inventory)),
            (Self::Postgres(pool), Some(strategy)) => {
                let inventory = PgInventory::new(pool.clone()).with_strategy(strategy);
                if method == Method::Batched {
                    Seller::Batched(BatchedInventory::new(inventory, BatchOptions::new()))
                } else {
                    Seller::Optilock(inventory)
                }
            }
            (Self::Postgres(pool), None) if method == Method::Naive => Seller::Naive(pool.clone()),
            (Self::Postgres(pool), None) => Seller::ByHand(pool.clone()),
        }
    }

    /// Adds a product to the tables that the method uses.
    pub(crate) async fn add_product(
        &self,
        method: Method,
        sku: &Sku,
        stock: Stock,
    ) -> Result<(), BoxError> {
        match self {
            Self::Postgres(pool) if method == Method::Naive => {
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

    /// Returns the number of units in orders of these products, as the tables have it; after whole sales, in paid
    /// orders.
    pub(crate) async fn sold(
        &self,
        method: Method,
        deal: Deal,
        skus: &[Sku],
    ) -> Result<i64, BoxError> {
        let names: Vec<&str> = skus.iter().map(Sku::as_str).collect();
        match self {
            Self::Postgres(pool) if method == Method::Naive => naive::sold(pool, &names).await,
            Self::Postgres(pool) => Ok(sqlx::query_scalar(
                "SELECT coalesce(sum(l.quantity), 0)::bigint
                 FROM optilock.order_lines l JOIN optilock.orders o ON o.id = l.order_id
                 WHERE l.sku = ANY($1) AND (o.status = 2) = $2",
            )
            .bind(names)
            .bind(deal == Deal::Sale)
            .fetch_one(pool)
            .await?),
            Self::Memory(inventory) => {
                let products = inventory.products_of(skus).await?;
                // Each reservation and each checkout increments the version, which starts at 1.
                let changes: i64 = products
                    .iter()
                    .map(|product| product.version.get() - 1)
                    .sum();
                Ok(match deal {
                    Deal::Checkout => changes,
                    Deal::Sale => changes / 2,
                })
            }
        }
    }
}
