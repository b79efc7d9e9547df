//! A step of a reservation that another call creates between the statement of the step and the read that follows it.

use std::time::Duration;

use optilock::inventory::{Error, HoldState, Inventory, PgInventory, ReservationId, Reserve};

use crate::support::{
    db::{Db, assert_balanced, eventually},
    goods::{add, sku, units},
    proxy::Proxy,
};

/// Creates the reservation while the read of the step is held back. Returns the step's answer, and the hold's state
/// and the reserved units afterwards.
async fn step<T: Send + 'static>(
    step: impl AsyncFn(PgInventory, ReservationId) -> Result<T, Error>,
) -> (Result<T, Error>, HoldState, i64) {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 10).await;
    let request = Reserve::new([(sku("pot"), units(1))]).unwrap();
    let id = request.reservation_id();
    let proxy = Proxy::new(&db).await;
    let late = PgInventory::new(proxy.pool(1).await);
    late.product(&sku("pot")).await.unwrap(); // opens the connection
    let (.., parses) = proxy.counts();
    // The statement is parsed and executed; the read after it is not even parsed.
    proxy.allow(2);
    let create = async {
        let held_back = async || proxy.counts().2 == parses + 2;
        eventually("the read is held back", held_back).await;
        shop.reserve(request).await.unwrap();
        proxy.allow(u64::MAX);
    };
    let (answer, ()) = tokio::join!(step(late, id), create);
    let hold = shop.reservation(id).await.unwrap().holds.remove(0);
    let reserved = shop.product(&sku("pot")).await.unwrap().reserved.get();
    assert_balanced(&db.pool).await;
    (answer, hold.state, reserved)
}

#[tokio::test]
async fn a_release_takes_effect() {
    let release = async |shop: PgInventory, id| shop.release(id).await;
    let (answer, state, reserved) = step(release).await;
    answer.unwrap();
    assert_eq!((state, reserved), (HoldState::Released, 0));
}

#[tokio::test]
async fn an_extension_takes_effect() {
    let day = Duration::from_secs(24 * 3_600);
    let extend = async |shop: PgInventory, id| shop.extend(id, day).await;
    let (answer, state, reserved) = step(extend).await;
    let reservation = answer.unwrap();
    let lasts = reservation.holds[0].expires_at - reservation.created_at;
    assert!(lasts.num_hours() >= 23, "{lasts}");
    assert_eq!((state, reserved), (HoldState::Held, 1));
}
