//! Many checkouts in one statement: each with its own answer, whatever happens to the others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use optilock::{
    inventory::{
        Adjustment, BatchOptions, BatchedInventory, Checkout, Error, Inventory, Line, Order,
        OrderId, OrderStatus, PgInventory,
    },
    sqlx::{self, Connection},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use tokio::{
    sync::Notify,
    task::{JoinHandle, JoinSet},
};

use crate::{
    inventory::exactly_once::until_somebody_waits,
    inventory::scenarios::race,
    support::db::{Db, Default, assert_books, deadlocks, drop_checks, order_count, pool_options},
    support::goods::{add, cart, pesos, sku, stock_of, units},
    support::proxy::{Cut, Proxy},
};

const OPTIONS: BatchOptions = BatchOptions::new();

async fn shop(default: Default) -> (Db, BatchedInventory) {
    let db = Db::with(default, 16).await;
    let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), OPTIONS);
    (db, shop)
}

fn spawn(shop: &BatchedInventory, request: Checkout) -> JoinHandle<Result<Order, Error>> {
    let shop = shop.clone();
    tokio::spawn(async move { shop.checkout(request).await })
}

fn buyers(
    shop: &BatchedInventory,
    requests: impl IntoIterator<Item = Checkout>,
) -> Vec<JoinHandle<Result<Order, Error>>> {
    requests
        .into_iter()
        .map(|request| spawn(shop, request))
        .collect()
}

