//! A product inventory in which nobody's purchase takes another's stock.
//!
//! [`Inventory`] is what a shop asks of it; [`PgInventory`] keeps it on PostgreSQL,
//! [`MemoryInventory`] in memory with the same answers. A [`Checkout`] takes all of its lines or
//! none, and takes effect exactly once, also when the connection dies during `COMMIT`.
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

mod adjustment;
mod audit;
mod checkout;
mod cleanup;
mod error;
mod feed;
mod forward;
mod goods_return;
mod id;
mod janitor;
mod latency;
mod line;
mod memory;
mod money;
mod movement;
mod order;
mod order_step;
mod page;
mod postgres;
mod product;
mod quantity;
mod report;
mod reservation;
#[cfg(feature = "serde")]
mod serde;
mod shortage;
mod sku;
mod store;
mod traffic;

pub use adjustment::Adjustment;
pub use audit::{Audit, Discrepancy, DiscrepancyKind};
pub use checkout::Checkout;
pub use cleanup::Cleanup;
pub use error::Error;
pub use feed::{FeedPosition, MovementFeed};
pub use goods_return::Return;
pub use id::{OrderId, ReservationId};
pub use janitor::{Janitor, Tidied};
pub use line::Line;
pub use memory::MemoryInventory;
pub use money::{Currency, Money};
pub use movement::{Movement, MovementKind};
pub use order::{Order, OrderFilter, OrderLine, OrderStatus};
pub use order_step::OrderStep;
pub use page::Page;
pub use postgres::{
    Accepted, BoxError, Change, CombineOptions, Combined, MigrateError, OnAccepted, PgInventory,
    Stats, Strategy, migrate,
};
#[doc(hidden)]
pub use postgres::{BATCH, SELL_ONE};
pub use product::{NewProduct, Product};
pub use quantity::{Quantity, Stock};
pub use report::{BestSeller, ContendedProduct, Kpi, KpiKind, NegativeStock, Report, UnpaidOrder};
pub use reservation::{Hold, HoldState, Reservation, Reserve};
pub use shortage::Shortage;
pub use sku::Sku;
pub use store::Inventory;
