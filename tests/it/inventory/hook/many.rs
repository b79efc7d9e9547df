//! The form of a hook for a batch that a hook for one checkout has by default.

use std::sync::Mutex;

use async_trait::async_trait;
use optilock::{
    Version,
    inventory::{Accepted, BoxError, Change, Inventory, MemoryInventory, OnAccepted, OrderId},
    sqlx::{self, PgConnection},
};

use crate::{
    support::db::Db,
    support::goods::{add, cart, sku, units},
};

/// Writes a row for each checkout. The database refuses that of the third one.
#[derive(Default)]
struct Rows {
    asked: Mutex<Vec<OrderId>>,
}

#[async_trait]
impl OnAccepted for Rows {
    async fn on_accepted(
        &self,
        conn: &mut PgConnection,
        accepted: &Accepted,
    ) -> Result<(), BoxError> {
        self.asked.lock().unwrap().push(accepted.order.id);
        sqlx::query("INSERT INTO public.rows VALUES ($1)")
            .bind(*accepted.context::<i32>().unwrap())
            .execute(conn)
            .await?;
        Ok(())
    }
}

async fn accepted(count: i32) -> Vec<Accepted> {
    let shop = MemoryInventory::new();
    add(&shop, "pot", 100).await;
    let mut accepted = Vec::new();
    for number in 0..count {
        let order = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
        let change = Change::new(sku("pot"), units(1), Version::FIRST, 9, 0);
        accepted.push(Accepted::new(order, vec![change]).with_context(number));
    }
    accepted
}

#[tokio::test]
async fn by_default_a_hook_is_called_for_each_checkout_until_one_fails() {
    let db = Db::empty().await;
    let table = "CREATE TABLE public.rows (number int CHECK (number <> 2))";
    sqlx::query(table).execute(&db.pool).await.unwrap();
    let batch = accepted(5).await;
    let ids: Vec<OrderId> = batch.iter().map(|accepted| accepted.order.id).collect();

    let hook = Rows::default();
    let mut tx = db.pool.begin().await.unwrap();
    let refusals = hook.on_accepted_many(&mut tx, &batch[..2]).await.unwrap();
    assert!(refusals.is_empty());
    assert_eq!(*hook.asked.lock().unwrap(), ids[..2]);

    // The transaction takes no further statement after the third one.
    let hook = Rows::default();
    let refusals = hook.on_accepted_many(&mut tx, &batch).await.unwrap();
    let [(refused, error)] = refusals.iter().collect::<Vec<_>>()[..] else {
        panic!("{refusals:?}");
    };
    assert_eq!(refused, ids[2]);
    let error = error.downcast_ref::<sqlx::Error>().unwrap();
    assert_eq!(error.as_database_error().unwrap().code().unwrap(), "23514");
    assert_eq!(*hook.asked.lock().unwrap(), ids[..3]);
}
