//! Expired holds are ended in batches, found by the index.

use std::time::Duration;

use optilock::{
    RetryPolicy,
    inventory::{ErrorKind, Inventory, PgInventory, Reserve},
    postgres::transact,
    sqlx,
};

use super::{add_expired_holds, expired_count};
use crate::{
    support::db::{Db, Default, assert_balanced},
    support::goods::{add, cart, sku, units},
};

/// A cart needs more units than one batch of holds has, outside and inside a transaction of the caller.
#[tokio::test]
async fn a_cart_that_needs_many_batches_is_sold() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    for name in ["mug", "pot"] {
        add(&shop, name, 3_000).await;
        add_expired_holds(&db.pool, name, 3_000).await;
    }
    shop.checkout(cart(&[("mug", 600), ("pot", 1)]))
        .await
        .unwrap();
    let held: Vec<i64> = sqlx::query_scalar("SELECT reserved FROM optilock.products ORDER BY sku")
        .fetch_all(&db.pool)
        .await
        .unwrap();
    // Of a product with enough stock one small batch is ended.
    assert_eq!(held[1], 3_000 - 128);
    assert!((2_000..=2_400).contains(&held[0]), "{held:?}");
    transact(&db.pool, &RetryPolicy::new(), async |tx| {
        shop.checkout_in(tx, &cart(&[("mug", 1_500)])).await
    })
    .await
    .unwrap();
    let lines = [(sku("pot"), units(1_000))];
    shop.reserve(Reserve::new(lines).unwrap()).await.unwrap();
    transact(&db.pool, &RetryPolicy::new(), async |tx| {
        let lines = [(sku("pot"), units(1_500))];
        shop.reserve_in(tx, &Reserve::new(lines).unwrap()).await
    })
    .await
    .unwrap();
    assert_balanced(&db.pool).await;
}

/// If the deadline passes, the result is `Busy`. The batch of that call stays ended.
#[tokio::test]
async fn a_checkout_past_its_deadline_makes_progress() {
    let db = Db::new().await;
    let policy = RetryPolicy::new().with_deadline(Some(Duration::from_nanos(1)));
    let shop = PgInventory::new(db.pool.clone()).with_policy(policy);
    add(&shop, "pot", 600).await;
    add_expired_holds(&db.pool, "pot", 600).await;
    let request = cart(&[("pot", 600)]);
    for left in [344, 88] {
        match shop.checkout(request.clone()).await {
            Err(error) if error.kind() == ErrorKind::Busy && error.exhausted().is_none() => {
                assert!(error.retry_after().is_some(), "{error:?}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(expired_count(&db.pool).await, left);
    }
    shop.checkout(request).await.unwrap();
    assert_balanced(&db.pool).await;
}

#[tokio::test]
async fn expired_holds_are_found_by_the_index() {
    let db = Db::with(Default::ReadCommitted, 1).await;
    let shop = PgInventory::new(db.pool.clone());
    for name in ["mug", "pot"] {
        add(&shop, name, 20_000).await;
        add_expired_holds(&db.pool, name, 20_000).await;
    }
    let read = async || -> (i64, i64) {
        let flush = "SELECT pg_stat_force_next_flush()";
        sqlx::query(flush).execute(&db.pool).await.unwrap();
        let read =
            "SELECT seq_scan, (seq_tup_read + idx_tup_fetch)::bigint FROM pg_stat_user_tables
            WHERE relid = 'optilock.holds'::regclass";
        sqlx::query_as(read).fetch_one(&db.pool).await.unwrap()
    };
    let before = read().await;
    for _ in 0..8 {
        // Each call is short of units again. After five executions a plan may be generic.
        shop.checkout(cart(&[("pot", 256)])).await.unwrap();
        let held = [(sku("mug"), units(256))];
        shop.reserve(Reserve::new(held).unwrap()).await.unwrap();
    }
    let after = read().await;
    assert_eq!(after.0, before.0, "a sequential scan of all holds");
    let each = (after.1 - before.1) / 16;
    assert!(each < 6 * 256, "{each} holds were read for 256 units");
}
