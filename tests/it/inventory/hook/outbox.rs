//! A hook that writes an outbox table of the host.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use async_trait::async_trait;
use optilock::{
    inventory::{Accepted, BoxError, OnAccepted, PgInventory, Strategy},
    sqlx::{self, PgConnection, PgPool},
};
use tokio::task::yield_now;

use crate::support::db::Db;

/// Writes a row into the outbox table for each changed product.
#[derive(Debug, Default)]
pub struct Outbox {
    pub calls: AtomicU32,
    /// How many more calls return an error.
    pub refusals: AtomicU32,
    /// How many more calls end with a serialization failure.
    pub conflicts: AtomicU32,
}

/// Takes one from the count. Returns false if none is left.
fn take(count: &AtomicU32) -> bool {
    count
        .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
        .is_ok()
}

#[async_trait]
impl OnAccepted for Outbox {
    async fn on_accepted(
        &self,
        conn: &mut PgConnection,
        accepted: &Accepted,
    ) -> Result<(), BoxError> {
        self.calls.fetch_add(1, Relaxed);
        // Makes the future pending here, so that a test can drop it inside the hook.
        yield_now().await;
        for change in &accepted.changes {
            sqlx::query("INSERT INTO public.outbox VALUES ($1, $2, $3, $4, $5, $6)")
                .bind(accepted.order.id.uuid())
                .bind(change.sku.as_str())
                .bind(change.quantity.get())
                .bind(change.version.get())
                .bind(change.stock)
                .bind(change.reserved)
                .execute(&mut *conn)
                .await?;
        }
        if take(&self.conflicts) {
            let lost = "DO $$ BEGIN RAISE 'lost' USING ERRCODE = '40001'; END $$";
            sqlx::query(lost).execute(&mut *conn).await?;
        }
        if take(&self.refusals) {
            return Err("the customer is barred".into());
        }
        yield_now().await;
        Ok(())
    }
}

/// Creates the outbox table and an inventory with the hook.
pub async fn shop(strategy: Strategy) -> (Db, PgInventory, Arc<Outbox>) {
    let db = Db::new().await;
    let table =
        "CREATE TABLE public.outbox (order_id uuid, sku text, quantity bigint, version bigint,
        stock bigint, reserved bigint)";
    sqlx::query(table).execute(&db.pool).await.unwrap();
    let outbox = Arc::new(Outbox::default());
    let shop = PgInventory::new(db.pool.clone())
        .with_strategy(strategy)
        .with_hook(Arc::clone(&outbox) as Arc<dyn OnAccepted>);
    (db, shop, outbox)
}

/// SKU, quantity, version, stock, reserved.
pub type Row = (String, i64, i64, i64, i64);

/// Returns the rows of the outbox by SKU and version.
pub async fn rows(pool: &PgPool) -> Vec<Row> {
    let rows =
        "SELECT sku, quantity, version, stock, reserved FROM public.outbox ORDER BY sku, version";
    sqlx::query_as(rows).fetch_all(pool).await.unwrap()
}

pub fn row(sku: &str, quantity: i64, version: i64, stock: i64, reserved: i64) -> Row {
    (sku.to_owned(), quantity, version, stock, reserved)
}
