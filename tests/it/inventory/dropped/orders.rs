//! Steps of an order.

use optilock::inventory::{ErrorKind, Inventory, ReturnRequest};

use super::OneConnection;
use crate::support::goods::{cart, sku, units};

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_step_of_an_order_leaves_a_clean_connection() {
    let one = OneConnection::with_products().await;
    let (shop, direct) = (&one.shop, &one.direct);
    let order = direct.checkout(cart(&[("pot", 5)])).await.unwrap().id;
    // A dropped step may have taken effect: the next one then starts from another state.
    one.drop_after_each_poll("cancel, revive, mark_payment_failed", || {
        Box::pin(async {
            for step in [
                shop.cancel(order, "test").await,
                shop.revive(order).await,
                shop.mark_payment_failed(order).await,
            ] {
                if let Err(refused) = step {
                    assert_eq!(refused.kind(), ErrorKind::InvalidOrderState, "{refused:?}");
                }
            }
        })
    })
    .await;
    direct.cancel(order, "test").await.unwrap();
    direct.revive(order).await.unwrap();
    one.drop_after_each_poll("mark_paid, return_items", || {
        let lines = [(sku("pot"), units(1))];
        let request = ReturnRequest::new(order, lines, "broken").unwrap();
        Box::pin(async {
            shop.mark_paid(order).await.map(drop).unwrap();
            // There are more polls than units to return.
            if let Err(refused) = shop.return_items(request).await {
                assert_eq!(refused.kind(), ErrorKind::ReturnExceedsOrder, "{refused:?}");
            }
        })
    })
    .await;
}
