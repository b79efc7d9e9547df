//! Commits that wait for a synchronous standby when their sessions end. PostgreSQL shows them on the primary, and a
//! failover loses them.

use std::{sync::Arc, time::Duration};

use optilock::{
    RetryPolicy,
    inventory::{
        BatchOptions, BatchedInventory, Checkout, Error, FeedPosition, Inventory, Order, OrderId,
        OrderStatus, OutboxPosition, PgInventory, Reserve,
    },
};
use support::Crash;
use tokio::{spawn, task::JoinHandle, time::timeout};

use super::{buyers::stored, pair::Pair};
use crate::{
    attacks::inventory::balances,
    support::{
        db::eventually,
        goods::{add, cart, sku, units},
    },
};

const PATIENT: RetryPolicy = RetryPolicy::new()
    .with_max_attempts(1_000)
    .with_deadline(Some(Duration::from_secs(20)));

const ONCE: RetryPolicy = RetryPolicy::new().with_max_attempts(1);

fn spawn_checkout(
    shop: &Arc<dyn Inventory>,
    request: &Checkout,
) -> JoinHandle<Result<Order, Error>> {
    let (shop, request) = (shop.clone(), request.clone());
    spawn(async move { shop.checkout(request).await })
}

/// A call of its own, a request that is sent again, and batches: none is acknowledged before the failover, and each is
/// stored after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_the_standby_lacks_is_not_acknowledged() {
    let mut pair = Pair::synchronous().await;
    let plain = PgInventory::new(pair.proxy.pool(16).await);
    let once: Arc<dyn Inventory> = Arc::new(plain.clone().with_policy(ONCE));
    let plain = plain.with_policy(PATIENT);
    let batched = BatchedInventory::new(plain.clone(), BatchOptions::new().always());
    let patient: Arc<dyn Inventory> = Arc::new(plain);
    let batched: Arc<dyn Inventory> = Arc::new(batched);
    add(&*batched, "pot", 100).await;
    let unpaid = batched.checkout(cart(&[("pot", 1)])).await.unwrap();
    // Not by the queue, which would know it: the payment then reads it.
    let settled = patient.checkout(cart(&[("pot", 1)])).await.unwrap();
    pair.catch_up().await;
    pair.stop_receiving().await;

    let cancelled = cancelled(&pair, &once).await;
    let again = terminated(&pair, &once).await;
    let paid_again = paid_twice(&pair, &once, &batched, settled.id).await;
    let mut answers = vec![spawn_checkout(&patient, &again)];
    pair.until_commits_wait(2).await;
    let mut checkouts: Vec<Checkout> = (0..4).map(|_| cart(&[("pot", 1)])).collect();
    answers.extend(checkouts.iter().map(|it| spawn_checkout(&batched, it)));
    checkouts.push(again);
    let (shop, id) = (batched.clone(), unpaid.id);
    answers.push(spawn(async move { shop.mark_paid(id).await }));
    let reserve = Reserve::new([(sku("pot"), units(2))]).unwrap();
    let (shop, reservation) = (batched.clone(), reserve.reservation_id());
    let reserved = spawn(async move { shop.reserve(reserve).await });
    for _ in 0..3 {
        // The checkout that was sent again, stock and payments. Other requests may wait in the queue.
        eventually("all of them wait", async || {
            pair.waiting_commits().await >= 3
        })
        .await;
        pair.end_waits("pg_terminate_backend").await;
    }
    let paid_again = timeout(Duration::from_secs(10), paid_again).await;
    let unknown = paid_again
        .expect("no attempt follows")
        .unwrap()
        .unwrap_err();
    assert!(unknown.is_unknown(), "{unknown:?}");
    assert!(answers.iter().all(|answer| !answer.is_finished()));
    assert!(!reserved.is_finished());

    pair.fail_over(Crash::Kill).await;
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    reserved.await.unwrap().unwrap();
    let stored = stored(&pair.on_standby).await;
    assert!(checkouts.iter().all(|it| stored.contains(&it.order_id())));
    assert_eq!(
        once.order(unpaid.id).await.unwrap().status,
        OrderStatus::Paid
    );
    assert_eq!(
        once.order(settled.id).await.unwrap().status,
        OrderStatus::PendingPayment
    );
    assert!(once.reservation(reservation).await.is_ok());
    // PostgreSQL acknowledged it with a warning, which no client of sqlx sees.
    assert!(
        !stored.contains(&cancelled),
        "the guide says that it is lost"
    );
    balances::assert_balanced(&pair.on_standby, "waiting commits").await;
}

