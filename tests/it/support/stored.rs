//! The stored rows of the inventory, to compare them before and after an operation.

use optilock::sqlx::{self, PgPool};

/// Returns the rows of products, orders, returns, reservations and movements as text.
pub async fn stored(pool: &PgPool) -> String {
    let all = "SELECT concat_ws(E'\n',
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.products t),
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.orders t),
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.order_lines t),
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.returns t),
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.reservations t),
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.holds t),
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.movements t))";
    sqlx::query_scalar(all).fetch_one(pool).await.unwrap()
}
