//! Many checkouts in one statement, each with an answer of its own.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use optilock::{
    inventory::{Adjustment, BatchedInventory, Checkout, Inventory, Line, PgInventory},
    sqlx,
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use tokio::task::JoinSet;

use super::{OPTIONS, buyers, shop, spawn, until_queued};
use crate::{
    inventory::scenarios::race,
    support::{
        bank::until_waiting,
        db::{Db, Default, assert_books, deadlocks, drop_checks, order_count, pool_options},
        goods::{add, cart, pesos, sku, stock_of, units},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_buyers_of_ten_units_buy_ten() {
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
async fn random_carts_of_three_processes_balance() {
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

/// What a queue knows is from its own last batch. Others sell, count and edit meanwhile; and the tables'
/// checks are not what keeps it right.
#[tokio::test(flavor = "multi_thread")]
async fn outdated_stock_of_the_queue_is_corrected() {
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
async fn one_idempotency_key_sells_once_over_four_queues() {
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
async fn a_version_is_judged_in_the_order_of_the_batch() {
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
    until_waiting(&db.pool).await;
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
async fn a_failing_request_does_not_fail_its_batch() {
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