/// Cancels the wait of a commit: the checkout is acknowledged.
async fn cancelled(pair: &Pair, shop: &Arc<dyn Inventory>) -> OrderId {
    let answer = spawn_checkout(shop, &cart(&[("pot", 1)]));
    pair.until_commits_wait(1).await;
    pair.end_waits("pg_cancel_backend").await;
    answer.await.unwrap().unwrap().id
}

/// Terminates the session of a payment that waits, and returns a call that finds the payment in a batch and waits.
async fn paid_twice(
    pair: &Pair,
    once: &Arc<dyn Inventory>,
    batched: &Arc<dyn Inventory>,
    id: OrderId,
) -> JoinHandle<Result<Order, Error>> {
    let pay = |shop: &Arc<dyn Inventory>| {
        let shop = shop.clone();
        spawn(async move { shop.mark_paid(id).await })
    };
    let first = pay(once);
    pair.until_commits_wait(1).await;
    pair.end_waits("pg_terminate_backend").await;
    assert!(first.await.unwrap().unwrap_err().is_unknown());
    let again = pay(batched);
    pair.until_commits_wait(1).await;
    again
}

/// Terminates the session of a waiting commit: the outcome is unknown, and the primary shows the order.
async fn terminated(pair: &Pair, shop: &Arc<dyn Inventory>) -> Checkout {
    let request = cart(&[("pot", 1)]);
    let answer = spawn_checkout(shop, &request);
    pair.until_commits_wait(1).await;
    pair.end_waits("pg_terminate_backend").await;
    let unknown = answer.await.unwrap().unwrap_err();
    assert!(unknown.is_unknown(), "{unknown:?}");
    assert!(stored(&pair.on_primary).await.contains(&request.order_id()));
    request
}

/// A reader of the feed or of the outbox is never ahead of the standby: after a failover it would skip what is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_not_told_what_the_standby_lacks() {
    let mut pair = Pair::synchronous().await;
    let plain = PgInventory::new(pair.proxy.pool(16).await).with_outbox();
    let once: Arc<dyn Inventory> = Arc::new(plain.clone().with_policy(ONCE));
    let readers = plain.clone().with_policy(PATIENT);
    add(&*once, "pot", 100).await;
    let kept = once.checkout(cart(&[("pot", 1)])).await.unwrap();
    pair.catch_up().await;
    pair.stop_receiving().await;
    let lost = terminated(&pair, &once).await;
    let reader = readers.clone();
    let movements = spawn(async move { reader.movements_since(&FeedPosition::START, 10).await });
    let reader = readers.clone();
    let entries = spawn(async move { reader.outbox_since(&OutboxPosition::START, 10).await });
    pair.until_commits_wait(2).await;
    assert!(!movements.is_finished() && !entries.is_finished());
    pair.fail_over(Crash::Kill).await;
    let ended = timeout(Duration::from_secs(30), movements).await.unwrap();
    // The wait was on the primary: the answer is that nothing is known, or a page of the standby.
    if let Ok(feed) = ended.unwrap() {
        let orders = feed.movements.iter().filter_map(|movement| movement.order);
        assert!(orders.eq([kept.id]), "{feed:?}");
    }
    let ended = timeout(Duration::from_secs(30), entries).await.unwrap();
    if let Ok(feed) = ended.unwrap() {
        assert!(
            feed.entries
                .iter()
                .map(|entry| entry.order.id)
                .eq([kept.id]),
            "{feed:?}"
        );
    }
    let stored = stored(&pair.on_standby).await;
    assert!(!stored.contains(&lost.order_id()));
}
