//! Expired holds block no checkout, and their units are sold once.

mod backlog;
mod batches;
mod concurrent_steps;
mod expired_meanwhile;
mod live_holds;
mod paused;
mod sold_once;
mod versions;

use optilock::{
    inventory::{Inventory, ReservationId, Reserve},
    sqlx::{self, Executor, PgPool},
};

use crate::{
    support::goods::{sku, units},
    support::triggers::run,
};

/// Adds expired holds of one unit each, each with its own reservation.
async fn add_expired_holds(pool: &PgPool, name: &str, count: i64) {
    let sql = format!(
        "WITH reservation AS (INSERT INTO optilock.reservations (id, remaining)
             SELECT gen_random_uuid(), 1 FROM generate_series(1, {count}) RETURNING id)
         INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
             SELECT id, '{name}', 1, 1, now() - interval '1 hour' - random() * interval '1 day' FROM reservation;
         UPDATE optilock.products SET reserved = reserved + {count} WHERE sku = '{name}';
         ANALYZE optilock.holds"
    );
    run(pool, sql).await;
}

async fn expired_count(pool: &PgPool) -> i64 {
    let expired = "SELECT count(*) FROM optilock.holds WHERE state = 0 AND expires_at <= now()";
    sqlx::query_scalar(expired).fetch_one(pool).await.unwrap()
}

/// Moves the expiry of all holds into the past.
async fn expire_all(pool: &PgPool) {
    let expire = "UPDATE optilock.holds SET expires_at = expires_at - interval '60 days'";
    pool.execute(expire).await.unwrap();
}

async fn reserve(shop: &dyn Inventory, lines: &[(&str, i64)]) -> ReservationId {
    let lines = lines.iter().map(|(name, count)| (sku(name), units(*count)));
    shop.reserve(Reserve::new(lines).unwrap()).await.unwrap().id
}
