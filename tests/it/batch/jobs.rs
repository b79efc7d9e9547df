//! Requests of every kind in shared statements.

use std::time::Duration;

use optilock::{
    inventory::{
        BatchedInventory, Checkout, ErrorKind, HoldState, Inventory, OrderStatus, PgInventory,
        Reservation, ReservationId, Reserve, ReturnRequest,
    },
    sqlx,
};
use tokio::task::JoinSet;

use super::{ISOLATION_LEVELS, OPTIONS, always_batched, batched, one_pot, spawn_checkouts};
use crate::support::{
    db::{Db, Default, assert_balanced},
    goods::{add, cart, sku, stock_of, units},
};

fn reserve_pots(quantity: i64) -> Reserve {
    Reserve::new([(sku("pot"), units(quantity))]).unwrap()
}

/// Runs the calls at the same time and returns their answers in the order of the calls.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    calls: impl IntoIterator<Item = F>,
) -> Vec<T> {
    let mut tasks = JoinSet::new();
    for (index, call) in calls.into_iter().enumerate() {
        tasks.spawn(async move { (index, call.await) });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Reserves a pot `count` times at once.
async fn reservations(shop: &BatchedInventory, count: usize) -> Vec<Reservation> {
    let calls = (0..count).map(|_| {
        let shop = shop.clone();
        async move { shop.reserve(reserve_pots(1)).await.unwrap() }
    });
    at_once(calls).await
}

fn from(id: ReservationId) -> Checkout {
    one_pot().with_reservation(id)
}

/// Returns the number of transactions that wrote movements of this kind.
async fn transactions(db: &Db, kind: i16) -> i64 {
    sqlx::query_scalar("SELECT count(DISTINCT xmin::text) FROM optilock.movements WHERE kind = $1")
        .bind(kind)
        .fetch_one(&db.pool)
        .await
        .unwrap()
}

async fn reserved(shop: &BatchedInventory) -> i64 {
    shop.product(&sku("pot")).await.unwrap().reserved.get()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_sale_shares_statements() {
    for default in ISOLATION_LEVELS {
        let (db, shop) = batched(default).await;
        add(&shop, "pot", 400).await;
        let held = reservations(&shop, 200).await;
        for reservation in &held {
            let hold = &reservation.holds[0];
            assert_eq!((hold.held, hold.state), (1, HoldState::Held));
            assert_eq!(
                (hold.expires_at - reservation.created_at).num_seconds(),
                600
            );
            assert_eq!(
                shop.reservation(reservation.id).await.unwrap(),
                *reservation
            );
        }
        assert_eq!(reserved(&shop).await, 200);
        let mut sold = Vec::new();
        for answer in spawn_checkouts(&shop, held.iter().map(|held| from(held.id))) {
            sold.push(answer.await.unwrap().unwrap());
        }
        assert_eq!(
            (stock_of(&shop, "pot").await, reserved(&shop).await),
            (200, 0)
        );
        let used = shop.reservation(held[7].id).await.unwrap();
        assert_eq!(used.holds[0].state, HoldState::Consumed);
        for order in &sold {
            shop.mark_paid(order.id).await.unwrap();
        }
        let returns = sold.iter().map(|order| {
            let request = ReturnRequest::new(order.id, [(sku("pot"), units(1))], "broken");
            let shop = shop.clone();
            async move { shop.return_items(request.unwrap()).await.unwrap() }
        });
        for order in at_once(returns).await {
            assert_eq!(
                (order.lines[0].returned, order.status),
                (1, OrderStatus::Paid)
            );
            assert_eq!(shop.order(order.id).await.unwrap(), order);
        }
        assert_eq!(stock_of(&shop, "pot").await, 400);
        for (kind, name) in [(4, "reserved"), (1, "sold"), (11, "returned")] {
            let transactions = transactions(&db, kind).await;
            assert!(
                transactions < 100,
                "{default:?}: {transactions} transactions for 200 units {name}"
            );
        }
        assert_balanced(&db.pool).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reservations_are_extended_and_released_together() {
    let (db, shop) = batched(crate::support::db::Default::ReadCommitted).await;
    add(&shop, "pot", 200).await;
    let held = reservations(&shop, 200).await;
    let hour = Duration::from_secs(3_600);
    let extensions = held.iter().map(|held| {
        let (shop, id) = (shop.clone(), held.id);
        async move { shop.extend(id, hour).await.unwrap() }
    });
    for (before, after) in held.iter().zip(at_once(extensions).await) {
        let longer = after.holds[0].expires_at - before.holds[0].expires_at;
        assert!(longer.num_minutes() >= 45, "{longer}");
        assert_eq!(shop.reservation(after.id).await.unwrap(), after);
    }
    let releases = held.iter().map(|held| {
        let (shop, id) = (shop.clone(), held.id);
        async move { shop.release(id).await.unwrap() }
    });
    at_once(releases).await;
    assert_eq!(
        (stock_of(&shop, "pot").await, reserved(&shop).await),
        (200, 0)
    );
    let transactions = transactions(&db, 10).await;
    assert!(
        transactions < 100,
        "{transactions} transactions for 200 releases"
    );
    assert_balanced(&db.pool).await;
}

/// Requests of one batch, of all kinds and of one product, each with the answer of its turn.
#[tokio::test]
async fn kinds_are_mixed_in_the_order_of_arrival() {
    let (db, shop) = always_batched().await;
    add(&shop, "pot", 4).await;
    let unpaid = shop.checkout(one_pot()).await.unwrap().id;
    let paid = shop.checkout(one_pot()).await.unwrap().id;
    shop.mark_paid(paid).await.unwrap();
    let used = shop.reserve(reserve_pots(1)).await.unwrap().id;
    let released = shop.reserve(reserve_pots(1)).await.unwrap().id;
    let back = ReturnRequest::new(paid, [(sku("pot"), units(1))], "broken").unwrap();
    // On one thread the worker starts after all of them have joined the queue. Nothing is available before the
    // first of them gives a unit back.
    let answers = tokio::join!(
        shop.cancel(unpaid, "late"),
        shop.reserve(reserve_pots(1)),
        shop.checkout(from(used)),
        shop.return_items(back.clone()),
        shop.checkout(one_pot()),
        shop.release(released),
        shop.checkout(one_pot()),
        shop.checkout(from(used)),
        shop.checkout(from(released)),
        shop.checkout(one_pot()),
    );
    assert_eq!(answers.0.unwrap().status, OrderStatus::Cancelled);
    assert_eq!(answers.1.unwrap().holds[0].held, 1);
    answers.2.unwrap();
    assert_eq!(answers.3.unwrap().lines[0].returned, 1);
    answers.4.unwrap();
    answers.5.unwrap();
    answers.6.unwrap();
    assert_eq!(answers.7.unwrap_err().kind(), ErrorKind::ReservationClosed);
    assert_eq!(answers.8.unwrap_err().kind(), ErrorKind::ReservationClosed);
    assert_eq!(answers.9.unwrap_err().kind(), ErrorKind::InsufficientStock);
    assert_eq!(
        (stock_of(&shop, "pot").await, reserved(&shop).await),
        (1, 1)
    );
    // A repeated return has no effect.
    let again = shop.return_items(back).await.unwrap();
    assert!(again.replayed && again.lines[0].returned == 1);
    assert_balanced(&db.pool).await;
}

/// A product is sold out: most buyers are refused, by reads that they share.
#[tokio::test(flavor = "multi_thread")]
async fn buyers_of_a_sold_out_product_are_refused_together() {
    let (db, shop) = always_batched().await;
    add(&shop, "pot", 3).await;
    let answers = spawn_checkouts(&shop, (0..200).map(|_| one_pot()));
    let (mut sold, mut refused) = (0, 0);
    for answer in answers {
        match answer.await.unwrap() {
            Ok(_) => sold += 1,
            Err(error) => {
                assert_eq!(error.shortages()[0].available, 0, "{error:?}");
                refused += 1;
            }
        }
    }
    assert_eq!((sold, refused), (3, 197));
    let holds = at_once((0..100).map(|_| {
        let shop = shop.clone();
        async move { shop.reserve(reserve_pots(1)).await.unwrap_err().kind() }
    }));
    assert!(
        holds
            .await
            .iter()
            .all(|kind| *kind == ErrorKind::InsufficientStock)
    );
    assert_balanced(&db.pool).await;
}

/// The units of holds past their time can be sold, also before a clean-up has ended them.
#[tokio::test(flavor = "multi_thread")]
async fn expired_holds_do_not_block_a_batch() {
    let (db, shop) = always_batched().await;
    add(&shop, "pot", 40).await;
    let holds = (0..40).map(|_| {
        let request = reserve_pots(1).for_duration(Duration::from_micros(1));
        let shop = shop.clone();
        async move { shop.reserve(request).await.unwrap() }
    });
    at_once(holds).await;
    for answer in spawn_checkouts(&shop, (0..40).map(|_| one_pot())) {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(
        (stock_of(&shop, "pot").await, reserved(&shop).await),
        (0, 0)
    );
    assert_balanced(&db.pool).await;
}

/// Two checkouts of one reservation in one batch sell its units once.
#[tokio::test]
async fn a_reservation_is_sold_once_in_a_batch() {
    let (db, shop) = always_batched().await;
    add(&shop, "pot", 9).await;
    let held = shop.reserve(reserve_pots(3)).await.unwrap().id;
    let buy = |quantity| shop.checkout(cart(&[("pot", quantity)]).with_reservation(held));
    let (first, second, third) = tokio::join!(buy(2), buy(2), buy(1));
    first.unwrap();
    second.unwrap();
    assert_eq!(third.unwrap_err().kind(), ErrorKind::ReservationClosed);
    assert_eq!(
        (stock_of(&shop, "pot").await, reserved(&shop).await),
        (5, 0)
    );
    assert_balanced(&db.pool).await;
}

/// A SKU may contain what separates the elements of an array in SQL.
#[tokio::test]
async fn a_return_stores_any_sku() {
    let (db, shop) = always_batched().await;
    let name = r#"a "big" \pot, {NULL}"#;
    add(&shop, name, 9).await;
    let id = shop.checkout(cart(&[(name, 2)])).await.unwrap().id;
    shop.mark_paid(id).await.unwrap();
    let back = ReturnRequest::new(id, [(sku(name), units(1))], "broken").unwrap();
    shop.return_items(back.clone()).await.unwrap();
    // The plain statement compares the stored arrays with the request.
    let again = shop.inventory().return_items(back).await.unwrap();
    assert!(again.replayed && again.lines[0].returned == 1);
    assert_balanced(&db.pool).await;
}

/// The queue knows that nothing is left, so the batch writes nothing: its refusals share statements all the same.
#[tokio::test]
async fn refusals_of_a_product_known_to_be_sold_out_share_statements() {
    // All statistics of one connection can be flushed.
    let db = Db::with(Default::ReadCommitted, 1).await;
    let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), OPTIONS.always());
    add(&shop, "pot", 3).await;
    for _ in 0..3 {
        shop.checkout(one_pot()).await.unwrap();
    }
    let transactions = async || {
        let flush = "SELECT pg_stat_force_next_flush()";
        sqlx::query(flush).execute(&db.pool).await.unwrap();
        let count = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";
        sqlx::query_scalar::<_, i64>(count)
            .fetch_one(&db.pool)
            .await
            .unwrap()
    };
    // The statistics of a statement are flushed by the next one.
    transactions().await;
    let before = transactions().await;
    for answer in spawn_checkouts(&shop, (0..200).map(|_| one_pot())) {
        assert!(answer.await.unwrap().unwrap_err().is_insufficient_stock());
    }
    // Two reads, those of the pool, and those of this test.
    // The statistics of a statement are flushed by the next one.
    transactions().await;
    let count = transactions().await - before;
    assert!(count < 50, "{count} transactions");
}
