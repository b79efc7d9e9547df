//! Concurrent steps of one order or of one product.

use std::sync::Arc;

use optilock::{
    inventory::{BatchOptions, BatchedInventory, Inventory, PgInventory, ReturnRequest},
    sqlx,
};
use tokio::task::JoinSet;

use super::request::{ONCE, QUICK, Request, STEPS, Step, is_conflict, movements, shop};
use crate::{
    support::bank::until_waiting,
    support::db::{Db, Default, assert_balanced, deadlocks, eventually},
    support::goods::{add, cart, sku, units},
};

/// Between the read and the write, another caller moves the order to a state in which the step can still begin.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_continues_from_the_version_that_it_waited_for() {
    let (db, shop) = shop().await;
    for step in [Step::Pay, Step::Fail, Step::Cancel, Step::Revive] {
        for pinned in [false, true] {
            let request = Request::new(&shop, step, pinned).await;
            let (id, version) = (request.order.id, request.order.version.get());
            let mut other = db.pool.begin().await.unwrap();
            let moved = match step {
                Step::Pay | Step::Cancel => shop.mark_payment_failed_in(&mut other, id).await,
                Step::Fail => {
                    shop.cancel_in(&mut other, id, "support").await.unwrap();
                    shop.revive_in(&mut other, id).await
                }
                _ => {
                    shop.revive_in(&mut other, id).await.unwrap();
                    shop.cancel_in(&mut other, id, "support").await
                }
            };
            let moved = moved.unwrap().version.get();
            assert!(moved > version);
            let call = tokio::spawn({
                let (shop, request) = (shop.clone().with_policy(ONCE), request.clone());
                async move { request.send(&shop).await }
            });
            until_waiting(&db.pool).await;
            other.commit().await.unwrap();
            let answer = call.await.unwrap();
            if pinned {
                assert!(is_conflict(&answer, version, moved), "{step:?}: {answer:?}");
            } else {
                assert_eq!(answer.unwrap().version.get(), moved + 1, "{step:?}");
            }
        }
    }
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixteen_identical_steps_one_takes_effect() {
    for default in [Default::ReadCommitted, Default::Serializable] {
        let db = Db::with(default, 16).await;
        let patient = QUICK.with_max_attempts(1_000).with_deadline(None);
        let direct = PgInventory::new(db.pool.clone()).with_policy(patient);
        add(&direct, "pot", 9_000).await;
        add(&direct, "mug", 9_000).await;
        let batched = BatchedInventory::new(direct.clone(), BatchOptions::new().always());
        let shops: [Arc<dyn Inventory>; 2] = [Arc::new(direct.clone()), Arc::new(batched)];
        for shop in shops {
            for step in STEPS {
                for pinned in [false, true] {
                    let request = Request::new(&direct, step, pinned).await;
                    let before = movements(&db.pool, &request).await;
                    let mut racers = JoinSet::new();
                    for _ in 0..16 {
                        let (shop, request) = (Arc::clone(&shop), request.clone());
                        racers.spawn(async move { request.send(&*shop).await.unwrap() });
                    }
                    let answers = racers.join_all().await;
                    let made = answers.iter().filter(|order| !order.replayed).count();
                    assert_eq!(made, 1, "{step:?}, {pinned}");
                    let now = direct.order(request.order.id).await.unwrap();
                    assert_eq!(now.version.get(), request.order.version.get() + 1);
                    let made = movements(&db.pool, &request).await - before;
                    assert!(made <= 1, "{step:?}: {made}");
                }
            }
        }
        assert_eq!(deadlocks(&db.pool).await, 0);
        assert_balanced(&db.pool).await;
    }
}

/// A return reads the order again if another return has changed it.
#[tokio::test(flavor = "multi_thread")]
async fn different_returns_of_one_order_all_take_effect() {
    let (db, direct) = shop().await;
    let order = direct.checkout(cart(&[("pot", 16)])).await.unwrap();
    direct.mark_paid(order.id).await.unwrap();
    let shop = direct.clone().with_policy(QUICK.with_max_attempts(100));
    let mut racers = JoinSet::new();
    for _ in 0..16 {
        let shop = shop.clone();
        let back = ReturnRequest::new(order.id, [(sku("pot"), units(1))], "broken").unwrap();
        racers.spawn(async move { shop.return_items(back).await.unwrap() });
    }
    assert!(racers.join_all().await.iter().all(|order| !order.replayed));
    let now = direct.order(order.id).await.unwrap();
    assert_eq!((now.lines[0].returned, now.version.get()), (16, 18));
    assert_balanced(&db.pool).await;
}

/// A revival ends the expired holds of a retired product. It locks the products in the same order as every
/// other operation.
#[tokio::test(flavor = "multi_thread")]
async fn a_revival_beside_a_cancellation_does_not_deadlock() {
    let (db, shop) = shop().await;
    let lines = [("mug", 1), ("pot", 1)];
    let revived = shop.checkout(cart(&lines)).await.unwrap().id;
    let cancelled = shop.checkout(cart(&lines)).await.unwrap().id;
    shop.cancel(revived, "gone").await.unwrap();
    let mug = shop.product(&sku("mug")).await.unwrap();
    shop.retire_product(&mug.sku, mug.version).await.unwrap();
    let mut holder = db.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM optilock.products WHERE sku = 'mug' FOR UPDATE")
        .execute(&mut *holder)
        .await
        .unwrap();
    let cancel = tokio::spawn({
        let shop = shop.clone();
        async move { shop.with_policy(ONCE).cancel(cancelled, "no").await }
    });
    until_waiting(&db.pool).await;
    let revive = tokio::spawn({
        let (shop, pool) = (shop.clone(), db.pool.clone());
        async move {
            let mut tx = pool.begin().await.unwrap();
            let refused = shop.revive_in(&mut tx, revived).await;
            tx.rollback().await.unwrap();
            refused
        }
    });
    eventually("the cancellation and the revival wait", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waiting: i64 = sqlx::query_scalar(waiting)
            .fetch_one(&db.pool)
            .await
            .unwrap();
        waiting == 2
    })
    .await;
    holder.rollback().await.unwrap();
    cancel.await.unwrap().unwrap();
    let refused = revive.await.unwrap().unwrap_err();
    assert!(refused.is_insufficient_stock(), "{refused:?}");
    assert_eq!(deadlocks(&db.pool).await, 0);
    assert_balanced(&db.pool).await;
}
