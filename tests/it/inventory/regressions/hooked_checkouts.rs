//! Checkouts with a hook that are dropped midway.

use std::{sync::Arc, time::Duration};

use optilock::{
    inventory::{Accepted, BoxError, Checkout, OnAccepted, PgInventory},
    sqlx::{self, PgConnection, PgPool},
};

use crate::support::{
    db::{Db, Default},
    goods::{add, cart},
    polling::poll_times,
};

struct Outbox;

#[async_trait::async_trait]
impl OnAccepted for Outbox {
    async fn on_accepted(
        &self,
        conn: &mut PgConnection,
        accepted: &Accepted,
    ) -> Result<(), BoxError> {
        sqlx::query("INSERT INTO public.outbox VALUES ($1)")
            .bind(accepted.order.id.uuid())
            .execute(conn)
            .await?;
        Ok(())
    }
}

/// Drops a checkout in the caller's transaction after `polls` polls, then commits. Returns whether the checkout
/// was done by then.
async fn drop_after(polls: u32, pool: &PgPool, shop: &PgInventory, repeat: bool) -> bool {
    let request: Checkout = cart(&[("pot", 1)]);
    let mut tx = pool.begin().await.unwrap();
    let checkout = shop.checkout_in(&mut tx, &request);
    let done = poll_times(polls, Duration::from_millis(2), checkout).await;
    if repeat && !done {
        let _ = shop.checkout_in(&mut tx, &request).await;
    }
    let _ = tx.commit().await;
    done
}

/// Under each isolation level, with and without a second checkout in the same transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_checkout_stores_its_order_and_its_outbox_row_or_neither() {
    for default in [
        Default::ReadCommitted,
        Default::RepeatableRead,
        Default::Serializable,
    ] {
        for repeat in [false, true] {
            let db = Db::with(default, 4).await;
            sqlx::raw_sql("CREATE TABLE public.outbox (id uuid)")
                .execute(&db.pool)
                .await
                .unwrap();
            let shop = PgInventory::new(db.pool.clone()).with_hook(Arc::new(Outbox));
            add(&shop, "pot", 500).await;
            for polls in 1..25 {
                let done = drop_after(polls, &db.pool, &shop, repeat).await;
                let (orders, outbox): (i64, i64) = sqlx::query_as(
                    "SELECT (SELECT count(*) FROM optilock.orders), (SELECT count(*) FROM public.outbox)",
                )
                .fetch_one(&db.pool)
                .await
                .unwrap();
                assert_eq!(
                    orders, outbox,
                    "{default:?} {polls} polls, repeated: {repeat}"
                );
                if done {
                    break;
                }
            }
        }
    }
}