/// Until so many wait in the queue.
async fn until_queued(shop: &BatchedInventory, waiting: usize) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while shop.queue_depth() < waiting {
        assert!(Instant::now() < deadline, "{} wait", shop.queue_depth());
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_units_and_64_buyers() {
    for default in [
        Default::ReadCommitted,
        Default::RepeatableRead,
        Default::Serializable,
    ] {
        let (db, shop) = shop(default).await;
        add(&shop, "pot", 10).await;
        let requests = (0..64).map(|_| cart(&[("pot", 1)])).collect();
        let answers = race(&shop, requests).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
        for refused in answers.into_iter().filter_map(Result::err) {
            assert!(refused.is_insufficient_stock(), "{refused:?}");
        }
        assert_eq!(
            (stock_of(&shop, "pot").await, order_count(&db.pool).await),
            (0, 10)
        );
        assert_books(&db.pool).await;
    }
}

/// Two processes that gather, one that does not, deliveries and a price that changes: whatever is known
/// of a product is old all the time.
#[tokio::test(flavor = "multi_thread")]
async fn random_carts_of_three_processes() {
    for default in [
        Default::ReadCommitted,
        Default::RepeatableRead,
        Default::Serializable,
    ] {
        let db = Db::with(default, 16).await;
        let direct = PgInventory::new(db.pool.clone());
        let shops: [Arc<dyn Inventory>; 3] = [
            Arc::new(BatchedInventory::new(direct.clone(), OPTIONS)),
            Arc::new(BatchedInventory::new(direct.clone(), OPTIONS.with_batch(7))),
            Arc::new(direct.clone()),
        ];
        let names: Vec<String> = (0..20).map(|number| format!("sku-{number}")).collect();
        for name in &names {
            add(&direct, name, 100).await;
        }
        let sold = Arc::new(AtomicU64::new(0));
        let mut workers = JoinSet::new();
        for worker in 0..48 {
            let (shop, names) = (Arc::clone(&shops[worker as usize % 3]), names.clone());
            let sold = Arc::clone(&sold);
            workers.spawn(async move {
                let mut random = StdRng::seed_from_u64(worker);
                for _ in 0..15 {
                    let mut chosen = names.clone();
                    chosen.shuffle(&mut random);
                    let lines = chosen[..3].iter().map(|name| {
                        let line = Line::new(sku(name), units(random.random_range(1..4)));
                        match random.random_range(0..8) {
                            0 => line.expecting_price(pesos(1_000)),
                            _ => line,
                        }
                    });
                    match shop.checkout(Checkout::new(lines).unwrap()).await {
                        Ok(order) => {
                            assert!(order.lines.len() == 3 && !order.replayed);
                            sold.fetch_add(1, Relaxed);
                        }
                        Err(refused) => assert!(
                            refused.is_insufficient_stock() || refused.code() == "price-changed",
                            "{refused:?}"
                        ),
                    }
                    match random.random_range(0..12) {
                        0 => {
                            let delivery = Adjustment::new(sku(&chosen[0]), 5, "delivery").unwrap();
                            shop.adjust_stock(delivery).await.unwrap();
                        }
                        1 => {
                            let mut product = shop.product(&sku(&chosen[0])).await.unwrap();
                            product.price = pesos(1_000 + random.random_range(0..2));
                            drop(shop.update_product(&product).await);
                        }
                        _ => {}
                    }
                }
            });
        }
        workers.join_all().await;
        assert_eq!(deadlocks(&db.pool).await, 0, "{default:?}");
        let sold = i64::try_from(sold.load(Relaxed)).unwrap();
        assert_eq!(order_count(&db.pool).await, sold);
        assert!(sold > 100, "{sold}");
        assert_books(&db.pool).await;
    }
}

/// The connection dies under a batch, before it arrives, before its answer does, and late.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_connection_dies_takes_effect_once() {
    let (release, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    for cut in [
        Cut::Before,
        Cut::Reply,
        Cut::Late(release.clone(), done.clone()),
    ] {
        let db = Db::new().await;
        let proxy = Proxy::new(&db).await;
        let direct = PgInventory::new(db.pool.clone());
        let shop = BatchedInventory::new(PgInventory::new(proxy.pool(4).await), OPTIONS.always());
        add(&direct, "pot", 15).await;
        let requests: Vec<Checkout> = (0..20).map(|_| cart(&[("pot", 1)])).collect();
        // A batch of one holds the worker up until the others are there.
        let mut tx = db.pool.begin().await.unwrap();
        direct
            .checkout_in(&mut tx, &cart(&[("pot", 1)]))
            .await
            .unwrap();
        let first = spawn(&shop, cart(&[("pot", 1)]));
        until_somebody_waits(&db).await;
        proxy.trap(requests[7].order_id().uuid().as_bytes(), cut.clone());
        let waiting = buyers(&shop, requests.clone());
        until_queued(&shop, 20).await;
        tx.commit().await.unwrap();
        first.await.unwrap().unwrap();
        let mut sold = 0;
        for (buyer, request) in waiting.into_iter().zip(&requests) {
            match buyer.await.unwrap() {
                Ok(order) => {
                    assert_eq!(order.id, request.order_id());
                    sold += 1;
                }
                Err(refused) => assert!(refused.is_insufficient_stock(), "{cut:?}: {refused:?}"),
            }
        }
        assert!(!proxy.armed());
        assert_eq!(sold, 13, "{cut:?}");
        if let Cut::Late(..) = cut {
            // What was refused stays so, although there is stock again when its batch arrives.
            direct
                .adjust_stock(Adjustment::new(sku("pot"), 9, "delivery").unwrap())
                .await
                .unwrap();
            release.notify_one();
            done.notified().await;
            assert_eq!(stock_of(&direct, "pot").await, 9);
        }
        assert_eq!(order_count(&db.pool).await, 15, "{cut:?}");
        assert_books(&db.pool).await;
    }
}

/// The batch is on its way, its only request is asked for alone and refused, the stock comes back, the
/// batch arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_a_lost_batch_is_final() {
    let db = Db::new().await;
    let proxy = Proxy::new(&db).await;
    let direct = PgInventory::new(db.pool.clone());
    let shop = BatchedInventory::new(PgInventory::new(proxy.pool(4).await), OPTIONS.always());
    add(&direct, "pot", 3).await;
    // From here on two units are known to be there.
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let mut tx = db.pool.begin().await.unwrap();
    direct
        .checkout_in(&mut tx, &cart(&[("pot", 2)]))
        .await
        .unwrap();
    let request = cart(&[("pot", 1)]);
    let (release, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let late = Cut::Late(release.clone(), done.clone());
    proxy.trap(request.order_id().uuid().as_bytes(), late);
    let buyer = spawn(&shop, request.clone());
    until_somebody_waits(&db).await;
    assert!(!proxy.armed(), "it is the second attempt that waits");
    tx.commit().await.unwrap();
    let refused = buyer.await.unwrap().unwrap_err();
    assert!(refused.is_insufficient_stock(), "{refused:?}");
    let delivery = Adjustment::new(sku("pot"), 5, "delivery").unwrap();
    direct.adjust_stock(delivery).await.unwrap();
    release.notify_one();
    done.notified().await;
    assert_eq!(stock_of(&direct, "pot").await, 5);
    let void = direct.order(request.order_id()).await.unwrap();
    assert_eq!(void.status, OrderStatus::Void);
    assert_eq!(order_count(&db.pool).await, 2);
    assert_books(&db.pool).await;
}

/// What a queue knows is from its own last batch. Others sell, count and edit meanwhile; and the tables'
/// checks are not what keeps it right.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_may_be_old() {
    let (db, _) = shop(Default::ReadCommitted).await;
    let direct = PgInventory::new(db.pool.clone());
    let shop = BatchedInventory::new(direct.clone(), OPTIONS.always());
    drop_checks(&db.pool).await;
    add(&direct, "pot", 10).await;
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    direct.checkout(cart(&[("pot", 8)])).await.unwrap();
    // Nine are known to be there, and one is.
    let refused = shop.checkout(cart(&[("pot", 5)])).await.unwrap_err();
    assert!(refused.is_insufficient_stock(), "{refused:?}");

    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let delivery = || Adjustment::new(sku("pot"), 10, "delivery").unwrap();
    direct.adjust_stock(delivery()).await.unwrap();
    // The first finds that there are some after all, the second learns how many.
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let known = direct.product(&sku("pot")).await.unwrap();
    direct.adjust_stock(delivery()).await.unwrap();
    let line = || Line::new(sku("pot"), units(1));
    let stale = shop.checkout(Checkout::new([line().expecting_version(known.version)]).unwrap());
    assert!(stale.await.unwrap_err().is_conflict());

    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let mut edited = direct.product(&sku("pot")).await.unwrap();
    edited.price = pesos(3_000);
    direct.update_product(&edited).await.unwrap();
    let stale = shop.checkout(Checkout::new([line().expecting_price(known.price)]).unwrap());
    assert_eq!(stale.await.unwrap_err().code(), "price-changed");
    let order = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    assert_eq!(order.total, pesos(3_000));
    assert_books(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_from_200_callers_over_four_queues() {
    for stock in [500, 1] {
        let db = Db::new().await;
        let mut shops = Vec::new();
        for _ in 0..4 {
            let pool = pool_options(8).connect_with(db.database.options()).await;
            shops.push(BatchedInventory::new(
                PgInventory::new(pool.unwrap()),
                OPTIONS,
            ));
        }
        add(&shops[0], "pot", stock).await;
        let mut callers = JoinSet::new();
        for number in 0..200 {
            let shop = shops[number % 4].clone();
            let request = cart(&[("pot", 1)])
                .with_customer("ana")
                .with_idempotency_key("key");
            callers.spawn(async move { shop.checkout(request).await.unwrap() });
        }
        let answers = callers.join_all().await;
        let made = answers.iter().filter(|order| !order.replayed).count();
        assert_eq!(made, 1);
        assert!(answers.iter().all(|order| order.id == answers[0].id));
        assert_eq!(order_count(&db.pool).await, 1);
        assert_eq!(stock_of(&shops[0], "pot").await, stock - 1);
        // Others are not held up by keys that are taken.
        let others = (0..50).map(|_| cart(&[("pot", 1)])).collect();
        let others = race(&shops[1], others).await;
        assert_eq!(
            others.iter().filter(|other| other.is_ok()).count() as i64,
            (stock - 1).min(50)
        );
        assert_books(&db.pool).await;
    }
}

/// Two of one batch expect the same version: the first of them changes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_judged_at_its_turn() {
    let (db, _) = shop(Default::ReadCommitted).await;
    let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), OPTIONS.always());
    add(&shop, "pot", 100).await;
    let mut tx = db.pool.begin().await.unwrap();
    let inventory = shop.inventory();
    inventory
        .checkout_in(&mut tx, &cart(&[("pot", 1)]))
        .await
        .unwrap();
    let first = spawn(&shop, cart(&[("pot", 1)]));
    until_somebody_waits(&db).await;
    let expecting = || {
        let line = Line::new(sku("pot"), units(1));
        let line = line.expecting_version(optilock::Version::new(3).unwrap());
        Checkout::new([line]).unwrap()
    };
    let waiting = buyers(&shop, [expecting(), expecting()]);
    until_queued(&shop, 2).await;
    tx.commit().await.unwrap();
    first.await.unwrap().unwrap();
    let mut conflicts = 0;
    for buyer in waiting {
        if let Err(refused) = buyer.await.unwrap() {
            assert!(refused.is_conflict(), "{refused:?}");
            conflicts += 1;
        }
    }
    assert_eq!((conflicts, order_count(&db.pool).await), (1, 3));
    assert_books(&db.pool).await;
}

