//! The outbox of the crate: which checkouts write an entry, and how readers get each once.

mod acknowledged;
mod read;
mod restored;
mod written;

use std::time::{Duration, Instant};

use optilock::{
    inventory::{OrderId, OutboxEntry, OutboxPosition, PgInventory},
    sqlx::{self, PgPool},
};

/// Returns the orders of all entries, by id.
async fn stored(pool: &PgPool) -> Vec<OrderId> {
    let entries = "SELECT order_id FROM optilock.outbox ORDER BY order_id";
    let entries: Vec<sqlx::types::Uuid> =
        sqlx::query_scalar(entries).fetch_all(pool).await.unwrap();
    entries.into_iter().map(OrderId::from).collect()
}

/// Returns all orders, by id, without void ones.
async fn orders(pool: &PgPool) -> Vec<OrderId> {
    let orders = "SELECT id FROM optilock.orders WHERE status <> 4 ORDER BY id";
    let orders: Vec<sqlx::types::Uuid> = sqlx::query_scalar(orders).fetch_all(pool).await.unwrap();
    orders.into_iter().map(OrderId::from).collect()
}

/// Reads all entries after `position`, page by page, until there are `count` of them. A transaction of another test,
/// in another database of the server, may delay them.
pub async fn read_until(
    shop: &PgInventory,
    position: &mut OutboxPosition,
    limit: u32,
    count: usize,
) -> Vec<OutboxEntry> {
    let patience = Instant::now() + Duration::from_secs(60);
    let mut read = Vec::new();
    loop {
        let page = shop.outbox_since(position, limit).await.unwrap();
        if page.entries.is_empty() {
            assert_eq!(page.next, *position);
            if read.len() >= count {
                return read;
            }
            assert!(
                Instant::now() < patience,
                "{} entries of {count}",
                read.len()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        } else {
            assert!(page.entries.last().unwrap().position <= page.next);
        }
        read.extend(page.entries);
        // Readers store it as text.
        *position = page.next.to_string().parse().unwrap();
    }
}
