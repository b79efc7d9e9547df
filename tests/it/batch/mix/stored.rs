//! Compares what buyers know with the rows.

use std::collections::{BTreeMap, HashMap};

use optilock::{
    inventory::OrderStatus,
    sqlx::{self, PgPool},
};
use uuid::Uuid;

use super::{
    buyer::Buyer,
    own::{Doubt, HoldsAre},
};

type Lines = BTreeMap<String, (i64, i64)>;

/// Asserts that every acknowledged effect is stored, and that nothing is stored that no answer accounts for.
pub async fn assert_answers_hold(pool: &PgPool, buyers: &[Buyer]) {
    assert_orders(pool, buyers).await;
    assert_reservations(pool, buyers).await;
    let repeated: Vec<String> = sqlx::query_scalar(
        "SELECT idempotency_key FROM optilock.orders WHERE status <> 4 GROUP BY customer, idempotency_key
             HAVING count(*) > 1
         UNION ALL
         SELECT idempotency_key FROM optilock.reservations GROUP BY customer, idempotency_key
             HAVING count(*) > 1",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert!(repeated.is_empty(), "{repeated:?}");
}

async fn assert_orders(pool: &PgPool, buyers: &[Buyer]) {
    let rows: Vec<(Uuid, i16, String, i64, i64)> = sqlx::query_as(
        "SELECT o.id, o.status, l.sku, l.quantity, l.returned
         FROM optilock.orders o JOIN optilock.order_lines l ON l.order_id = o.id WHERE o.status <> 4",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut stored: HashMap<Uuid, (i16, Lines)> = HashMap::new();
    for (id, status, sku, quantity, returned) in rows {
        let order = stored.entry(id).or_insert((status, Lines::new()));
        order.1.insert(sku, (quantity, returned));
    }
    for own in buyers.iter().flat_map(|buyer| &buyer.orders) {
        let found = stored.remove(&own.id.uuid());
        let lines = own.lines.iter();
        let lines = lines.map(|line| (line.name.to_owned(), (line.ordered, line.returned)));
        match (own.doubt, found) {
            (Doubt::None, found) => assert_eq!(found, Some((number(own.status), lines.collect()))),
            (Doubt::Change, found) => assert!(found.is_some(), "{own:?} is missing"),
            (Doubt::Existence, _) => {}
        }
    }
    assert!(
        stored.is_empty(),
        "no answer accounts for these orders: {stored:?}"
    );
}

async fn assert_reservations(pool: &PgPool, buyers: &[Buyer]) {
    let rows: Vec<(Uuid, i16, String, i64, i64)> =
        sqlx::query_as("SELECT reservation_id, state, sku, quantity, held FROM optilock.holds")
            .fetch_all(pool)
            .await
            .unwrap();
    let mut stored: HashMap<Uuid, BTreeMap<String, (i16, i64, i64)>> = HashMap::new();
    for (id, state, sku, quantity, held) in rows {
        stored
            .entry(id)
            .or_default()
            .insert(sku, (state, quantity, held));
    }
    for own in buyers.iter().flat_map(|buyer| &buyer.reservations) {
        let found = stored.remove(&own.id.uuid());
        let hold = |&(name, quantity): &(&str, i64)| {
            let (state, held) = match own.holds {
                HoldsAre::Live => (0, quantity),
                HoldsAre::Consumed => (1, 0),
                HoldsAre::Released => (2, quantity),
            };
            (name.to_owned(), (state, quantity, held))
        };
        match (own.doubt, found) {
            (Doubt::None, found) => {
                assert_eq!(found, Some(own.lines.iter().map(hold).collect()), "{own:?}");
            }
            (Doubt::Change, found) => assert!(found.is_some(), "{own:?} is missing"),
            (Doubt::Existence, _) => {}
        }
    }
    assert!(
        stored.is_empty(),
        "no answer accounts for these reservations: {stored:?}"
    );
}

fn number(status: OrderStatus) -> i16 {
    match status {
        OrderStatus::PendingPayment => 0,
        OrderStatus::PaymentFailed => 1,
        OrderStatus::Paid => 2,
        OrderStatus::Cancelled => 3,
        _ => 4,
    }
}

/// Returns the units of a product that orders have and that were not returned.
pub async fn units_sold(pool: &PgPool, name: &str) -> i64 {
    sqlx::query_scalar(
        "SELECT coalesce(sum(l.quantity - l.returned), 0)::bigint
         FROM optilock.order_lines l JOIN optilock.orders o ON o.id = l.order_id
         WHERE l.sku = $1 AND o.status IN (0, 1, 2)",
    )
    .bind(name)
    .fetch_one(pool)
    .await
    .unwrap()
}
