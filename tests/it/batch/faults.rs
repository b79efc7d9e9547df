//! A fault costs the requests that it concerns, and no others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use optilock::{
    inventory::{BatchedInventory, ErrorKind, Inventory, PgInventory},
    sqlx,
};
use tokio::{task::JoinSet, time::timeout};

use super::{
    OPTIONS, always_batched, one_pot, sell_and_hold, spawn_checkout, spawn_checkouts, until_queued,
};
use crate::{
    attacks::runtimes::on_another_runtime,
    support::{
        SHUTDOWN,
        bank::until_waiting,
        connect::pool_of,
        db::{Db, assert_balanced, assert_idle, order_count},
        goods::{add, cart, sku, stock_of},
        proxy::Proxy,
        race::race,
        triggers,
    },
};

/// A test of the host's fails while checkouts and cancellations wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_unwinds_ends_its_requests() {
    let db = Db::new().await;
    let direct = PgInventory::new(db.pool.clone());
    add(&direct, "pot", 100).await;
    let order = direct.checkout(one_pot()).await.unwrap().id;
    let tx = sell_and_hold(&db, &direct, 1).await;
    let unwound = on_another_runtime(db.database.options(), |runtime, pool| {
        let shop = BatchedInventory::new(PgInventory::new(pool.clone()), OPTIONS.always());
        runtime.block_on(async {
            let first = spawn_checkout(&shop, one_pot());
            until_waiting(&pool).await;
            let _waiting = spawn_checkouts(&shop, (0..20).map(|_| one_pot()));
            let cancelling = shop.clone();
            tokio::spawn(async move { cancelling.cancel(order, "changed my mind").await });
            until_queued(&shop, 20).await;
            drop(first);
            panic!("a test of the host's fails");
        });
    });
    assert!(unwound.is_err());
    tx.commit().await.unwrap();
    assert_idle(&db.pool).await;
    assert_balanced(&db.pool).await;
}

/// A trigger of the host's refuses the order of one customer. The batch is divided until that order is alone, so that
/// the others do not become as many transactions.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_row_leaves_the_others_in_batches() {
    let (db, shop) = always_batched().await;
    add(&shop, "pot", 1_000).await;
    let refuse = "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'refused' USING ERRCODE = '23514'; END $$;
        CREATE TRIGGER refused BEFORE INSERT ON optilock.orders FOR EACH ROW
            WHEN (NEW.customer = 'refused') EXECUTE FUNCTION public.refuse()";
    triggers::run(&db.pool, refuse).await;
    let customer = |number| if number == 150 { "refused" } else { "buyer" };
    let requests = (0..200).map(|number| one_pot().with_customer(customer(number)));
    let answers = race(&shop, requests.collect()).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1);
    // The rows of a batch have one transaction. 200 requests are a few batches, and one of them is halved eight times.
    let transactions =
        "SELECT count(DISTINCT xmin::text) FROM optilock.orders WHERE customer = 'buyer'";
    let transactions: i64 = sqlx::query_scalar(transactions)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert!(transactions < 50, "{transactions} transactions");
    assert_balanced(&db.pool).await;
}

/// The answer of a batch of pots does not arrive, and its connection stays open.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_stops_its_own_batch_only() {
    const LIMIT: Duration = Duration::from_secs(4);
    let db = Db::new().await;
    let proxy = Proxy::new(&db).await;
    let direct = PgInventory::new(db.pool.clone());
    add(&direct, "pot", 100).await;
    add(&direct, "mug", 100).await;
    let options = OPTIONS.always().with_time_limit(LIMIT);
    let shop = BatchedInventory::new(PgInventory::new(proxy.pool(8).await), options);
    let tx = sell_and_hold(&db, &direct, 1).await;
    let mut pots = spawn_checkouts(&shop, (0..3).map(|_| one_pot()));
    until_waiting(&db.pool).await;
    proxy.silence();
    tx.commit().await.unwrap();
    let began = Instant::now();
    pots.extend(spawn_checkouts(&shop, (0..3).map(|_| one_pot())));
    for mug in spawn_checkouts(&shop, (0..20).map(|_| cart(&[("mug", 1)]))) {
        mug.await.unwrap().unwrap();
    }
    assert!(began.elapsed() < LIMIT / 2, "{:?}", began.elapsed());
    for pot in pots {
        pot.await.unwrap().unwrap();
    }
    assert!(began.elapsed() < LIMIT * 2, "{:?}", began.elapsed());
    shop.shutdown(SHUTDOWN).await.unwrap();
    assert_eq!(order_count(&db.pool).await, 1 + 6 + 20);
    assert_eq!(stock_of(&direct, "pot").await, 100 - 1 - 6);
    assert_balanced(&db.pool).await;
}

