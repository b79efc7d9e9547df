//! Cleanup and migrations.

use std::time::Duration;

use optilock::{inventory::Inventory, migrate};

use super::OneConnection;
use crate::support::goods::cart;

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_cleanup_leaves_a_clean_connection() {
    let one = OneConnection::with_products().await;
    for number in 0..50 {
        let request = cart(&[("pot", 1), ("mug", 1)]);
        let request = request.with_idempotency_key(format!("key {number}"));
        one.direct.checkout(request).await.unwrap();
    }
    one.drop_after_each_poll("cleanup_idempotency_keys", || {
        Box::pin(async {
            let removed = one.shop.cleanup_idempotency_keys(Duration::ZERO).await;
            removed.map(drop).unwrap();
        })
    })
    .await;
    one.drop_after_each_poll("cleanup_failed_orders", || {
        Box::pin(async {
            let cancelled = one.shop.cleanup_failed_orders(Duration::ZERO).await;
            cancelled.map(drop).unwrap();
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_migration_leaves_a_clean_connection() {
    let one = OneConnection::new().await;
    one.drop_after_each_poll("migrate", || {
        Box::pin(async { migrate(&one.pool).await.unwrap() })
    })
    .await;
}
