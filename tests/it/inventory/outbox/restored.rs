//! Positions of other databases, and a database that was restored from a dump: transactions have other ids there.

use optilock::{
    inventory::{Inventory, OutboxPosition, PgInventory},
    sqlx::{self, types::Uuid},
};

use super::{orders, read_until};
use crate::{
    support::db::Db,
    support::goods::{add, cart},
    support::triggers::run,
};

const AHEAD: i64 = 9_000_000_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_position_ahead_of_the_database_is_refused() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    let ahead = format!("{AHEAD}/{}", Uuid::nil());
    let ahead: OutboxPosition = ahead.parse().unwrap();
    for refused in [
        shop.outbox_since(&ahead, 10).await.map(drop),
        shop.acknowledge_outbox(&ahead).await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), "invalid");
        assert!(
            refused.to_string().contains("ahead of this database"),
            "{refused}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_entries_are_read_after_the_repair_that_the_error_names() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone()).with_outbox();
    add(&shop, "pot", 10).await;
    for _ in 0..3 {
        shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    }
    sqlx::query("UPDATE optilock.outbox SET transaction_id = $1")
        .bind(AHEAD)
        .execute(&db.pool)
        .await
        .unwrap();
    let start = OutboxPosition::START;
    let refused = shop.outbox_since(&start, 10).await.unwrap_err();
    assert_eq!(refused.code(), "invalid");
    let text = refused.to_string();
    // A transaction of the host's that wrote entries itself is refused as well.
    let mut tx = db.pool.begin().await.unwrap();
    shop.checkout_in(&mut tx, &cart(&[("pot", 1)]))
        .await
        .unwrap();
    shop.outbox_since_in(&mut tx, &start, 10).await.unwrap_err();
    tx.rollback().await.unwrap();
    let repair = "UPDATE optilock.outbox SET transaction_id = 1";
    assert!(text.contains(repair), "{text}");
    run(&db.pool, repair).await;
    let read = read_until(&shop, &mut start.clone(), 10, 3).await;
    let read: Vec<_> = read.iter().map(|entry| entry.order.id).collect();
    assert_eq!(read, orders(&db.pool).await);
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    read_until(&shop, &mut start.clone(), 10, 4).await;
}
