//! Checkouts with a hook in a transaction of the host.

use std::sync::atomic::Ordering::Relaxed;

use optilock::{
    RetryPolicy,
    inventory::{Error, ErrorKind, Strategy},
    postgres::transact,
    sqlx,
};

use super::outbox::{row, rows, shop};
use crate::{
    support::db::assert_balanced,
    support::goods::{add, cart, stock_of},
};

#[tokio::test]
async fn a_refusal_in_the_hosts_transaction_undoes_only_its_checkout() {
    let (db, shop, outbox) = shop(Strategy::Guarded).await;
    add(&shop, "pot", 10).await;
    outbox.refusals.store(1, Relaxed);
    let policy = RetryPolicy::new();
    let sold = transact(&db.pool, &policy, async |tx| {
        let refused = shop.checkout_in(tx, &cart(&[("pot", 1)])).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Hook);
        let order = shop.checkout_in(tx, &cart(&[("pot", 2)])).await?;
        Ok::<_, Error>(order)
    });
    sold.await.unwrap();
    assert_eq!(rows(&db.pool).await, [row("pot", 2, 2, 8, 0)]);
    assert_eq!(stock_of(&shop, "pot").await, 8);
    // The rollback of the host undoes the checkout and the row of the hook.
    let mut tx = db.pool.begin().await.unwrap();
    shop.checkout_in(&mut tx, &cart(&[("pot", 1)]))
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(rows(&db.pool).await.len(), 1);
    assert_balanced(&db.pool).await;
}

/// The host begins the transaction with a plain `BEGIN`, which sqlx does not track, or begins none.
#[tokio::test]
async fn the_hook_needs_a_transaction_begun_by_sqlx_or_by_plain_sql() {
    let (db, shop, _) = shop(Strategy::Guarded).await;
    add(&shop, "pot", 10).await;
    let mut conn = db.pool.acquire().await.unwrap();
    sqlx::raw_sql("BEGIN").execute(&mut *conn).await.unwrap();
    let request = cart(&[("pot", 1)]);
    shop.checkout_in(&mut conn, &request).await.unwrap();
    sqlx::raw_sql("ROLLBACK").execute(&mut *conn).await.unwrap();
    assert_eq!(rows(&db.pool).await, []);
    let refused = shop.checkout_in(&mut conn, &request).await.unwrap_err();
    assert_eq!(refused.code(), "database");
    assert_eq!(
        (stock_of(&shop, "pot").await, rows(&db.pool).await),
        (10, vec![])
    );
    drop(conn);
    assert_balanced(&db.pool).await;
}
