//! What holds a ledger.

use std::time::Duration;

use optilock::inventory::{ArchivedLedger, HeldBy, Inventory, PgInventory, Reserve, ReturnRequest};

use super::{age, archive, everything, rows};
use crate::support::{
    db::Db,
    goods::{add, cart, sku, units},
    triggers::run,
};

/// Sells a pot three times, each paid, and returns the shop and the second order.
async fn sold() -> (Db, PgInventory, optilock::inventory::Order) {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 50).await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        let sold = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
        orders.push(shop.mark_paid(sold.id).await.unwrap());
    }
    age(&db.pool).await;
    (db, shop, orders.swap_remove(1))
}

/// Archives and returns the only ledger.
async fn ledger(shop: &PgInventory) -> (Option<i64>, Option<HeldBy>) {
    let archived = archive(shop, everything(), 100).await;
    let of_pot = archived.ledgers.iter().find(|it| it.sku == sku("pot"));
    let Some(ArchivedLedger {
        through, held_by, ..
    }) = of_pot
    else {
        panic!("{archived:?}");
    };
    (through.map(optilock::Version::get), *held_by)
}

#[tokio::test]
async fn nothing_holds_what_has_ended() {
    let (_db, shop, _) = sold().await;
    assert_eq!(ledger(&shop).await, (Some(4), None));
    assert_eq!(ledger(&shop).await, (Some(4), None));
}

/// Each change of the second order keeps it, and the ledger from its sale on.
#[tokio::test]
async fn an_order_that_stays_holds_what_follows() {
    for change in [
        "UPDATE optilock.orders SET status = 0 WHERE id = '{id}'",
        "UPDATE optilock.orders SET status = 1 WHERE id = '{id}'",
        "UPDATE optilock.orders SET idempotency_key = 'k' WHERE id = '{id}'",
        "UPDATE optilock.orders SET created_at = '3000-01-01' WHERE id = '{id}'",
        "INSERT INTO optilock.outbox (order_id) VALUES ('{id}')",
        "UPDATE optilock.order_lines SET quantity = 2 WHERE order_id = '{id}'",
        "UPDATE optilock.order_lines SET returned = 1 WHERE order_id = '{id}'",
        "UPDATE optilock.orders SET status = 3 WHERE id = '{id}'",
        // The audit finds these.
        "UPDATE optilock.orders SET total = total + 1 WHERE id = '{id}'",
        "UPDATE optilock.order_lines SET price = price + 1 WHERE order_id = '{id}'",
        "DELETE FROM optilock.order_lines WHERE order_id = '{id}'",
        "INSERT INTO optilock.order_lines (order_id, sku, quantity, price) VALUES ('{id}', 'mug', 1, 0)",
        "INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, moved_at)
            VALUES ('jug', 1, 1, 0, 0, '{id}', '2020-01-01')",
        "INSERT INTO optilock.returns (id, order_id, skus, quantities, reason)
            VALUES ('{id}', '{id}', '[\"pot\"]', '[1]', 'broken')",
        "DELETE FROM optilock.orders WHERE id = '{id}'",
    ] {
        let (db, shop, order) = sold().await;
        run(&db.pool, change.replace("{id}", &order.id.to_string())).await;
        let held = (Some(2), Some(HeldBy::Order(order.id)));
        assert_eq!(ledger(&shop).await, held, "{change}");
        assert_eq!(ledger(&shop).await, held, "{change}, again");
    }
}

/// A later movement of an order keeps it and all of its movements.
#[tokio::test]
async fn a_movement_after_the_date_holds_its_order() {
    let (db, shop, order) = sold().await;
    let back = ReturnRequest::new(order.id, [(sku("pot"), units(1))], "late").unwrap();
    shop.return_items(back).await.unwrap();
    let later = "UPDATE optilock.movements SET moved_at = '3000-01-01' WHERE version = 5";
    run(&db.pool, later).await;
    assert_eq!(
        ledger(&shop).await,
        (Some(2), Some(HeldBy::Order(order.id)))
    );
}

/// A statement may wait since before they were made.
#[tokio::test]
async fn movements_of_the_last_hour_stay() {
    let (db, shop, _) = sold().await;
    let younger =
        "UPDATE optilock.movements SET moved_at = now() - interval '59 minutes' WHERE version = 3;
        UPDATE optilock.movements SET moved_at = now() - interval '61 minutes' WHERE version < 3";
    run(&db.pool, younger).await;
    assert_eq!(ledger(&shop).await, (Some(2), Some(HeldBy::Date)));
}

#[tokio::test]
async fn the_date_holds_what_follows() {
    let (db, shop, _) = sold().await;
    let later = "UPDATE optilock.movements SET moved_at = '3000-01-01' WHERE version = 3";
    run(&db.pool, later).await;
    let (through, held_by) = ledger(&shop).await;
    // The order of the third movement stays too: it is the date that the report names.
    assert_eq!((through, held_by), (Some(2), Some(HeldBy::Date)));
}

