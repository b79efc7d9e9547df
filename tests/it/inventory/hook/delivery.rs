//! A transaction of the host with a checkout and a delivery row of its own.

use std::{pin::pin, sync::Arc};

use optilock::{
    inventory::{Checkout, Error, Order, OrderId, PgInventory, Strategy},
    sqlx::{self, PgPool},
};

use super::outbox::{Outbox, shop};
use crate::{support::db::Db, support::goods::add, support::polling::PollAtMost};

/// Returns a count that depends on the id of an order.
async fn count(pool: &PgPool, sql: &'static str, id: OrderId) -> i64 {
    let count = sqlx::query_scalar(sql).bind(id.uuid()).fetch_one(pool);
    count.await.unwrap()
}

/// How many rows of an order each table has.
#[derive(Debug, PartialEq)]
pub struct Stored {
    pub orders: i64,
    pub outbox: i64,
    pub deliveries: i64,
    /// The rows of all orders whose hook has not finished.
    pub unfinished: i64,
}

impl Stored {
    pub const fn new(orders: i64, outbox: i64, deliveries: i64) -> Self {
        Self {
            orders,
            outbox,
            deliveries,
            unfinished: 0,
        }
    }

    pub async fn of(pool: &PgPool, id: OrderId) -> Self {
        let orders = "SELECT count(*) FROM optilock.orders WHERE id = $1";
        let outbox = "SELECT count(*) FROM public.outbox WHERE order_id = $1";
        let deliveries = "SELECT count(*) FROM public.deliveries WHERE order_id = $1";
        let unfinished = "SELECT count(*) FROM optilock.unfinished_sales WHERE $1 IS NOT NULL";
        Self {
            orders: count(pool, orders, id).await,
            outbox: count(pool, outbox, id).await,
            deliveries: count(pool, deliveries, id).await,
            unfinished: count(pool, unfinished, id).await,
        }
    }
}

/// Runs one transaction of the host: the statement `before`, `checkout_in`, dropped after `polls` polls, a
/// delivery row, `COMMIT`. Returns the answers of the checkout, if it was not dropped, and of the commit.
pub async fn host_transaction(
    pool: &PgPool,
    shop: &PgInventory,
    request: &Checkout,
    before: &'static str,
    polls: u32,
) -> (Option<Result<Order, Error>>, Result<(), sqlx::Error>) {
    let mut tx = pool.begin().await.unwrap();
    sqlx::raw_sql(before).execute(&mut *tx).await.unwrap();
    let sold = PollAtMost(pin!(shop.checkout_in(&mut tx, request)), polls).await;
    sqlx::query("INSERT INTO public.deliveries VALUES ($1)")
        .bind(request.order_id().uuid())
        .execute(&mut *tx)
        .await
        .unwrap();
    (sold, tx.commit().await)
}

/// Asserts that the commit was refused because a hook has not finished.
pub fn assert_unfinished(error: &sqlx::Error) {
    let error = error.as_database_error().unwrap();
    assert_eq!(error.code().unwrap(), "23503", "{error}");
    assert_eq!(error.constraint(), Some("sale_needs_its_hook"));
}

/// Creates the outbox and deliveries tables and an inventory with the hook.
pub async fn shop_with_deliveries() -> (Db, PgInventory, Arc<Outbox>) {
    let (db, shop, outbox) = shop(Strategy::Guarded).await;
    let table = "CREATE TABLE public.deliveries (order_id uuid)";
    sqlx::query(table).execute(&db.pool).await.unwrap();
    add(&shop, "pot", 10_000).await;
    add(&shop, "mug", 10_000).await;
    (db, shop, outbox)
}
