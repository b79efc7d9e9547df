//! Steps of orders that are sent again: at most one effect, and a true answer.

mod suppressed;

use std::{sync::Arc, time::Duration};

use optilock::{
    RetryPolicy, Version,
    inventory::{
        Adjustment, BatchOptions, BatchedInventory, Error, Inventory, MemoryInventory, Order,
        OrderStatus, OrderStep, PgInventory, ReturnRequest,
    },
    sqlx::{self, PgPool},
};
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinSet,
};
use uuid::Uuid;

use crate::{
    support::bank::until_waiting,
    support::db::{Db, Default, assert_books, deadlocks, eventually, pool_options},
    support::goods::{add, cart, sku, stock_of, units},
    support::proxy::{Cut, Proxy},
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Pay,
    Fail,
    Cancel,
    Revive,
    ReturnRequest,
}

const STEPS: [Step; 5] = [
    Step::Pay,
    Step::Fail,
    Step::Cancel,
    Step::Revive,
    Step::ReturnRequest,
];

const ONCE: RetryPolicy = RetryPolicy::new().with_max_attempts(1);

const QUICK: RetryPolicy = RetryPolicy::new().with_base_delay(Duration::from_millis(1));

/// One request, which may be sent several times.
#[derive(Clone, Debug)]
struct Request {
    step: Step,
    order: Order,
    pinned: bool,
    slip: Uuid,
}

impl Request {
    /// With an order at which the step begins.
    async fn new(shop: &dyn Inventory, step: Step, pinned: bool) -> Self {
        let mut order = shop
            .checkout(cart(&[("mug", 1), ("pot", 2)]))
            .await
            .unwrap();
        if step == Step::Revive {
            order = shop.cancel(order.id, "gone").await.unwrap();
        }
        if step == Step::ReturnRequest {
            order = shop.mark_paid(order.id).await.unwrap();
        }
        let slip = Uuid::now_v7();
        Self {
            step,
            order,
            pinned,
            slip,
        }
    }

    async fn send(&self, shop: &dyn Inventory) -> Result<Order, Error> {
        let (id, version) = (self.order.id, self.order.version);
        let step = match self.step {
            Step::Pay => OrderStep::mark_paid(id),
            Step::Fail => OrderStep::mark_payment_failed(id),
            Step::Cancel => OrderStep::cancel(id, "changed my mind"),
            Step::Revive => OrderStep::revive(id),
            Step::ReturnRequest => {
                let back = ReturnRequest::new(id, [(sku("pot"), units(1))], "broken").unwrap();
                let back = back.with_id(self.slip);
                return match self.pinned {
                    true => shop.return_items(back.expecting_version(version)).await,
                    false => shop.return_items(back).await,
                };
            }
        };
        match self.pinned {
            true => shop.step(step.expecting_version(version)).await,
            false => shop.step(step).await,
        }
    }

    /// What another actor does after the step, and by how many versions.
    async fn undo(&self, shop: &dyn Inventory) {
        let id = self.order.id;
        match self.step {
            Step::Fail => {
                shop.cancel(id, "support").await.unwrap();
                shop.revive(id).await.unwrap();
            }
            Step::Cancel => drop(shop.revive(id).await.unwrap()),
            Step::Revive => drop(shop.cancel(id, "support").await.unwrap()),
            // Neither can be undone; the order goes on.
            Step::Pay | Step::ReturnRequest => {
                let back = ReturnRequest::new(id, [(sku("mug"), units(1))], "too small").unwrap();
                shop.return_items(back).await.unwrap();
            }
        }
    }

    /// The order has not changed since, or by this step only.
    async fn assert_true(&self, direct: &PgInventory, answer: &Result<Order, Error>, cell: &str) {
        let now = direct.order(self.order.id).await.unwrap();
        let grown = now.version.get() - self.order.version.get();
        let is_true = match answer {
            Ok(order) => {
                let mut order = order.clone();
                order.replayed = false;
                grown == 1 && order == now
            }
            Err(error) if error.is_unknown() => (0..=1).contains(&grown),
            Err(_) => grown == 0,
        };
        assert!(is_true, "{cell}: {answer:?}, and {now:?} is stored");
    }
}

async fn shop() -> (Db, PgInventory) {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 9_000).await;
    add(&shop, "mug", 9_000).await;
    (db, shop)
}

