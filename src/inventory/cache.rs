//! A cache of stock for display.
//!
//! A shop shows stock on every page view, and the number is out of date when it is read. [`CachedStock`] asks
//! the inventory at most once per product and half a minute, for any number of concurrent viewers, and once per
//! second while the inventory fails. It decides no sale: [`checkout`](crate::inventory::Inventory::checkout)
//! never reads the cache.

mod displayed;
mod epochs;
mod inventory;
mod slot;
mod stock;

pub use displayed::DisplayedStock;
pub use stock::CachedStock;
