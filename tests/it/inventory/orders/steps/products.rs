//! What a step writes to its products.

use optilock::{
    inventory::{Adjustment, ErrorKind, Inventory},
    sqlx,
};

use super::request::{Request, Step, shop};
use crate::{
    support::db::assert_balanced,
    support::goods::{sku, stock_of},
};

/// A step that takes stock is refused. A step that returns stock succeeds.
#[tokio::test(flavor = "multi_thread")]
async fn the_stock_of_a_paused_product_is_returned_but_not_taken() {
    let (db, shop) = shop().await;
    let pending = Request::new(&shop, Step::Cancel, false).await;
    let cancelled = Request::new(&shop, Step::Revive, false).await;
    let paid = Request::new(&shop, Step::Return, false).await;
    sqlx::query("UPDATE optilock.products SET paused = true WHERE sku = 'pot'")
        .execute(&db.pool)
        .await
        .unwrap();
    let refused = cancelled.send(&shop).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ProductPaused, "{refused:?}");
    // Of a short line and a paused one, the refusal names the paused one.
    let mugs = stock_of(&shop, "mug").await;
    let all = Adjustment::new(sku("mug"), -mugs, "theft").unwrap();
    shop.adjust_stock(all).await.unwrap();
    let refused = cancelled.send(&shop).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ProductPaused, "{refused:?}");
    assert_eq!(refused.sku(), Some(&sku("pot")), "{refused:?}");
    assert_eq!(
        (refused.code(), refused.http_status()),
        ("product-paused", 409)
    );
    let now = shop.order(cancelled.order.id).await.unwrap();
    assert_eq!(now, cancelled.order);
    pending.send(&shop).await.unwrap();
    paid.send(&shop).await.unwrap();
    // A retired product is out of stock, paused or not.
    let pot = shop.product(&sku("pot")).await.unwrap();
    shop.retire_product(&pot.sku, pot.version).await.unwrap();
    let refused = cancelled.send(&shop).await.unwrap_err();
    assert!(refused.is_insufficient_stock(), "{refused:?}");
    assert_balanced(&db.pool).await;
}

/// The last movement of the product is one hour ahead of the clock.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_never_writes_an_older_time_than_the_product_has() {
    let (db, shop) = shop().await;
    sqlx::query("UPDATE optilock.products SET updated_at = now() + interval '1 hour'")
        .execute(&db.pool)
        .await
        .unwrap();
    let ahead =
        "SELECT count(*) FROM optilock.movements m JOIN optilock.products p ON p.sku = m.sku
        WHERE m.moved_at >= now() + interval '30 minutes' AND m.kind = $1";
    for (step, kind) in [
        (Step::Cancel, 2_i16),
        (Step::Revive, 12),
        (Step::Return, 11),
    ] {
        let request = Request::new(&shop, step, false).await;
        // The checkout of the request has set another time.
        sqlx::query("UPDATE optilock.products SET updated_at = now() + interval '1 hour'")
            .execute(&db.pool)
            .await
            .unwrap();
        request.send(&shop).await.unwrap();
        let found: i64 = sqlx::query_scalar(ahead)
            .bind(kind)
            .fetch_one(&db.pool)
            .await
            .unwrap();
        assert!(found > 0, "{step:?} wrote an older time");
        let equal: bool = sqlx::query_scalar(
            "SELECT p.updated_at = m.moved_at FROM optilock.products p JOIN optilock.movements m
                ON m.sku = p.sku AND m.version = p.version WHERE p.sku = 'pot'",
        )
        .fetch_one(&db.pool)
        .await
        .unwrap();
        assert!(equal, "{step:?}: the product and its movement differ");
    }
}