/// Another session locks a product for longer than its buyers wait.
#[tokio::test(flavor = "multi_thread")]
async fn buyers_of_a_locked_product_leave_the_pool_to_others() {
    let db = Db::new().await;
    let pool = pool_of(&db, 10).await;
    let shop = BatchedInventory::new(PgInventory::new(pool.clone()), OPTIONS);
    add(&shop, "pot", 100).await;
    add(&shop, "mug", 100).await;
    let tx = sell_and_hold(&db, shop.inventory(), 1).await;
    let began = Instant::now();
    let pots = spawn_checkouts(&shop, (0..40).map(|_| one_pot()));
    until_waiting(&db.pool).await;
    for _ in 0..10 {
        let mugs = spawn_checkouts(&shop, (0..10).map(|_| cart(&[("mug", 1)])));
        for mug in mugs {
            let answer = timeout(Duration::from_secs(2), mug).await;
            answer.expect("no wait for the pot").unwrap().unwrap();
        }
        let mug = sku("mug");
        let read = timeout(Duration::from_secs(1), shop.product(&mug));
        drop(read.await.expect("a connection is free").unwrap());
    }
    // The first one waits as long as without a queue, the others as long as their policy allows.
    let mut refused = 0;
    while refused < 39 {
        refused = pots.iter().filter(|pot| pot.is_finished()).count();
        assert!(began.elapsed() < Duration::from_secs(20), "{refused}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(began.elapsed() > Duration::from_secs(2));
    tx.commit().await.unwrap();
    let mut sold = 0;
    for pot in pots {
        match pot.await.unwrap() {
            Ok(_) => sold += 1,
            Err(refused) => {
                assert_eq!(refused.kind(), ErrorKind::Busy, "{refused:?}");
                assert!(refused.retry_after().is_some());
            }
        }
    }
    assert_eq!(sold, 1);
    assert_eq!(order_count(&db.pool).await, 1 + 1 + 100);
    assert_balanced(&db.pool).await;
}

/// Buyers come from several tasks until the pool is closed.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_can_be_closed_while_buyers_come() {
    let db = Db::new().await;
    let pool = pool_of(&db, 4).await;
    let shop = BatchedInventory::new(PgInventory::new(pool.clone()), OPTIONS.always());
    add(&shop, "pot", 1_000_000).await;
    let (stopped, sold) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut buyers = JoinSet::new();
    for _ in 0..32 {
        let (shop, stopped, sold) = (shop.clone(), Arc::clone(&stopped), Arc::clone(&sold));
        buyers.spawn(async move {
            while !stopped.load(SeqCst) {
                match shop.checkout(one_pot()).await {
                    Ok(_) => drop(sold.fetch_add(1, SeqCst)),
                    Err(error) => assert!(!error.is_unknown(), "{error:?}"),
                }
            }
        });
    }
    while sold.load(SeqCst) < 100 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let closed = timeout(Duration::from_secs(10), pool.close()).await;
    stopped.store(true, SeqCst);
    closed.expect("the worker returns its connection");
    buyers.join_all().await;
    assert_eq!(order_count(&db.pool).await, sold.load(SeqCst) as i64);
    assert_balanced(&db.pool).await;
}