#[tokio::test]
async fn a_reservation_that_is_held_or_was_lately_holds_what_follows() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 50).await;
    let request = Reserve::new([(sku("pot"), units(2))]).unwrap();
    let id = shop.reserve(request).await.unwrap().id;
    age(&db.pool).await;
    let held = (Some(1), Some(HeldBy::Reservation(id)));
    assert_eq!(ledger(&shop).await, held);
    shop.release(id).await.unwrap();
    age(&db.pool).await;
    run(
        &db.pool,
        "UPDATE optilock.holds SET expires_at = '3000-01-01'",
    )
    .await;
    assert_eq!(ledger(&shop).await, held);
    run(&db.pool, "UPDATE optilock.holds SET expires_at = now()").await;
    assert_eq!(ledger(&shop).await, (Some(3), None));
}

#[tokio::test]
async fn a_discrepancy_holds_what_follows() {
    for (change, through) in [
        (
            "UPDATE optilock.movements SET stock_after = 7 WHERE version = 3",
            Some(2),
        ),
        ("DELETE FROM optilock.movements WHERE version = 3", Some(2)),
        // A gap over which the sums are right.
        (
            "WITH gone AS (DELETE FROM optilock.movements WHERE version = 3 RETURNING delta)
            UPDATE optilock.movements SET stock_after = stock_after - (SELECT delta FROM gone) WHERE version > 3",
            Some(2),
        ),
        ("DELETE FROM optilock.movements WHERE version = 1", None),
        (
            "UPDATE optilock.movements SET kind = 15, delta = -1, order_id = NULL WHERE version = 3",
            Some(2),
        ),
        (
            "UPDATE optilock.movements SET order_id = NULL WHERE version = 3",
            Some(2),
        ),
    ] {
        let (db, shop, _) = sold().await;
        run(&db.pool, change).await;
        let found = ledger(&shop).await;
        assert_eq!(found.0, through, "{change}");
        assert_eq!(found.1, Some(HeldBy::Discrepancy), "{change}");
    }
}

/// An order that another transaction has locked stays until the next pass.
#[tokio::test]
async fn a_locked_order_stays() {
    let (db, shop, order) = sold().await;
    let mut tx = db.pool.begin().await.unwrap();
    let lock = optilock::sqlx::query("SELECT FROM optilock.orders WHERE id = $1 FOR UPDATE");
    lock.bind(order.id.uuid()).execute(&mut *tx).await.unwrap();
    let found = tokio::time::timeout(Duration::from_secs(20), ledger(&shop)).await;
    let found = found.expect("an archive waits for no order");
    assert_eq!(found, (Some(2), Some(HeldBy::Order(order.id))));
    tx.rollback().await.unwrap();
    assert_eq!(ledger(&shop).await, (Some(4), None));
}

/// A reservation that disagrees with its holds stays, and so does its ledger.
#[tokio::test]
async fn a_reservation_with_a_discrepancy_stays() {
    for change in [
        "DELETE FROM optilock.holds",
        "DELETE FROM optilock.holds WHERE sku = 'mug'",
        "UPDATE optilock.reservations SET remaining = remaining + 1",
        "UPDATE optilock.holds SET state = 1 WHERE sku = 'mug'",
        "UPDATE optilock.holds SET held = 0 WHERE sku = 'mug'",
    ] {
        let db = Db::new().await;
        let shop = PgInventory::new(db.pool.clone());
        add(&shop, "mug", 50).await;
        add(&shop, "pot", 50).await;
        let request = Reserve::new([(sku("pot"), units(2)), (sku("mug"), units(1))]).unwrap();
        let id = shop.reserve(request).await.unwrap().id;
        age(&db.pool).await;
        // It has expired, with its units.
        run(
            &db.pool,
            "UPDATE optilock.holds SET expires_at = now(), state = 3;
            UPDATE optilock.products SET reserved = 0",
        )
        .await;
        run(&db.pool, change).await;
        let before = rows(&db.pool).await;
        let archived = archive(&shop, everything(), 100).await;
        assert_eq!(archived.reservations, [], "{change}");
        assert_eq!(
            ledger(&shop).await.1,
            Some(HeldBy::Reservation(id)),
            "{change}"
        );
        let left = rows(&db.pool).await;
        let of = |rows: &[String]| {
            rows.iter()
                .filter(|it| it.starts_with("reservations"))
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&left), of(&before), "{change}");
    }
}

/// The smallest id is one as any other.
#[tokio::test]
async fn an_order_with_the_smallest_id_leaves() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 50).await;
    let smallest = optilock::inventory::OrderId::from(uuid::Uuid::nil());
    let sold = shop
        .checkout(cart(&[("pot", 1)]).with_order_id(smallest))
        .await
        .unwrap();
    shop.mark_paid(sold.id).await.unwrap();
    age(&db.pool).await;
    assert_eq!(archive(&shop, everything(), 2).await.orders.len(), 1);
}