/// A trigger of the host's refuses one customer's order.
#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_request_fails_alone() {
    let (db, _) = shop(Default::ReadCommitted).await;
    let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), OPTIONS.always());
    sqlx::raw_sql(
        "CREATE FUNCTION public.poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.customer = 'poison' THEN RAISE 'not for you' USING ERRCODE = '22023'; END IF;
             RETURN NEW; END $$;
         CREATE TRIGGER poison BEFORE INSERT ON optilock.orders FOR EACH ROW EXECUTE FUNCTION public.poison()",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    add(&shop, "pot", 100).await;
    let requests = (0..40).map(|number| match number {
        17 => cart(&[("pot", 1)]).with_customer("poison"),
        _ => cart(&[("pot", 1)]).with_customer("ana"),
    });
    let answers = race(&shop, requests.collect()).await;
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].code(), "database");
    assert_eq!(
        (stock_of(&shop, "pot").await, order_count(&db.pool).await),
        (61, 39)
    );
    assert_books(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_before_his_batch_buys_nothing() {
    let (db, _) = shop(Default::ReadCommitted).await;
    let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), OPTIONS.always());
    add(&shop, "pot", 100).await;
    let mut tx = db.pool.begin().await.unwrap();
    shop.inventory()
        .checkout_in(&mut tx, &cart(&[("pot", 1)]))
        .await
        .unwrap();
    let first = spawn(&shop, cart(&[("pot", 1)]));
    until_somebody_waits(&db).await;
    let mut waiting = buyers(&shop, (0..10).map(|_| cart(&[("pot", 1)])));
    until_queued(&shop, 10).await;
    for gone in waiting.drain(3..8) {
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
    }
    // His batch has begun: it counts.
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    tx.commit().await.unwrap();
    for buyer in waiting {
        buyer.await.unwrap().unwrap();
    }
    shop.shutdown().await;
    assert_eq!(order_count(&db.pool).await, 1 + 1 + 5);
    assert_books(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_serves_who_waits_and_refuses_who_comes() {
    let (db, shop) = shop(Default::ReadCommitted).await;
    add(&shop, "pot", 1_000).await;
    let waiting = buyers(&shop, (0..300).map(|_| cart(&[("pot", 1)])));
    until_queued(&shop, 1).await;
    shop.shutdown().await;
    assert_eq!(shop.queue_depth(), 0);
    let late = shop.checkout(cart(&[("pot", 1)])).await.unwrap_err();
    assert!(late.is_busy() && late.http_status() == 503);
    let mut sold = 0;
    for buyer in waiting {
        match buyer.await.unwrap() {
            Ok(_) => sold += 1,
            Err(late) => assert!(late.is_busy(), "{late:?}"),
        }
    }
    assert_eq!(order_count(&db.pool).await, sold);
    assert_books(&db.pool).await;
}

/// A transaction of the host's holds one product for as long as it likes.
#[tokio::test(flavor = "multi_thread")]
async fn who_wants_something_else_does_not_wait_for_a_held_product() {
    let (db, shop) = shop(Default::ReadCommitted).await;
    add(&shop, "pot", 100).await;
    add(&shop, "mug", 100).await;
    let mut tx = db.pool.begin().await.unwrap();
    shop.inventory()
        .checkout_in(&mut tx, &cart(&[("pot", 1)]))
        .await
        .unwrap();
    let held = buyers(&shop, (0..5).map(|_| cart(&[("pot", 1)])));
    until_somebody_waits(&db).await;
    let others = buyers(&shop, (0..20).map(|_| cart(&[("mug", 1)])));
    for buyer in others {
        let answer = tokio::time::timeout(Duration::from_secs(8), buyer).await;
        answer.expect("it waits for nobody").unwrap().unwrap();
    }
    assert!(held.iter().all(|buyer| !buyer.is_finished()));
    tx.commit().await.unwrap();
    for buyer in held {
        buyer.await.unwrap().unwrap();
    }
    assert_eq!(order_count(&db.pool).await, 26);
    assert_books(&db.pool).await;
}

/// Ten thousand wait, and what each of them costs.
/// How many transactions cancelled orders.
async fn cancelling_transactions(db: &Db) -> i64 {
    sqlx::query_scalar("SELECT count(DISTINCT xmin::text) FROM optilock.orders WHERE status = 3")
        .fetch_one(&db.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn cancels_of_one_product_share_statements() {
    for default in [
        Default::ReadCommitted,
        Default::RepeatableRead,
        Default::Serializable,
    ] {
        let (db, shop) = shop(default).await;
        add(&shop, "jug", 200).await;
        add(&shop, "pot", 400).await;
        let mut orders = Vec::new();
        for bought in buyers(&shop, (0..200).map(|_| cart(&[("jug", 1), ("pot", 2)]))) {
            orders.push(bought.await.unwrap().unwrap().id);
        }
        let calls = shop.inventory().stats().calls;
        let mut cancels = JoinSet::new();
        for (number, id) in orders.into_iter().enumerate() {
            let shop = shop.clone();
            cancels.spawn(async move {
                let reason = format!("reason {number}");
                let order = shop.cancel(id, &reason).await.unwrap();
                assert_eq!((order.id, order.status), (id, OrderStatus::Cancelled));
                assert_eq!(order.reason.as_deref(), Some(&*reason));
                assert!(!order.replayed);
                let lines = order.lines.iter().map(|line| line.quantity.get());
                assert_eq!(lines.collect::<Vec<_>>(), [1, 2]);
            });
        }
        cancels.join_all().await;
        assert_eq!(shop.inventory().stats().calls - calls, 200);
        let transactions = cancelling_transactions(&db).await;
        assert!(
            transactions < 100,
            "{default:?}: {transactions} transactions for 200 cancels"
        );
        let stocks = (stock_of(&shop, "jug").await, stock_of(&shop, "pot").await);
        assert_eq!(stocks, (200, 400));
        assert_books(&db.pool).await;
    }
}

/// Each is answered as if it had come alone.
#[tokio::test]
async fn cancels_of_a_batch_have_their_own_answers() {
    let db = Db::with(Default::ReadCommitted, 16).await;
    let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), OPTIONS.always());
    add(&shop, "pot", 9).await;
    let buy = async || shop.checkout(cart(&[("pot", 1)])).await.unwrap().id;
    let (twice, paid, once) = (buy().await, buy().await, buy().await);
    shop.mark_paid(paid).await.unwrap();
    let unknown = OrderId::new();
    let cancel = |id| shop.cancel(id, "changed my mind");
    // On one thread, so that the worker begins when all of them wait.
    let (first, of_paid, of_unknown, second, of_once) = tokio::join!(
        cancel(twice),
        cancel(paid),
        cancel(unknown),
        cancel(twice),
        cancel(once)
    );
    assert!(!first.unwrap().replayed);
    assert!(second.unwrap().replayed);
    assert_eq!(of_once.unwrap().status, OrderStatus::Cancelled);
    let closed = matches!(
        of_paid,
        Err(Error::InvalidOrderState { id, status: OrderStatus::Paid }) if id == paid
    );
    assert!(closed, "{of_paid:?}");
    assert!(of_unknown.unwrap_err().is_not_found());
    assert!(matches!(
        shop.cancel(once, " ").await,
        Err(Error::Invalid { .. })
    ));
    assert_eq!(stock_of(&shop, "pot").await, 8);
    assert_books(&db.pool).await;
}

/// Somebody holds one order for long: whoever cancels another is not to wait for him.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_order_holds_up_no_other_cancel() {
    let (db, direct) = shop(Default::ReadCommitted).await;
    let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), OPTIONS.always());
    add(&shop, "pot", 30).await;
    let mut orders = Vec::new();
    for bought in buyers(&direct, (0..20).map(|_| cart(&[("pot", 1)]))) {
        orders.push(bought.await.unwrap().unwrap().id);
    }
    let mut holder = db.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM optilock.orders WHERE id = $1 FOR UPDATE")
        .bind(orders[0].uuid())
        .execute(&mut *holder)
        .await
        .unwrap();
    let mut cancels = JoinSet::new();
    for id in orders.clone() {
        let shop = shop.clone();
        cancels.spawn(async move { shop.cancel(id, "changed my mind").await });
    }
    for _ in 1..orders.len() {
        let done = cancels.join_next().await.unwrap().unwrap().unwrap();
        assert_ne!(done.id, orders[0]);
    }
    holder.rollback().await.unwrap();
    let last = cancels.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(last.id, orders[0]);
    shop.shutdown().await;
    assert_eq!(stock_of(&shop, "pot").await, 30);
    assert_books(&db.pool).await;
}

