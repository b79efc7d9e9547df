//! The handwritten sale of comparisons writes the same rows as the library.

use optilock::{
    inventory::{
        Checkout, Inventory, Line, OrderId, PgInventory, Quantity, ReservationId, Reserve,
    },
    sqlx::{self, PgPool},
};
use support::by_hand;

use crate::support::{
    db::{Db, assert_balanced},
    goods::{add, sku},
};

/// Returns the rows without what differs between any two sales: times, transactions, and the movement that added
/// the product.
async fn rows(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT t.name || ' ' || (t.row - '{created_at,updated_at,pending_since,moved_at,expires_at,transaction_id}'::text[])::text
         FROM (
             SELECT 'product' AS name, to_jsonb(p) AS row FROM optilock.products p
             UNION ALL SELECT 'order', to_jsonb(o) FROM optilock.orders o
             UNION ALL SELECT 'line', to_jsonb(l) FROM optilock.order_lines l
             UNION ALL SELECT 'reservation', to_jsonb(r) FROM optilock.reservations r
             UNION ALL SELECT 'hold', to_jsonb(h) FROM optilock.holds h
             UNION ALL SELECT 'movement', to_jsonb(m) FROM optilock.movements m
                 WHERE m.kind <> 8) t
         ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_sale_by_hand_writes_the_rows_of_the_library() {
    let (hand, library) = (Db::new().await, Db::new().await);
    let shop = PgInventory::new(library.pool.clone());
    add(&shop, "pot", 3).await;
    add(&PgInventory::new(hand.pool.clone()), "pot", 3).await;
    let ids = [OrderId::new(), OrderId::new()];
    let reservation = ReservationId::new();
    let (pot, pool) = (sku("pot"), &hand.pool);

    let direct = Checkout::new([Line::new(pot.clone(), Quantity::ONE)]).unwrap();
    let direct = direct.with_order_id(ids[0]).with_customer("ana");
    shop.checkout(direct.with_idempotency_key("1"))
        .await
        .unwrap();
    let ana = |key| Some(("ana", key));
    let bought = by_hand::order(pool, ids[0].uuid(), "pot", ana("1")).await;
    assert!(bought.unwrap());

    let hold = Reserve::new([(pot.clone(), Quantity::ONE)]).unwrap();
    let hold = hold.with_reservation_id(reservation).with_customer("ana");
    shop.reserve(hold.with_idempotency_key("2")).await.unwrap();
    let held = by_hand::reserve(pool, reservation.uuid(), "pot", ana("2")).await;
    assert!(held.unwrap());
    assert_eq!(rows(pool).await, rows(&library.pool).await);

    let reserved = Checkout::new([Line::new(pot, Quantity::ONE)]).unwrap();
    let reserved = reserved.with_order_id(ids[1]).with_reservation(reservation);
    let reserved = reserved.with_customer("ana").with_idempotency_key("3");
    shop.checkout(reserved).await.unwrap();
    let (order, held) = (ids[1].uuid(), reservation.uuid());
    let bought = by_hand::buy_reserved(pool, order, held, "pot", ana("3")).await;
    assert!(bought.unwrap());

    shop.mark_paid(ids[1]).await.unwrap();
    assert!(by_hand::pay(pool, order).await.unwrap());
    assert_eq!(rows(pool).await, rows(&library.pool).await);
    assert_balanced(pool).await;
}

#[tokio::test]
async fn a_sale_by_hand_is_refused_without_stock_hold_or_debt() {
    let db = Db::new().await;
    let pool = &db.pool;
    add(&PgInventory::new(pool.clone()), "pot", 1).await;
    let (reservation, order) = (ReservationId::new().uuid(), OrderId::new().uuid());
    let held = by_hand::reserve(pool, reservation, "pot", None).await;
    assert!(held.unwrap());
    let before = rows(pool).await;

    let held = by_hand::reserve(pool, ReservationId::new().uuid(), "pot", None).await;
    assert!(!held.unwrap());
    let bought = by_hand::order(pool, order, "pot", None).await;
    assert!(!bought.unwrap());
    let other = ReservationId::new().uuid();
    let bought = by_hand::buy_reserved(pool, order, other, "pot", None).await;
    assert!(!bought.unwrap());
    assert_eq!(rows(pool).await, before);

    let bought = by_hand::buy_reserved(pool, order, reservation, "pot", None).await;
    assert!(bought.unwrap());
    let again = OrderId::new().uuid();
    let bought = by_hand::buy_reserved(pool, again, reservation, "pot", None).await;
    assert!(!bought.unwrap());
    assert!(by_hand::pay(pool, order).await.unwrap());
    let before = rows(pool).await;
    assert!(!by_hand::pay(pool, order).await.unwrap());
    assert_eq!(rows(pool).await, before);
    assert_balanced(pool).await;
}