/// How often the ledger says that this happened to the order's pots.
async fn movements(pool: &PgPool, request: &Request) -> i64 {
    let kind = match request.step {
        Step::Pay | Step::Fail => return 0,
        Step::Cancel => 2_i16,
        Step::Revive => 12,
        Step::ReturnRequest => 11,
    };
    let count =
        "SELECT count(*) FROM optilock.movements WHERE order_id = $1 AND kind = $2 AND sku = 'pot'";
    sqlx::query_scalar(count)
        .bind(request.order.id.uuid())
        .bind(kind)
        .fetch_one(pool)
        .await
        .unwrap()
}

fn is_conflict(answer: &Result<Order, Error>, expected: i64, actual: i64) -> bool {
    matches!(answer, Err(Error::Conflict(it)) if it.entity == "order"
        && it.expected == Version::new(expected).unwrap()
        && it.actual == Version::new(actual).unwrap())
}

/// The example of the guide, in every inventory.
#[tokio::test(flavor = "multi_thread")]
async fn what_support_revived_is_not_cancelled_again() {
    let (db, direct) = shop().await;
    let batched = BatchedInventory::new(direct.clone(), BatchOptions::new().always());
    let memory = MemoryInventory::new();
    add(&memory, "pot", 9_000).await;
    add(&memory, "mug", 9_000).await;
    for shop in [&direct as &dyn Inventory, &batched, &memory] {
        let seen = shop.checkout(cart(&[("pot", 2)])).await.unwrap();
        let cancel = OrderStep::cancel(seen.id, "changed my mind").expecting_version(seen.version);
        let cancelled = shop.step(cancel.clone()).await.unwrap();
        assert_eq!(
            (
                cancelled.status,
                cancelled.version.get(),
                cancelled.replayed
            ),
            (OrderStatus::Cancelled, 2, false)
        );
        assert_eq!(cancelled.reason.as_deref(), Some("changed my mind"));
        assert!(shop.step(cancel.clone()).await.unwrap().replayed);
        shop.revive(seen.id).await.unwrap();
        let again = shop.step(cancel.clone()).await;
        assert!(is_conflict(&again, 1, 3), "{again:?}");
        let order = shop.order(seen.id).await.unwrap();
        assert_eq!(
            (order.status, order.version.get()),
            (OrderStatus::PendingPayment, 3)
        );
        // At the version expected, in a state in which no such step begins.
        let paid = shop.mark_paid(seen.id).await.unwrap();
        let late = OrderStep::cancel(seen.id, "late").expecting_version(paid.version);
        let refused = shop.step(late).await;
        assert!(
            matches!(refused, Err(Error::InvalidOrderState { .. })),
            "{refused:?}"
        );
        let ahead = OrderStep::mark_paid(seen.id).expecting_version(Version::new(9).unwrap());
        let refused = shop.step(ahead).await;
        assert!(is_conflict(&refused, 9, 4), "{refused:?}");
    }
    assert_books(&db.pool).await;
}

/// A return is made once by its id, and with a version only there.
#[tokio::test(flavor = "multi_thread")]
async fn a_return_expects_a_version() {
    let (db, direct) = shop().await;
    let memory = MemoryInventory::new();
    add(&memory, "pot", 9_000).await;
    for shop in [&direct as &dyn Inventory, &memory] {
        let order = shop.checkout(cart(&[("pot", 3)])).await.unwrap();
        let paid = shop.mark_paid(order.id).await.unwrap();
        let back = || ReturnRequest::new(order.id, [(sku("pot"), units(1))], "broken").unwrap();
        let first = back().expecting_version(paid.version);
        let made = shop.return_items(first.clone()).await.unwrap();
        assert_eq!((made.version.get(), made.lines[0].returned), (3, 1));
        shop.return_items(back()).await.unwrap();
        // Made before: the order as it is.
        let again = shop.return_items(first).await.unwrap();
        assert!(again.replayed);
        assert_eq!((again.version.get(), again.lines[0].returned), (4, 2));
        let stale = shop
            .return_items(back().expecting_version(paid.version))
            .await;
        assert!(is_conflict(&stale, 2, 4), "{stale:?}");
    }
    assert_books(&db.pool).await;
}