/// A payment that is about to commit: what it leaves is what counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_waits_for_a_payment() {
    let (db, direct) = shop(Default::ReadCommitted).await;
    let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), OPTIONS.always());
    add(&shop, "pot", 9).await;
    let id = direct.checkout(cart(&[("pot", 1)])).await.unwrap().id;
    let mut payment = db.pool.begin().await.unwrap();
    shop.inventory()
        .mark_paid_in(&mut payment, id)
        .await
        .unwrap();
    let cancel = tokio::spawn({
        let shop = shop.clone();
        async move { shop.cancel(id, "changed my mind").await }
    });
    until_somebody_waits(&db).await;
    payment.commit().await.unwrap();
    let refused = cancel.await.unwrap().unwrap_err();
    assert!(
        matches!(
            refused,
            Error::InvalidOrderState {
                status: OrderStatus::Paid,
                ..
            }
        ),
        "{refused:?}"
    );
    assert_eq!(stock_of(&shop, "pot").await, 8);
    assert_books(&db.pool).await;
}

/// Cancels, payments and clean-ups of the same orders: each order ends once.
#[tokio::test(flavor = "multi_thread")]
async fn cancels_race_payments_and_clean_ups() {
    let (db, shop) = shop(Default::ReadCommitted).await;
    add(&shop, "jug", 1_000).await;
    add(&shop, "pot", 1_000).await;
    let mut orders = Vec::new();
    for bought in buyers(&shop, (0..400).map(|_| cart(&[("jug", 1), ("pot", 1)]))) {
        orders.push(bought.await.unwrap().unwrap().id);
    }
    let (paid, cancelled) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut steps = JoinSet::new();
    for (number, id) in orders.iter().copied().enumerate() {
        for step in 0..3 {
            let (shop, paid, cancelled) = (shop.clone(), Arc::clone(&paid), Arc::clone(&cancelled));
            steps.spawn(async move {
                let answer = match (step + number) % 3 {
                    0 => shop.mark_paid(id).await,
                    _ => shop.cancel(id, "changed my mind").await,
                };
                match answer {
                    Ok(order) if order.replayed => {}
                    Ok(order) if order.status == OrderStatus::Paid => {
                        paid.fetch_add(1, Relaxed);
                    }
                    Ok(_) => {
                        cancelled.fetch_add(1, Relaxed);
                    }
                    Err(Error::InvalidOrderState { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            });
        }
        if number == 200 {
            let shop = shop.clone();
            steps.spawn(async move {
                shop.cleanup_failed_orders(Duration::from_secs(3_600))
                    .await
                    .unwrap();
            });
        }
    }
    steps.join_all().await;
    let (paid, cancelled) = (paid.load(Relaxed), cancelled.load(Relaxed));
    assert_eq!(paid + cancelled, 400, "{paid} paid, {cancelled} cancelled");
    let left = 1_000 - i64::try_from(paid).unwrap();
    assert_eq!(stock_of(&shop, "pot").await, left);
    assert_eq!(deadlocks(&db.pool).await, 0);
    assert_books(&db.pool).await;
}

#[test]
fn ten_thousand_wait_and_none_is_lost() {
    const WAITING: usize = 10_000;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (db, shop, tx) = runtime.block_on(async {
        let db = Db::new().await;
        let options = OPTIONS.always().with_queue(WAITING);
        let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), options);
        add(&shop, "pot", 1_000_000).await;
        let mut tx = db.pool.begin().await.unwrap();
        shop.inventory()
            .checkout_in(&mut tx, &cart(&[("pot", 1)]))
            .await
            .unwrap();
        (db, shop, tx)
    });
    let first = runtime.spawn(spawn_checkout(shop.clone()));
    runtime.block_on(until_somebody_waits(&db));
    let mut waiting = Vec::with_capacity(WAITING);
    let cost = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..WAITING {
                waiting.push(tokio::spawn(spawn_checkout(shop.clone())));
            }
            while shop.queue_depth() < WAITING {
                tokio::task::yield_now().await;
            }
        });
    });
    let each = cost.bytes_current / WAITING as i64;
    assert!(each > 0 && each < 2_048, "{each} bytes each");
    runtime.block_on(async {
        let full = shop.checkout(cart(&[("pot", 1)])).await.unwrap_err();
        let Error::Busy {
            retry_after: Some(retry_after),
            ..
        } = full
        else {
            panic!("{full:?}");
        };
        assert!(retry_after > Duration::ZERO);
        tx.commit().await.unwrap();
        first.await.unwrap();
        for buyer in waiting {
            buyer.await.unwrap();
        }
        assert_eq!(order_count(&db.pool).await, WAITING as i64 + 2);
        assert_books(&db.pool).await;
    });
}

