//! A reservation is sold once.

use optilock::inventory::{ErrorKind, Inventory, PgInventory, Reserve};

use crate::support::{
    bank::until_waiting,
    db::{Db, assert_balanced},
    goods::{add, cart, sku, stock_of, units},
    strategies::STRATEGIES,
};

/// The second of two checkouts waits for the first one. It is refused, although there is stock that nobody holds.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_checkouts_from_a_reservation_the_second_is_refused() {
    for strategy in STRATEGIES {
        for lines in [&[("pot", 2)][..], &[("mug", 1), ("pot", 2)]] {
            let db = Db::new().await;
            let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
            add(&shop, "mug", 50).await;
            add(&shop, "pot", 50).await;
            let held = lines.iter().map(|(name, count)| (sku(name), units(*count)));
            let held = shop.reserve(Reserve::new(held).unwrap()).await.unwrap();
            let buy = || cart(lines).with_reservation(held.id);
            let mut tx = db.pool.begin().await.unwrap();
            shop.checkout_in(&mut tx, &buy()).await.unwrap();
            let (other, request) = (shop.clone(), buy());
            let waiting = tokio::spawn(async move { other.checkout(request).await });
            until_waiting(&db.pool).await;
            tx.commit().await.unwrap();
            let refused = waiting.await.unwrap().unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ReservationClosed, "{strategy:?}");
            assert_eq!(stock_of(&shop, "pot").await, 48);
            assert_balanced(&db.pool).await;
        }
    }
}
