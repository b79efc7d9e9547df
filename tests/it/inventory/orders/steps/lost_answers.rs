//! Steps whose answer is lost.

use std::sync::Arc;

use optilock::{
    inventory::{BatchOptions, BatchedInventory, ErrorKind, Inventory, OrderStatus, PgInventory},
    sqlx::{self, PgPool},
};
use tokio::sync::{Notify, Semaphore};

use super::request::{ONCE, QUICK, Request, STEPS, Step, is_conflict, movements, shop};
use crate::{
    support::db::{assert_balanced, eventually, pool_options},
    support::proxy::{Cut, Proxy},
};

/// Waits until no other session of this database runs a statement.
async fn until_idle(pool: &PgPool) {
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND state = 'active' AND pid <> pg_backend_pid()";
    eventually("no statement runs", async || {
        let busy = sqlx::query_scalar::<_, i64>(busy).fetch_one(pool);
        busy.await.unwrap() == 0
    })
    .await;
}

/// The connection breaks before or after each statement of each step.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_whose_connection_breaks_has_at_most_one_effect() {
    let (db, direct) = shop().await;
    let proxy = Proxy::new(&db).await;
    let patient = PgInventory::new(proxy.pool(4).await).with_policy(QUICK);
    let hasty = patient.clone().with_policy(ONCE);
    let locking = patient
        .clone()
        .with_policy(QUICK.with_locking_after(Some(0)));
    for step in STEPS {
        for pinned in [false, true] {
            for after in 0..4 {
                for cut in [Cut::Before, Cut::Reply] {
                    for (name, shop) in [
                        ("patient", &patient),
                        ("hasty", &hasty),
                        ("locking", &locking),
                    ] {
                        let cell = format!("{step:?} {pinned} {name}, {cut:?} after {after}");
                        let request = Request::new(&direct, step, pinned).await;
                        let before = movements(&db.pool, &request).await;
                        proxy.trap_after(after, cut.clone());
                        let answer = request.send(shop).await;
                        proxy.disarm();
                        assert!(name == "hasty" || answer.is_ok(), "{cell}: {answer:?}");
                        until_idle(&db.pool).await;
                        request.assert_matches(&direct, &answer, &cell).await;
                        assert!(movements(&db.pool, &request).await <= before + 1, "{cell}");
                    }
                }
            }
        }
    }
    assert_balanced(&db.pool).await;
}

/// The first attempt reaches the server after the second has made the step and another caller has undone it.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_step_has_no_second_effect() {
    let (db, direct) = shop().await;
    let proxy = Proxy::new(&db).await;
    let shop = PgInventory::new(proxy.pool(4).await).with_policy(QUICK);
    for step in STEPS {
        for pinned in [false, true] {
            let request = Request::new(&direct, step, pinned).await;
            let before = movements(&db.pool, &request).await;
            let (release, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            proxy.trap_after(1, Cut::Late(release.clone(), done.clone()));
            let answer = request.send(&shop).await;
            assert!(!proxy.armed());
            request.assert_matches(&direct, &answer, "late").await;
            assert!(!answer.unwrap().replayed, "{step:?}");
            request.undo(&direct).await;
            let expected = direct.order(request.order.id).await.unwrap();
            release.notify_one();
            done.notified().await;
            let found = direct.order(request.order.id).await.unwrap();
            assert_eq!(found, expected, "{step:?}: a second effect");
            let made = movements(&db.pool, &request).await - before;
            assert!(made <= 1, "{step:?}: {made}");
        }
    }
    assert_balanced(&db.pool).await;
}

/// Returns a pool whose connections wait for a permit each.
async fn gated(proxy: &Proxy, connections: u32) -> (PgPool, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(1));
    let opened = Arc::clone(&gate);
    let options = pool_options(connections).map(|options| {
        options.after_connect(move |_, _| {
            let opened = Arc::clone(&opened);
            Box::pin(async move {
                opened.acquire().await.unwrap().forget();
                Ok(())
            })
        })
    });
    (proxy.pool_with(options).await, gate)
}

