//! Faults on command, to test how a program handles conflicts, busy databases and unknown outcomes.
//!
//! No database runs: [`FaultyInventory`] is a layer in front of any inventory, such as
//! [`MemoryInventory`](crate::inventory::MemoryInventory), and [`MemoryRows`] keeps versioned rows. Both ask a
//! script of [`Faults`] before each call. The faults come at the calls that the script names, or at random by a
//! seed. [`fulfils_contract`] checks an inventory of a host's own.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use optilock::{
//!     inventory::{Checkout, Inventory, Line, MemoryInventory, Money, NewProduct, Quantity, Sku, Stock},
//!     testing::{Fault, FaultyInventory},
//! };
//!
//! /// The code under test: the status and the header `Retry-After` of a checkout.
//! async fn checkout(shop: &dyn Inventory, request: &Checkout) -> (u16, Option<Duration>) {
//!     match shop.checkout(request.clone()).await {
//!         Ok(_) => (201, None),
//!         Err(error) => (error.http_status(), error.retry_after()),
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let shop = FaultyInventory::new(MemoryInventory::new());
//! let (pot, price) = (Sku::new("pot").unwrap(), Money::new(2_500, "MXN".parse().unwrap()).unwrap());
//! let product = NewProduct::new(pot.clone(), "Pot", price).with_stock(Stock::new(5).unwrap());
//! shop.add_product(product).await.unwrap();
//! let request = Checkout::new([Line::new(pot.clone(), Quantity::new(1).unwrap())]).unwrap();
//!
//! let second = Duration::from_secs(1);
//! shop.faults()
//!     .at_call("checkout", 1, Fault::conflict())
//!     .at_call("checkout", 2, Fault::busy(second))
//!     .at_call("checkout", 3, Fault::unknown_but_done());
//! assert_eq!(checkout(&shop, &request).await, (409, None));
//! assert_eq!(checkout(&shop, &request).await, (503, Some(second)));
//! // The order was made, and the answer was lost.
//! assert_eq!(checkout(&shop, &request).await, (503, None));
//! // The same request returns the order: nothing is sold twice.
//! assert_eq!(checkout(&shop, &request).await, (201, None));
//! assert_eq!(shop.product(&pot).await.unwrap().stock.get(), 4);
//! assert_eq!(shop.faults().met(), 3);
//! # }
//! ```

#[cfg(feature = "inventory")]
mod contract;
mod fault;
mod faults;
#[cfg(feature = "inventory")]
mod inventory;
#[cfg(feature = "postgres")]
mod rows;

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
pub use contract::fulfils_contract;
pub use fault::{Fault, Simulated};
pub use faults::Faults;
#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
pub use inventory::FaultyInventory;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use rows::MemoryRows;
