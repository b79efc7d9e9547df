//! A product inventory with optimistic locking: products, checkouts, orders, reservations and a ledger.
//!
//! [`Inventory`] is the contract. [`PgInventory`] implements it on PostgreSQL, [`MemoryInventory`] in memory
//! with the same answers. A [`Checkout`] takes all of its lines or none, and takes effect exactly once, also
//! when the connection is lost during `COMMIT`.
//!
//! ```
//! use optilock::inventory::{Checkout, Inventory, Line, MemoryInventory, Money, NewProduct, Quantity, Sku, Stock};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), optilock::inventory::Error> {
//! let shop = MemoryInventory::new();
//! let pot = Sku::new("clay-pot")?;
//! let price = Money::new(45_000, "MXN".parse()?)?;
//! shop.add_product(NewProduct::new(pot.clone(), "Clay pot", price).with_stock(Stock::new(1)?)).await?;
//!
//! let order = shop.checkout(Checkout::new([Line::new(pot.clone(), Quantity::ONE)])?).await?;
//! assert_eq!(order.total, price);
//!
//! let late = shop.checkout(Checkout::new([Line::new(pot, Quantity::ONE)])?).await;
//! assert!(late.is_err_and(|error| error.is_insufficient_stock()));
//! # Ok(()) }
//! ```

mod api;
mod batch;
#[cfg(feature = "cache")]
#[cfg_attr(docsrs, doc(cfg(feature = "cache")))]
pub mod cache;
#[cfg(feature = "metrics")]
mod figures;
mod janitor;
pub mod layer;
mod memory;
mod model;
mod postgres;
#[cfg(feature = "axum")]
mod response;
mod statements;
mod traffic;

pub use api::Inventory;
#[doc(hidden)]
pub use batch::BATCH;
pub use batch::{BatchOptions, BatchedInventory, ShutdownTimedOut};
pub use janitor::Janitor;
pub use memory::MemoryInventory;
pub use model::{
    Adjustment, ArchivePosition, Archived, ArchivedLedger, ArchivedReturn, Audit, AuditPosition,
    AuditRange, BestSeller, BoxError, Checkout, Cleaned, Cleanup, ContendedProduct, Currency,
    Discrepancy, DiscrepancyKind, Error, ErrorKind, Exhausted, FeedPosition, HeldBy, Hold,
    HoldState, InvalidValue, Kpi, KpiKind, Line, Money, Movement, MovementFeed, MovementKind,
    NegativeStock, NewProduct, Order, OrderFilter, OrderId, OrderLine, OrderStatus, OrderStep,
    OutboxEntry, OutboxFeed, OutboxPosition, Page, PriceChange, Product, Quantity, Report,
    Reservation, ReservationId, Reserve, ReturnRequest, Shortage, Sku, Stock, UnpaidOrder,
};
#[doc(hidden)]
pub use postgres::SELL_ONE;
pub use postgres::{
    Accepted, Change, Dialect, MigrateError, OnAccepted, PgInventory, Refusals, Stats, Strategy,
    migrate, migrate_schema,
};
#[doc(hidden)]
pub use statements::{replacing, statements, statements_in};
