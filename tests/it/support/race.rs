//! Checkouts that are sent at the same moment.

use std::sync::Arc;

use optilock::inventory::{Checkout, Error, Inventory, Order};
use tokio::{sync::Barrier, task::JoinSet};

/// Sends all requests at the same moment and returns their answers.
pub async fn race<I: Inventory + Clone + 'static>(
    shop: &I,
    requests: Vec<Checkout>,
) -> Vec<Result<Order, Error>> {
    let start = Arc::new(Barrier::new(requests.len()));
    let mut buyers = JoinSet::new();
    for request in requests {
        let (shop, start) = (shop.clone(), start.clone());
        buyers.spawn(async move {
            start.wait().await;
            shop.checkout(request).await
        });
    }
    buyers.join_all().await
}

/// Returns the request with a new order id.
pub fn fresh(request: Checkout) -> Checkout {
    request.with_order_id(optilock::inventory::OrderId::new())
}
