//! Reservations.

mod checkouts;
mod expiry;
mod helpers;
mod protection;
mod requests;

use crate::inventory::Inventory;

/// Checks every clause of these files.
pub(super) async fn fulfil(shop: &dyn Inventory) {
    requests::fulfil(shop).await;
    checkouts::fulfil(shop).await;
    expiry::fulfil(shop).await;
    protection::fulfil(shop).await;
}