/// The wire is cut before or after each statement of each step.
#[tokio::test(flavor = "multi_thread")]
async fn every_cut_of_every_step() {
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
                        eventually("the server is through", async || {
                            let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                                AND state = 'active' AND pid <> pg_backend_pid()";
                            sqlx::query_scalar::<_, i64>(busy).fetch_one(&db.pool).await.unwrap() == 0
                        })
                        .await;
                        request.assert_true(&direct, &answer, &cell).await;
                        assert!(movements(&db.pool, &request).await <= before + 1, "{cell}");
                    }
                }
            }
        }
    }
    assert_books(&db.pool).await;
}

/// An attempt arrives after the next one made the step, and another actor has undone it.
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
            request.assert_true(&direct, &answer, "late").await;
            assert!(!answer.unwrap().replayed, "{step:?}");
            request.undo(&direct).await;
            let expected = direct.order(request.order.id).await.unwrap();
            release.notify_one();
            done.notified().await;
            let found = direct.order(request.order.id).await.unwrap();
            assert_eq!(found, expected, "{step:?}: it took effect again");
            let made = movements(&db.pool, &request).await - before;
            assert!(made <= 1, "{step:?}: {made}");
        }
    }
    assert_books(&db.pool).await;
}

/// A pool whose connections wait for a permit each.
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

/// The answer is lost; before the call asks again, another actor undoes the step.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_was_undone_meanwhile_is_not_made_again() {
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
            eventually("it took effect", async || {
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
                // By its id.
                Step::ReturnRequest => assert!(answer.unwrap().replayed),
                // Still paid.
                Step::Pay if !pinned => assert!(answer.unwrap().replayed),
                _ => assert!(answer.unwrap_err().is_unknown(), "{cell}"),
            }
            let found = direct.order(request.order.id).await.unwrap();
            assert_eq!(found, expected, "{cell}: it took effect again");
            assert!(movements(&db.pool, &request).await <= before + 1, "{cell}");
            if pinned {
                // A new call knows nothing of the one before, and does no harm.
                let again = request.send(&direct).await;
                match step {
                    Step::ReturnRequest => assert!(again.unwrap().replayed),
                    _ => assert!(
                        is_conflict(&again, request.order.version.get(), expected.version.get()),
                        "{again:?}"
                    ),
                }
            }
        }
    }
    assert_books(&db.pool).await;
}

/// The statement never arrived, and another actor made the next version: nothing is in doubt.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_version_settles_a_doubt() {
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
            eventually("the wire is cut", async || !proxy.armed()).await;
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
            assert!(
                matches!(refused, Err(Error::InvalidOrderState { .. })),
                "{refused:?}"
            );
            assert_eq!(made.unwrap().version.get(), 3);
        }
    }
    assert_books(&db.pool).await;
}

/// A batch whose answer is lost: each of its callers goes on with the version of the batch.
#[tokio::test]
async fn a_batch_whose_answer_is_lost_cancels_none_twice() {
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
    let meddle = async {
        eventually("all are cancelled", async || {
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
    let (a, b, c, d, ()) = tokio::join!(
        requests[0].send(&shop),
        requests[1].send(&shop),
        requests[2].send(&shop),
        requests[3].send(&shop),
        meddle
    );
    assert!(!proxy.armed());
    assert!(a.unwrap_err().is_unknown());
    assert!(b.unwrap_err().is_unknown());
    assert!(c.unwrap().replayed);
    assert!(d.unwrap().replayed);
    for request in &requests {
        assert_eq!(movements(&db.pool, request).await, 1);
    }
    assert_eq!(status(&requests[0]).await, OrderStatus::PendingPayment);
    assert_eq!(status(&requests[1]).await, OrderStatus::PendingPayment);
    assert_books(&db.pool).await;
}

/// Between the reading and the write another actor moves the order, to where the step begins all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_waited_for_another_goes_on_from_there() {
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
    assert_books(&db.pool).await;
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
        assert_books(&db.pool).await;
    }
}

/// Two returns of one order at once: one of them reads the order again.
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
    assert!(racers.join_all().await.iter().all(|it| !it.replayed));
    let now = direct.order(order.id).await.unwrap();
    assert_eq!((now.lines[0].returned, now.version.get()), (16, 18));
    assert_books(&db.pool).await;
}

