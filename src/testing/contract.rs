//! The contract that every inventory fulfils.

#![expect(clippy::unwrap_used, reason = "a clause that is not fulfilled panics")]

mod bad_input;
mod checkout;
mod cleanup;
mod expectations;
mod goods;
mod orders;
mod products;
mod reservations;
mod stock;

use crate::inventory::Inventory;

/// Checks that an inventory fulfils the contract of [`Inventory`]: an implementation of a host's own, or a layer in
/// front of another one. [`PgInventory`](crate::inventory::PgInventory) with each strategy,
/// [`BatchedInventory`](crate::inventory::BatchedInventory) and
/// [`MemoryInventory`](crate::inventory::MemoryInventory) are tested by it.
///
/// The inventory must be empty, and no other caller may use it. Products, orders and reservations remain in it.
///
/// ```
/// use optilock::{inventory::MemoryInventory, testing::fulfils_contract};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// fulfils_contract(&MemoryInventory::new()).await;
/// # }
/// ```
///
/// # Panics
///
/// At the first clause that is not fulfilled, with what was expected and found.
pub async fn fulfils_contract(shop: &dyn Inventory) {
    products::fulfil(shop).await;
    stock::fulfil(shop).await;
    checkout::fulfil(shop).await;
    expectations::fulfil(shop).await;
    cleanup::fulfil(shop).await;
    orders::fulfil(shop).await;
    reservations::fulfil(shop).await;
    bad_input::fulfil(shop).await;
}
