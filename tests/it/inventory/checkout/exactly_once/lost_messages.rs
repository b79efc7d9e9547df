//! Messages that are lost before or after they reach the server.

use optilock::{
    RetryPolicy,
    inventory::{Inventory, Strategy},
};

use super::{ProxiedShop, carts, sale_of};
use crate::{
    support::db::assert_balanced, support::goods::cart, support::proxy::Cut,
    support::strategies::STRATEGIES,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_statement_is_sent_again() {
    for strategy in STRATEGIES {
        for request in carts() {
            let proxied = ProxiedShop::new(strategy).await;
            proxied.trap(&request, Cut::Before);
            let order = proxied.shop.checkout(request.clone()).await.unwrap();
            assert!(!proxied.proxy.armed() && !order.replayed && order.id == request.order_id());
            proxied.assert_left(0, 1).await;
        }
    }
}

/// The checkout takes the last unit, and the answer is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_looked_up() {
    for strategy in STRATEGIES {
        for request in carts() {
            let proxied = ProxiedShop::new(strategy).await;
            match strategy {
                // The first message with the order's id only reads, the second sells.
                Strategy::Optimistic => proxied.proxy.trap(&sale_of(&request), Cut::Reply),
                Strategy::Pessimistic => proxied.proxy.trap(b"COMMIT\0", Cut::Reply),
                _ => proxied.trap(&request, Cut::Reply),
            }
            let (before, ..) = proxied.proxy.counts();
            let order = proxied.shop.checkout(request.clone()).await.unwrap();
            // The sale, the statements before it, one look-up, and the question for a standby, but no second sale.
            let executes = proxied.proxy.counts().0 - before;
            assert!(executes <= 4, "{strategy:?}: {executes} statements");
            assert!(!proxied.proxy.armed(), "{strategy:?}");
            assert!(
                order.replayed && order.id == request.order_id(),
                "{strategy:?}: {order:?}"
            );
            assert_eq!(order.lines.len(), request.lines().len());
            proxied.assert_left(0, 1).await;
        }
    }
}

/// If `COMMIT` is lost before it arrives, the look-up finds no order.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_whose_commit_was_lost_is_made_again() {
    for request in carts() {
        let proxied = ProxiedShop::new(Strategy::Pessimistic).await;
        proxied.proxy.trap(b"COMMIT\0", Cut::Before);
        let order = proxied.shop.checkout(request).await.unwrap();
        assert!(!proxied.proxy.armed() && !order.replayed);
        proxied.assert_left(0, 1).await;
    }
}

/// A policy of one attempt leaves no attempt for a look-up.
#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_stays_unknown_is_reported_as_such() {
    let proxied = ProxiedShop::new(Strategy::Guarded).await;
    let shop = proxied
        .shop
        .clone()
        .with_policy(RetryPolicy::new().with_max_attempts(1));
    let request = cart(&[("pot", 1)]);
    proxied.trap(&request, Cut::Reply);
    let unknown = shop.checkout(request.clone()).await.unwrap_err();
    assert!(unknown.is_unknown(), "{unknown:?}");
    assert_eq!(
        (unknown.http_status(), unknown.code()),
        (503, "unknown-outcome")
    );
    assert_eq!(
        proxied.direct.order(request.order_id()).await.unwrap().id,
        request.order_id(),
        "the checkout took effect"
    );
    assert!(
        proxied.direct.checkout(request).await.unwrap().replayed,
        "the same request is safe to send again"
    );
    assert_balanced(&proxied.db.pool).await;
}
