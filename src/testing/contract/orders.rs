//! The life of an order after its checkout, for any inventory.

mod cancellation;
mod keys;
mod lookups;
mod payment;
mod returns;

use crate::inventory::{Error, ErrorKind, Inventory, Order, OrderId, OrderStatus};

/// Asserts all rules.
pub(super) async fn fulfil(shop: &dyn Inventory) {
    payment::fulfil(shop).await;
    cancellation::fulfil(shop).await;
    returns::fulfil(shop).await;
    keys::fulfil(shop).await;
    lookups::fulfil(shop).await;
}

/// Asserts that a step was refused because the order has this status.
#[track_caller]
fn assert_status(answer: Result<Order, Error>, id: OrderId, status: OrderStatus) {
    match answer {
        Err(error) if error.kind() == ErrorKind::InvalidOrderState => {
            assert_eq!(error.to_string(), format!("order {id} is {status}"));
            assert_eq!(
                (error.http_status(), error.code()),
                (409, "invalid-order-state")
            );
        }
        other => panic!("{other:?}"),
    }
}