/// The answer is lost. Another caller undoes the step before the retry.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_another_caller_undid_is_not_repeated() {
    let (db, direct) = shop().await;
    for step in STEPS {
        for pinned in [false, true] {
            let proxy = Proxy::new(&db).await;
            let (pool, gate) = gated(&proxy, 1).await;
            let shop = PgInventory::new(pool).with_policy(QUICK);
            let request = Request::new(&direct, step, pinned).await;
            let before = movements(&db.pool, &request).await;
            proxy.trap_after(1, Cut::Reply);
            let call = tokio::spawn({
                let (shop, request) = (shop.clone(), request.clone());
                async move { request.send(&shop).await }
            });
            eventually("the step takes effect", async || {
                let now = direct.order(request.order.id).await.unwrap();
                now.version > request.order.version
            })
            .await;
            request.undo(&direct).await;
            let expected = direct.order(request.order.id).await.unwrap();
            gate.add_permits(100);
            let answer = call.await.unwrap();
            let cell = format!("{step:?}, {pinned}: {answer:?}");
            match step {
                // The id of the return identifies it.
                Step::Return => assert!(answer.unwrap().replayed),
                // The order is still paid.
                Step::Pay if !pinned => assert!(answer.unwrap().replayed),
                _ => assert!(answer.unwrap_err().is_unknown(), "{cell}"),
            }
            let found = direct.order(request.order.id).await.unwrap();
            assert_eq!(found, expected, "{cell}: a second effect");
            assert!(movements(&db.pool, &request).await <= before + 1, "{cell}");
            if pinned {
                // A new call with the same version has no effect.
                let again = request.send(&direct).await;
                match step {
                    Step::Return => assert!(again.unwrap().replayed),
                    _ => assert!(
                        is_conflict(&again, request.order.version.get(), expected.version.get()),
                        "{again:?}"
                    ),
                }
            }
        }
    }
    assert_balanced(&db.pool).await;
}

/// The statement never arrives, and another caller makes the next version. The outcome is therefore known.
#[tokio::test(flavor = "multi_thread")]
async fn a_next_version_of_another_caller_resolves_an_unknown_outcome() {
    let (db, direct) = shop().await;
    for pinned in [false, true] {
        let lost = async |step, other: OrderStatus| {
            let proxy = Proxy::new(&db).await;
            let (pool, gate) = gated(&proxy, 1).await;
            let shop = PgInventory::new(pool).with_policy(QUICK);
            let request = Request::new(&direct, step, pinned).await;
            proxy.trap_after(1, Cut::Before);
            let call = tokio::spawn({
                let (shop, request) = (shop.clone(), request.clone());
                async move { request.send(&shop).await }
            });
            eventually("the connection breaks", async || !proxy.armed()).await;
            match other {
                OrderStatus::Paid => drop(direct.mark_paid(request.order.id).await.unwrap()),
                _ => drop(direct.mark_payment_failed(request.order.id).await.unwrap()),
            }
            gate.add_permits(100);
            call.await.unwrap()
        };
        let refused = lost(Step::Cancel, OrderStatus::Paid).await;
        let made = lost(Step::Pay, OrderStatus::PaymentFailed).await;
        if pinned {
            assert!(is_conflict(&refused, 1, 2), "{refused:?}");
            assert!(is_conflict(&made, 1, 2), "{made:?}");
        } else {
            let refused = refused.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidOrderState, "{refused:?}");
            assert_eq!(made.unwrap().version.get(), 3);
        }
    }
    assert_balanced(&db.pool).await;
}

/// Each caller of the batch retries with the version that the batch made.
#[tokio::test]
async fn a_batch_whose_answer_is_lost_cancels_each_order_once() {
    let (db, direct) = shop().await;
    let proxy = Proxy::new(&db).await;
    let (pool, gate) = gated(&proxy, 8).await;
    let shop = BatchedInventory::new(
        PgInventory::new(pool).with_policy(QUICK),
        BatchOptions::new().always(),
    );
    let mut requests = Vec::new();
    for pinned in [false, true, false, true] {
        requests.push(Request::new(&direct, Step::Cancel, pinned).await);
    }
    let status = async |request: &Request| direct.order(request.order.id).await.unwrap().status;
    proxy.trap_after(1, Cut::Reply);
    let revive = async {
        eventually("all orders are cancelled", async || {
            let mut cancelled = true;
            for request in &requests {
                cancelled &= status(request).await == OrderStatus::Cancelled;
            }
            cancelled
        })
        .await;
        direct.revive(requests[0].order.id).await.unwrap();
        direct.revive(requests[1].order.id).await.unwrap();
        gate.add_permits(100);
    };
    let (first, second, third, fourth, ()) = tokio::join!(
        requests[0].send(&shop),
        requests[1].send(&shop),
        requests[2].send(&shop),
        requests[3].send(&shop),
        revive
    );
    assert!(!proxy.armed());
    assert!(first.unwrap_err().is_unknown());
    assert!(second.unwrap_err().is_unknown());
    assert!(third.unwrap().replayed);
    assert!(fourth.unwrap().replayed);
    for request in &requests {
        assert_eq!(movements(&db.pool, request).await, 1);
    }
    assert_eq!(status(&requests[0]).await, OrderStatus::PendingPayment);
    assert_eq!(status(&requests[1]).await, OrderStatus::PendingPayment);
    assert_balanced(&db.pool).await;
}
