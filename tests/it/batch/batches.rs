//! Many checkouts in one statement, each with an answer of its own.

use optilock::{
    Version,
    inventory::{BatchedInventory, Checkout, Inventory, Line, PgInventory},
    sqlx,
};
use tokio::task::JoinSet;

use super::{
    ISOLATION_LEVELS, OPTIONS, always_batched, batched, deliver, one_pot, sell_and_hold,
    spawn_checkout, spawn_checkouts, until_queued,
};
use crate::support::{
    bank::until_waiting,
    connect::pool_of,
    db::{Db, assert_balanced, drop_checks, order_count},
    goods::{add, cart, pesos, sku, stock_of, units},
    race::race,
};

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_buyers_of_ten_units_buy_ten() {
    for default in ISOLATION_LEVELS {
        let (db, shop) = batched(default).await;
        add(&shop, "pot", 10).await;
        let requests = (0..64).map(|_| one_pot()).collect();
        let answers = race(&shop, requests).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
        for refused in answers.into_iter().filter_map(Result::err) {
            assert!(refused.is_insufficient_stock(), "{refused:?}");
        }
        assert_eq!(
            (stock_of(&shop, "pot").await, order_count(&db.pool).await),
            (0, 10)
        );
        assert_balanced(&db.pool).await;
    }
}

/// The queue keeps the stock of its last batch, while other writers sell, deliver and edit. The CHECK
/// constraints of the tables are dropped, so that only the statements prevent an oversale.
#[tokio::test(flavor = "multi_thread")]
async fn outdated_stock_of_the_queue_is_corrected() {
    let (db, shop) = always_batched().await;
    let direct = shop.inventory();
    drop_checks(&db.pool).await;
    add(&shop, "pot", 10).await;
    shop.checkout(one_pot()).await.unwrap();
    direct.checkout(cart(&[("pot", 8)])).await.unwrap();
    // The queue knows of nine units, and one is left.
    let refused = shop.checkout(cart(&[("pot", 5)])).await.unwrap_err();
    assert!(refused.is_insufficient_stock(), "{refused:?}");

    shop.checkout(one_pot()).await.unwrap();
    deliver(direct, 10).await;
    // The first checkout finds that there is stock, and the second finds how much.
    shop.checkout(one_pot()).await.unwrap();
    shop.checkout(one_pot()).await.unwrap();
    let known = direct.product(&sku("pot")).await.unwrap();
    deliver(direct, 10).await;
    let line = || Line::new(sku("pot"), units(1));
    let stale = shop.checkout(Checkout::new([line().expecting_version(known.version)]).unwrap());
    assert!(stale.await.unwrap_err().is_conflict());

    shop.checkout(one_pot()).await.unwrap();
    let mut edited = direct.product(&sku("pot")).await.unwrap();
    edited.price = pesos(3_000);
    direct.update_product(&edited).await.unwrap();
    let stale = shop.checkout(Checkout::new([line().expecting_price(known.price)]).unwrap());
    assert_eq!(stale.await.unwrap_err().code(), "price-changed");
    let order = shop.checkout(one_pot()).await.unwrap();
    assert_eq!(order.total, pesos(3_000));
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_idempotency_key_sells_once_over_four_queues() {
    for stock in [500, 1] {
        let db = Db::new().await;
        let mut shops = Vec::new();
        for _ in 0..4 {
            let inventory = PgInventory::new(pool_of(&db, 8).await);
            shops.push(BatchedInventory::new(inventory, OPTIONS));
        }
        add(&shops[0], "pot", stock).await;
        let mut callers = JoinSet::new();
        for number in 0..200 {
            let shop = shops[number % 4].clone();
            let request = one_pot().with_customer("ana").with_idempotency_key("key");
            callers.spawn(async move { shop.checkout(request).await.unwrap() });
        }
        let answers = callers.join_all().await;
        let made = answers.iter().filter(|order| !order.replayed).count();
        assert_eq!(made, 1);
        assert!(answers.iter().all(|order| order.id == answers[0].id));
        assert_eq!(order_count(&db.pool).await, 1);
        assert_eq!(stock_of(&shops[0], "pot").await, stock - 1);
        // A used key does not delay other requests.
        let others = (0..50).map(|_| one_pot()).collect();
        let others = race(&shops[1], others).await;
        assert_eq!(
            others.iter().filter(|other| other.is_ok()).count() as i64,
            (stock - 1).min(50)
        );
        assert_balanced(&db.pool).await;
    }
}

/// Two requests of one batch expect the same version, and the first of them changes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_judged_in_the_order_of_the_batch() {
    let (db, shop) = always_batched().await;
    add(&shop, "pot", 100).await;
    let tx = sell_and_hold(&db, shop.inventory(), 1).await;
    let first = spawn_checkout(&shop, one_pot());
    until_waiting(&db.pool).await;
    let expecting = || {
        let line = Line::new(sku("pot"), units(1));
        let line = line.expecting_version(Version::new(3).unwrap());
        Checkout::new([line]).unwrap()
    };
    let waiting = spawn_checkouts(&shop, [expecting(), expecting()]);
    until_queued(&shop, 2).await;
    tx.commit().await.unwrap();
    first.await.unwrap().unwrap();
    let mut conflicts = 0;
    for answer in waiting {
        if let Err(refused) = answer.await.unwrap() {
            assert!(refused.is_conflict(), "{refused:?}");
            conflicts += 1;
        }
    }
    assert_eq!((conflicts, order_count(&db.pool).await), (1, 3));
    assert_balanced(&db.pool).await;
}

/// A trigger of the host refuses the order of one customer.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_request_does_not_fail_its_batch() {
    let (db, shop) = always_batched().await;
    sqlx::raw_sql(
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.customer = 'refused' THEN RAISE 'not for you' USING ERRCODE = '22023'; END IF;
             RETURN NEW; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON optilock.orders FOR EACH ROW EXECUTE FUNCTION public.refuse()",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    add(&shop, "pot", 100).await;
    let requests = (0..40).map(|number| match number {
        17 => one_pot().with_customer("refused"),
        _ => one_pot().with_customer("ana"),
    });
    let answers = race(&shop, requests.collect()).await;
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].code(), "database");
    assert_eq!(
        (stock_of(&shop, "pot").await, order_count(&db.pool).await),
        (61, 39)
    );
    assert_balanced(&db.pool).await;
}
