//! The times of movements.

use optilock::{
    inventory::{Adjustment, Inventory, PgInventory},
    sqlx,
};
use tokio::task::JoinSet;

use crate::{
    support::db::{Db, Default, assert_balanced},
    support::goods::{add, sku},
};

/// The statements of 16 writers of one product wait for each other.
#[tokio::test(flavor = "multi_thread")]
async fn the_movements_of_a_product_have_ascending_times() {
    let db = Db::with(Default::ReadCommitted, 16).await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 1_000_000).await;
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let shop = shop.clone();
        writers.spawn(async move {
            let pot = sku("pot");
            for round in 0..40 {
                match (writer + round) % 4 {
                    0 => {
                        let more = Adjustment::new(pot.clone(), 1, "delivery").unwrap();
                        shop.adjust_stock(more).await.map(drop)
                    }
                    1 => shop.pause(&pot).await.map(drop),
                    2 => {
                        let mut edited = shop.product(&pot).await.unwrap();
                        edited.name = format!("Pot {writer} {round}");
                        match shop.update_product(&edited).await {
                            Err(error) if error.is_conflict() => Ok(()),
                            other => other.map(drop),
                        }
                    }
                    _ => shop.resume(&pot).await.map(drop),
                }
                .unwrap();
            }
        });
    }
    writers.join_all().await;
    let backwards: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT moved_at < lag(moved_at) OVER (PARTITION BY sku ORDER BY version) AS back
             FROM optilock.movements) m WHERE back",
    )
    .fetch_one(&db.pool)
    .await
    .unwrap();
    assert_eq!(backwards, 0);
    let different: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM optilock.products p JOIN optilock.movements m
             ON m.sku = p.sku AND m.version = p.version WHERE m.moved_at <> p.updated_at",
    )
    .fetch_one(&db.pool)
    .await
    .unwrap();
    assert_eq!(different, 0);
    assert_balanced(&db.pool).await;
}