async fn spawn_checkout(shop: BatchedInventory) {
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
}

/// Every backend is killed every 50 ms under 256 buyers. `OPTILOCK_KILL_SECONDS` for how long, 2 by
/// default.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_kills() {
    let asked = std::env::var("OPTILOCK_KILL_SECONDS").ok();
    let alone = asked.is_some();
    let seconds = asked.map_or(2, |text| text.parse().unwrap());
    let db = Db::new().await;
    let pool = pool_options(32).connect_with(db.database.options()).await;
    let shop = BatchedInventory::new(PgInventory::new(pool.unwrap()), OPTIONS);
    add(&shop, "pot", 1_000_000_000).await;
    let (done, sold) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut buyers = JoinSet::new();
    for _ in 0..256 {
        let (shop, done, sold) = (shop.clone(), Arc::clone(&done), Arc::clone(&sold));
        buyers.spawn(async move {
            let (mut acknowledged, mut unknown) = (Vec::new(), Vec::new());
            while !done.load(Relaxed) {
                let request = cart(&[("pot", 1)]);
                let id = request.order_id();
                match shop.checkout(request).await {
                    Ok(order) => {
                        assert_eq!(order.id, id);
                        sold.fetch_add(1, Relaxed);
                        acknowledged.push(id);
                    }
                    Err(error) if error.is_unknown() => unknown.push(id),
                    Err(error) => assert!(error.is_busy(), "{error:?}"),
                }
            }
            (acknowledged, unknown)
        });
    }
    let second = async || {
        let before = sold.load(Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
        sold.load(Relaxed) - before
    };
    let before = second().await;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> 'killer'";
    let mut killer =
        sqlx::PgConnection::connect_with(&db.database.options().application_name("killer"))
            .await
            .unwrap();
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    while Instant::now() < end {
        ticks.tick().await;
        sqlx::query(kill).execute(&mut killer).await.unwrap();
    }
    let recovered = second().await;
    let again = second().await;
    done.store(true, Relaxed);
    let mut acknowledged = 0;
    let mut unknown = 0;
    for (buyer, doubtful) in buyers.join_all().await {
        let ids: Vec<_> = buyer.iter().map(|id| id.uuid()).collect();
        let stored = "SELECT count(*) FROM optilock.orders WHERE id = ANY ($1) AND status = 0";
        let there: i64 = sqlx::query_scalar(stored)
            .bind(&ids)
            .fetch_one(&mut killer)
            .await
            .unwrap();
        assert_eq!(
            there,
            buyer.len() as i64,
            "an acknowledged order is missing"
        );
        acknowledged += buyer.len() as i64;
        unknown += doubtful.len() as i64;
    }
    let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM optilock.orders WHERE status <> 4")
        .fetch_one(&mut killer)
        .await
        .unwrap();
    assert!(
        (acknowledged..=acknowledged + unknown).contains(&orders),
        "{acknowledged} {unknown} {orders}"
    );
    println!(
        "orders in a second: {before} before, {recovered} and {again} after the last kill; {unknown} unknown"
    );
    // Beside other tests a third of what it was; alone, within a second of the last kill, most of it.
    assert!(again > before / 3, "{before} before, {again} afterwards");
    assert!(
        !alone || recovered > before / 2,
        "{before} before, {recovered} in the second afterwards"
    );
    let audit = PgInventory::new(
        pool_options(1)
            .connect_with(db.database.options())
            .await
            .unwrap(),
    )
    .audit()
    .await
    .unwrap();
    assert!(audit.is_clean(), "{audit}");
}
