//! Regression tests of the batching inventory, each against a promise of the documentation.

use optilock::{
    RetryPolicy,
    inventory::{BatchOptions, BatchedInventory, Inventory, PgInventory},
    sqlx,
};

use crate::support::{
    db::{Db, assert_idle},
    goods::{add, cart},
    proxy::{Cut, Proxy},
};

const ONCE: RetryPolicy = RetryPolicy::new().with_max_attempts(1);

/// "Not done" means that nothing is stored. The connection is cut before or after each message.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_reports_not_done_after_a_cut_has_stored_nothing() {
    let mut wrong = Vec::new();
    for operation in ["checkout", "cancel", "mark_paid"] {
        for cut in [Cut::Before, Cut::Reply] {
            for after in 0..6 {
                let db = Db::new().await;
                let direct = PgInventory::new(db.pool.clone());
                add(&direct, "pot", 50).await;
                let order = direct.checkout(cart(&[("pot", 2)])).await.unwrap().id;
                let proxy = Proxy::new(&db).await;
                let shop = PgInventory::new(proxy.pool(1).await).with_policy(ONCE);
                let shop = BatchedInventory::new(shop, BatchOptions::new());
                let fingerprint = async || -> (i64, i64) {
                    sqlx::query_as("SELECT (SELECT count(*) FROM optilock.orders WHERE status <> 4), (SELECT sum(version)::bigint FROM optilock.orders)")
                        .fetch_one(&db.pool)
                        .await
                        .unwrap()
                };
                let before = fingerprint().await;
                proxy.trap_after(after, cut.clone());
                let answer = match operation {
                    "checkout" => shop.checkout(cart(&[("pot", 1)])).await,
                    "cancel" => shop.cancel(order, "no").await,
                    _ => shop.mark_paid(order).await,
                };
                if proxy.disarm() {
                    break;
                }
                assert_idle(&db.pool).await;
                if let Err(error) = answer
                    && !error.is_unknown()
                    && fingerprint().await != before
                {
                    wrong.push(format!(
                        "{operation}, {cut:?} after {after}: {error} {:?}",
                        error.code()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
