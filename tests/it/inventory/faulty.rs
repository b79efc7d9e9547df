//! An inventory whose calls meet faults.

use std::time::Duration;

use optilock::{
    RetryPolicy,
    inventory::{Error, Inventory, MemoryInventory, OrderStatus},
    testing::{Fault, FaultyInventory},
    with_retry,
};

use crate::support::goods::{add, cart, sku, stock_of};

async fn shop() -> FaultyInventory<MemoryInventory> {
    let shop = FaultyInventory::new(MemoryInventory::new());
    add(&shop, "pot", 5).await;
    shop
}

#[tokio::test]
async fn a_refused_call_changes_nothing() {
    let shop = shop().await;
    for (number, (fault, code, unknown)) in [
        (Fault::conflict(), "conflict", false),
        (Fault::busy(Duration::from_secs(2)), "busy", false),
        (Fault::unknown(), "unknown-outcome", true),
        (
            Fault::refused(|| Error::product_paused(sku("pot"))),
            "product-paused",
            false,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        shop.faults().at_call("checkout", number as u32 + 1, fault);
        let request = cart(&[("pot", 1)]);
        let refused = shop.checkout(request.clone()).await.unwrap_err();
        assert_eq!((refused.code(), refused.is_unknown()), (code, unknown));
        assert_eq!(stock_of(&shop, "pot").await, 5);
        assert!(
            shop.order(request.order_id())
                .await
                .unwrap_err()
                .is_not_found()
        );
    }
}

/// What a host tests: its own handling of an unknown outcome.
#[tokio::test]
async fn a_repeated_request_after_an_unknown_outcome_sells_once() {
    let shop = shop().await;
    shop.faults()
        .at_call("checkout", 1, Fault::unknown_but_done());
    let request = cart(&[("pot", 2)]);
    let unknown = shop.checkout(request.clone()).await.unwrap_err();
    assert!(unknown.is_unknown() && unknown.http_status() == 503);
    let order = shop.checkout(request).await.unwrap();
    assert!(order.replayed);
    assert_eq!(stock_of(&shop, "pot").await, 3);
    assert!(shop.audit().await.unwrap().is_clean());
}

#[tokio::test(start_paused = true)]
async fn conflicts_are_retried_and_unknown_outcomes_are_not() {
    let shop = shop().await;
    shop.faults()
        .at_call("count_stock", 1, Fault::conflict())
        .at_call("count_stock", 2, Fault::busy(Duration::from_millis(1)));
    let count = async || {
        with_retry(&RetryPolicy::new(), async |_| {
            let pot = shop.product(&sku("pot")).await?;
            shop.count_stock(&pot.sku, pot.version, pot.stock, "count")
                .await
        })
        .await
    };
    count().await.unwrap();
    assert_eq!(shop.faults().calls("count_stock"), 3);
    shop.faults().at_call("count_stock", 4, Fault::unknown());
    assert!(count().await.unwrap_err().error.is_unknown());
    assert_eq!(shop.faults().calls("count_stock"), 4);
}

#[tokio::test]
async fn every_step_of_an_order_is_a_call_of_step() {
    let shop = shop().await;
    let order = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    shop.faults().at_call("step", 1, Fault::conflict());
    assert!(shop.mark_paid(order.id).await.unwrap_err().is_conflict());
    let paid = shop.mark_paid(order.id).await.unwrap();
    assert_eq!(paid.status, OrderStatus::Paid);
    assert_eq!(shop.faults().calls("step"), 2);
}

#[tokio::test]
#[should_panic(expected = "mark_paid is no operation; these are: add_product, ")]
async fn an_unknown_operation_is_refused() {
    shop().await.faults().always("mark_paid", Fault::conflict());
}
