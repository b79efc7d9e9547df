//! Regression tests of the batching inventory, each against a promise of the documentation.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use optilock::{
    RetryPolicy,
    inventory::{
        Accepted, BatchOptions, BatchedInventory, BoxError, Error, Inventory, OnAccepted,
        PgInventory, Reserve,
    },
    sqlx::{self, PgConnection},
};
use tokio::task::JoinSet;

use crate::support::{
    db::{Db, assert_balanced, assert_idle},
    goods::{add, cart, sku, units},
    proxy::{Cut, Proxy},
};

const ONCE: RetryPolicy = RetryPolicy::new().with_max_attempts(1);

/// "Not done" means that nothing is stored. The connection is cut before or after each message.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_reports_not_done_after_a_cut_has_stored_nothing() {
    let mut wrong = Vec::new();
    for operation in ["checkout", "cancel", "mark_paid"] {
        for cut in [Cut::Before, Cut::Reply] {
            for after in 0..6 {
                let db = Db::new().await;
                let direct = PgInventory::new(db.pool.clone());
                add(&direct, "pot", 50).await;
                let order = direct.checkout(cart(&[("pot", 2)])).await.unwrap().id;
                let proxy = Proxy::new(&db).await;
                let shop = PgInventory::new(proxy.pool(1).await).with_policy(ONCE);
                let shop = BatchedInventory::new(shop, BatchOptions::new());
                let fingerprint = async || -> (i64, i64) {
                    sqlx::query_as("SELECT (SELECT count(*) FROM optilock.orders WHERE status <> 4), (SELECT sum(version)::bigint FROM optilock.orders)")
                        .fetch_one(&db.pool)
                        .await
                        .unwrap()
                };
                let before = fingerprint().await;
                proxy.trap_after(after, cut.clone());
                let answer = match operation {
                    "checkout" => shop.checkout(cart(&[("pot", 1)])).await,
                    "cancel" => shop.cancel(order, "no").await,
                    _ => shop.mark_paid(order).await,
                };
                if proxy.disarm() {
                    break;
                }
                assert_idle(&db.pool).await;
                if let Err(error) = answer
                    && !error.is_unknown()
                    && fingerprint().await != before
                {
                    wrong.push(format!(
                        "{operation}, {cut:?} after {after}: {error} {:?}",
                        error.code()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The queue remembers when a hold expires. Another process, or a request that bypassed the queue, has extended it.
#[tokio::test]
async fn an_extension_returns_the_expiry_that_is_stored() {
    let db = Db::new().await;
    let direct = PgInventory::new(db.pool.clone());
    let shop = BatchedInventory::new(direct.clone(), BatchOptions::new().always());
    add(&shop, "pot", 10).await;
    let reserve = Reserve::new([(sku("pot"), units(1))]).unwrap();
    let id = shop.reserve(reserve).await.unwrap().id;
    direct.extend(id, Duration::from_secs(7_200)).await.unwrap();
    for by in [60, 9_000, 60] {
        let extended = shop.extend(id, Duration::from_secs(by)).await.unwrap();
        let stored = direct.reservation(id).await.unwrap();
        assert_eq!(extended.holds[0].expires_at, stored.holds[0].expires_at);
    }
}

/// Ends its own session at the first call.
struct Ends(AtomicUsize);

#[async_trait]
impl OnAccepted for Ends {
    async fn on_accepted(&self, conn: &mut PgConnection, _: &Accepted) -> Result<(), BoxError> {
        let sql = match self.0.fetch_add(1, SeqCst) {
            0 => "SELECT pg_terminate_backend(pg_backend_pid())",
            _ => "SELECT true",
        };
        sqlx::query(sql).execute(conn).await?;
        Ok(())
    }
}

/// Before `COMMIT` nothing has happened: the batch is attempted again, as a checkout without a batch.
#[tokio::test]
async fn a_batch_whose_connection_is_lost_in_the_hook_is_attempted_again() {
    let db = Db::new().await;
    let hook: Arc<dyn OnAccepted> = Arc::new(Ends(AtomicUsize::new(0)));
    let inventory = PgInventory::new(db.pool.clone()).with_hook(hook);
    let shop = BatchedInventory::new(inventory, BatchOptions::new().always());
    add(&shop, "pot", 100).await;
    let mut buyers = JoinSet::new();
    for _ in 0..20 {
        let shop = shop.clone();
        buyers.spawn(async move { shop.checkout(cart(&[("pot", 1)])).await });
    }
    for answer in buyers.join_all().await {
        answer.unwrap();
    }
    assert_balanced(&db.pool).await;
}

/// No lock delays these payments: their orders were changed by another process, or twice in one batch.
#[tokio::test]
async fn payments_of_changed_orders_are_made_by_one_attempt() {
    let db = Db::new().await;
    let direct = PgInventory::new(db.pool.clone());
    let shop = direct.clone().with_policy(ONCE);
    let shop = BatchedInventory::new(shop, BatchOptions::new().always());
    add(&shop, "pot", 100).await;
    let mut orders = Vec::new();
    for _ in 0..40 {
        orders.push(shop.checkout(cart(&[("pot", 1)])).await.unwrap().id);
    }
    for id in &orders[..20] {
        direct.mark_payment_failed(*id).await.unwrap();
    }
    let mut payments = JoinSet::new();
    for (number, id) in orders.into_iter().enumerate() {
        if number >= 20 {
            let shop = shop.clone();
            payments.spawn(async move { shop.mark_payment_failed(id).await });
        }
        let shop = shop.clone();
        payments.spawn(async move { shop.mark_paid(id).await });
    }
    for answer in payments.join_all().await {
        let is_refused = |error: &Error| error.order_state().is_some();
        assert!(
            answer.is_ok() || answer.as_ref().is_err_and(is_refused),
            "{answer:?}"
        );
    }
    let paid = "SELECT count(*) FROM optilock.orders WHERE status = 2";
    let paid: i64 = sqlx::query_scalar(paid).fetch_one(&db.pool).await.unwrap();
    assert_eq!(paid, 40);
}

/// The queue remembers what is left of a reservation. Another process has bought the other product from it.
#[tokio::test]
async fn what_is_left_of_a_reservation_is_verified() {
    let db = Db::new().await;
    let direct = PgInventory::new(db.pool.clone());
    let shop = BatchedInventory::new(direct.clone(), BatchOptions::new().always());
    add(&shop, "mug", 10).await;
    add(&shop, "pot", 10).await;
    let both = [(sku("mug"), units(1)), (sku("pot"), units(1))];
    let id = shop.reserve(Reserve::new(both).unwrap()).await.unwrap().id;
    let from = |name| cart(&[(name, 1)]).with_reservation(id);
    direct.checkout(from("mug")).await.unwrap();
    shop.checkout(from("pot")).await.unwrap();
    let left = "SELECT remaining FROM optilock.reservations";
    let left: i64 = sqlx::query_scalar(left).fetch_one(&db.pool).await.unwrap();
    assert_eq!(left, 0);
    assert_balanced(&db.pool).await;
}

/// The queue remembers a hold that has expired since.
#[tokio::test]
async fn a_hold_that_has_expired_meanwhile_is_not_extended() {
    let db = Db::new().await;
    let direct = PgInventory::new(db.pool.clone());
    let shop = BatchedInventory::new(direct.clone(), BatchOptions::new().always());
    add(&shop, "pot", 10).await;
    let reserve = Reserve::new([(sku("pot"), units(1))]).unwrap();
    let reserve = reserve.for_duration(Duration::from_millis(200));
    let id = shop.reserve(reserve).await.unwrap().id;
    while direct.reservation(id).await.unwrap().is_live() {
        tokio::task::yield_now().await;
    }
    let refused = shop.extend(id, Duration::from_secs(60)).await.unwrap_err();
    assert_eq!(refused.code(), "reservation-closed", "{refused:?}");
    assert!(!direct.reservation(id).await.unwrap().is_live());
    assert_balanced(&db.pool).await;
}
