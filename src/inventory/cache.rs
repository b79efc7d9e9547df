//! Stock as it is shown to shoppers, kept for half a minute.
//!
//! Every page view would ask the database what a product has left, and the answer is old before it is
//! read. [`CachedStock`] asks once per product and half a minute, however many ask at once, and once a
//! second while the inventory fails. It decides nothing: a sale is decided by
//! [`checkout`](crate::inventory::Inventory::checkout), which never looks here.

mod displayed;
mod epochs;
mod inventory;
mod slot;
mod stock;

pub use displayed::DisplayedStock;
pub use stock::CachedStock;
