//! Only what has expired is ended.

use optilock::inventory::{
    Adjustment, BatchOptions, BatchedInventory, HoldState, Inventory, PgInventory, Reserve,
};

use super::{add_expired_holds, reserve};
use crate::support::{
    SHUTDOWN,
    db::{Db, assert_balanced},
    goods::{add, cart, sku, units},
    strategies::STRATEGIES,
};

/// What needs two units of expired holds.
const NEEDS: [&str; 3] = ["checkout", "reserve", "adjust"];

/// Ten units, of which four are in expired holds and three in a live one.
async fn leaves_the_live_hold(shop: &dyn Inventory, db: &Db, need: &str) {
    add(shop, "pot", 10).await;
    add_expired_holds(&db.pool, "pot", 4).await;
    let live = reserve(shop, &[("pot", 3)]).await;
    match need {
        "checkout" => drop(shop.checkout(cart(&[("pot", 5)])).await.unwrap()),
        "reserve" => {
            let wanted = Reserve::new([(sku("pot"), units(5))]).unwrap();
            drop(shop.reserve(wanted).await.unwrap());
        }
        _ => {
            let lost = Adjustment::new(sku("pot"), -5, "broken").unwrap();
            drop(shop.adjust_stock(lost).await.unwrap());
        }
    }
    let held = shop.reservation(live).await.unwrap();
    assert_eq!(held.holds[0].state, HoldState::Held, "{need}");
    let bought = cart(&[("pot", 3)]).with_reservation(live);
    shop.checkout(bought).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_hold_stays_when_expired_ones_are_ended() {
    for need in NEEDS {
        for strategy in STRATEGIES {
            let db = Db::new().await;
            let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
            leaves_the_live_hold(&shop, &db, need).await;
            assert_balanced(&db.pool).await;
        }
        let db = Db::new().await;
        let shop = PgInventory::new(db.pool.clone());
        let batched = BatchedInventory::new(shop, BatchOptions::new().always());
        leaves_the_live_hold(&batched, &db, need).await;
        batched.shutdown(SHUTDOWN).await.unwrap();
        assert_balanced(&db.pool).await;
    }
}
