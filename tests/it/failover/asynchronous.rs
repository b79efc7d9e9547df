//! A failover to an asynchronous standby, which may lack acknowledged orders.

use std::collections::HashSet;

use optilock::inventory::{Checkout, Inventory, OrderId, PgInventory};
use support::Crash;

use super::{buyers::stored, pair::Pair};
use crate::{
    attacks::inventory::balances,
    support::goods::{add, cart, stock_of},
};

/// Exactly the orders are lost that the standby had not received, and the same requests sell again.
#[tokio::test(flavor = "multi_thread")]
async fn a_failover_loses_what_the_standby_had_not_received() {
    let mut pair = Pair::asynchronous().await;
    let shop = PgInventory::new(pair.proxy.pool(4).await);
    add(&PgInventory::new(pair.on_primary.clone()), "pot", 100).await;
    let received = buy(&shop, 5).await;
    pair.catch_up().await;
    pair.stop_receiving().await;
    let lost = buy(&shop, 7).await;
    pair.fail_over(Crash::Kill).await;

    let ids = |requests: &[Checkout]| -> HashSet<OrderId> {
        requests.iter().map(Checkout::order_id).collect()
    };
    assert_eq!(stored(&pair.on_standby).await, ids(&received));
    balances::assert_balanced(&pair.on_standby, "after the failover").await;
    for request in received.iter().chain(&lost) {
        let order = shop.checkout(request.clone()).await.unwrap();
        assert_eq!(order.id, request.order_id());
        assert_eq!(order.replayed, received.contains(request));
    }
    assert_eq!(stock_of(&shop, "pot").await, 100 - 12);
    balances::assert_balanced(&pair.on_standby, "after all were sent again").await;
}

async fn buy(shop: &PgInventory, orders: usize) -> Vec<Checkout> {
    let mut requests = Vec::new();
    for _ in 0..orders {
        let request = cart(&[("pot", 1)]);
        let order = shop.checkout(request.clone()).await.unwrap();
        assert!(!order.replayed);
        requests.push(request);
    }
    requests
}
