//! The shutdown of the queue.

use optilock::inventory::Inventory;

use super::{batched, one_pot, spawn_checkouts, until_queued};
use crate::support::{
    SHUTDOWN,
    db::{Default, assert_balanced, order_count},
    goods::add,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_drains_the_queue_and_rejects_new_checkouts() {
    let (db, shop) = batched(Default::ReadCommitted).await;
    add(&shop, "pot", 1_000).await;
    let waiting = spawn_checkouts(&shop, (0..300).map(|_| one_pot()));
    until_queued(&shop, 1).await;
    shop.shutdown(SHUTDOWN).await.unwrap();
    assert_eq!(shop.queue_depth(), 0);
    let late = shop.checkout(one_pot()).await.unwrap_err();
    assert!(late.is_busy() && late.http_status() == 503);
    let mut sold = 0;
    for answer in waiting {
        match answer.await.unwrap() {
            Ok(_) => sold += 1,
            Err(late) => assert!(late.is_busy(), "{late:?}"),
        }
    }
    assert_eq!(order_count(&db.pool).await, sold);
    assert_balanced(&db.pool).await;
}
