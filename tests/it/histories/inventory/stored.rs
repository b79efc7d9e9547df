//! The lists that the ledger and the orders show.

use optilock::sqlx::{self, PgPool};
use uuid::Uuid;

use crate::histories::history::Lists;

/// Returns the list of each product, in the order of its versions, and of each order.
pub async fn lists(pool: &PgPool) -> Lists {
    let mut lists = products(pool).await;
    lists.extend(orders(pool).await);
    lists
}

async fn products(pool: &PgPool) -> Lists {
    // A cancellation has its reason in the order.
    let movements = "SELECT m.sku, m.version, CASE m.kind
                WHEN 1 THEN 'sale ' || m.order_id
                WHEN 2 THEN o.reason
                WHEN 4 THEN 'reserved ' || m.reservation_id
                WHEN 8 THEN 'added ' || m.sku
                WHEN 10 THEN 'released ' || m.reservation_id
                ELSE m.reason END
            FROM optilock.movements m LEFT JOIN optilock.orders o ON o.id = m.order_id
            ORDER BY m.sku, m.version";
    let movements: Vec<(String, i64, Option<String>)> =
        sqlx::query_as(movements).fetch_all(pool).await.unwrap();
    let mut lists = Lists::new();
    for (sku, version, element) in movements {
        let list = lists.entry(sku).or_default();
        let element = element.unwrap_or_else(|| panic!("a movement at {version} without a name"));
        list.push(element);
        assert_eq!(list.len() as i64, version, "{list:?}");
    }
    lists
}

async fn orders(pool: &PgPool) -> Lists {
    let orders = "SELECT id, version, CASE status WHEN 2 THEN 'paid ' || id WHEN 3 THEN reason END
            FROM optilock.orders WHERE status <> 4";
    let orders: Vec<(Uuid, i64, Option<String>)> =
        sqlx::query_as(orders).fetch_all(pool).await.unwrap();
    let orders = orders.into_iter().map(|(id, version, step)| {
        let list: Vec<String> = [format!("sale {id}")].into_iter().chain(step).collect();
        assert_eq!(list.len() as i64, version, "{list:?}");
        (id.to_string(), list)
    });
    orders.collect()
}