/// A revived order with a retired product ends the expired holds of that product: in the order in which
/// everything else locks products.
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
    eventually("both wait", async || {
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
    assert_books(&db.pool).await;
}

/// Paused: taking stock again is refused, and giving it back is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_product_is_given_back_and_not_taken_again() {
    let (db, shop) = shop().await;
    let pending = Request::new(&shop, Step::Cancel, false).await;
    let cancelled = Request::new(&shop, Step::Revive, false).await;
    let paid = Request::new(&shop, Step::ReturnRequest, false).await;
    sqlx::query("UPDATE optilock.products SET paused = true WHERE sku = 'pot'")
        .execute(&db.pool)
        .await
        .unwrap();
    let refused = cancelled.send(&shop).await;
    assert!(
        matches!(refused, Err(Error::ProductPaused { .. })),
        "{refused:?}"
    );
    // Of a short line and a paused one the pause comes first.
    let stock = stock_of(&shop, "mug").await;
    let all = Adjustment::new(sku("mug"), -stock, "theft").unwrap();
    shop.adjust_stock(all).await.unwrap();
    let refused = cancelled.send(&shop).await.unwrap_err();
    assert!(
        matches!(&refused, Error::ProductPaused { sku } if sku.as_str() == "pot"),
        "{refused:?}"
    );
    assert_eq!(
        (refused.code(), refused.http_status()),
        ("product-paused", 409)
    );
    let now = shop.order(cancelled.order.id).await.unwrap();
    assert_eq!(now, cancelled.order);
    pending.send(&shop).await.unwrap();
    paid.send(&shop).await.unwrap();
    // A retired product is unavailable, paused or not.
    let pot = shop.product(&sku("pot")).await.unwrap();
    shop.retire_product(&pot.sku, pot.version).await.unwrap();
    let refused = cancelled.send(&shop).await.unwrap_err();
    assert!(refused.is_insufficient_stock(), "{refused:?}");
    assert_books(&db.pool).await;
}

/// Within a product no movement is older than the one before, whatever the clock does.
#[tokio::test(flavor = "multi_thread")]
async fn the_times_of_a_products_movements_never_run_backwards() {
    let (db, shop) = shop().await;
    sqlx::query("UPDATE optilock.products SET updated_at = now() + interval '1 hour'")
        .execute(&db.pool)
        .await
        .unwrap();
    let ahead =
        "SELECT count(*) FROM optilock.movements m JOIN optilock.products p ON p.sku = m.sku
        WHERE m.moved_at >= now() + interval '30 minutes' AND m.kind = $1";
    for (step, kind) in [
        (Step::Cancel, 2_i16),
        (Step::Revive, 12),
        (Step::ReturnRequest, 11),
    ] {
        let request = Request::new(&shop, step, false).await;
        // What a checkout writes is no matter of steps.
        sqlx::query("UPDATE optilock.products SET updated_at = now() + interval '1 hour'")
            .execute(&db.pool)
            .await
            .unwrap();
        request.send(&shop).await.unwrap();
        let found: i64 = sqlx::query_scalar(ahead)
            .bind(kind)
            .fetch_one(&db.pool)
            .await
            .unwrap();
        assert!(found > 0, "{step:?} wrote an older time");
        let equal: bool = sqlx::query_scalar(
            "SELECT p.updated_at = m.moved_at FROM optilock.products p JOIN optilock.movements m
                ON m.sku = p.sku AND m.version = p.version WHERE p.sku = 'pot'",
        )
        .fetch_one(&db.pool)
        .await
        .unwrap();
        assert!(equal, "{step:?}: the product and its movement differ");
    }
}

/// One attempt in the caller's transaction, which commits nothing.
#[tokio::test(flavor = "multi_thread")]
async fn steps_in_the_callers_transaction() {
    let (db, shop) = shop().await;
    let order = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let mut tx = db.pool.begin().await.unwrap();
    let paid = OrderStep::mark_paid(order.id).expecting_version(order.version);
    let made = shop.step_in(&mut tx, &paid).await.unwrap();
    assert!(!made.replayed);
    let replayed = shop.step_in(&mut tx, &paid).await.unwrap();
    assert!(replayed.replayed);
    tx.rollback().await.unwrap();
    assert_eq!(shop.order(order.id).await.unwrap(), order);
}
