//! Paused products.

use optilock::{
    inventory::{Error, ErrorKind, Inventory, PgInventory, Reserve},
    sqlx,
};

use super::reserve;
use crate::{
    support::db::{Db, assert_balanced},
    support::goods::{add, cart, sku, units},
    support::strategies::STRATEGIES,
};

#[tokio::test]
async fn paused_products_are_sold_to_their_reservations_only() {
    let db = Db::new().await;
    for strategy in STRATEGIES {
        let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
        let name = format!("pot-{strategy:?}");
        let name = name.as_str();
        add(&shop, name, 9).await;
        add(&shop, &format!("{name}-2"), 9).await;
        let (all, part) = (
            reserve(&shop, &[(name, 2)]).await,
            reserve(&shop, &[(name, 2)]).await,
        );
        let pause = "UPDATE optilock.products SET paused = true WHERE sku = $1";
        sqlx::query(pause)
            .bind(name)
            .execute(&db.pool)
            .await
            .unwrap();
        let paused = |answer: Error| answer.kind() == ErrorKind::ProductPaused;
        let other = format!("{name}-2");
        assert!(paused(shop.checkout(cart(&[(name, 1)])).await.unwrap_err()));
        let two = cart(&[(name, 1), (&other, 1)]);
        assert!(paused(shop.checkout(two).await.unwrap_err()));
        let held = Reserve::new([(sku(name), units(1))]).unwrap();
        assert!(paused(shop.reserve(held).await.unwrap_err()));
        let more = cart(&[(name, 3)]).with_reservation(part);
        assert!(paused(shop.checkout(more).await.unwrap_err()));
        shop.checkout(cart(&[(name, 2)]).with_reservation(all))
            .await
            .unwrap();
        shop.release(part).await.unwrap();
    }
    assert_balanced(&db.pool).await;
}
