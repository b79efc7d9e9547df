//! Reservations, in any inventory.

mod checkouts;
mod expired_holds;
mod expiry;
mod helpers;
mod protection;
mod requests;
mod storm;

use optilock::inventory::Inventory;

/// Asserts all rules.
pub async fn fulfil(shop: &dyn Inventory) {
    requests::fulfil(shop).await;
    checkouts::fulfil(shop).await;
    expiry::fulfil(shop).await;
    protection::fulfil(shop).await;
}
