//! Steps of a reservation.

use std::time::Duration;

use optilock::inventory::{Inventory, Reserve};

use super::OneConnection;
use crate::support::goods::{cart, sku, units};

fn one_pot() -> Reserve {
    Reserve::new([(sku("pot"), units(1))]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_step_of_a_reservation_leaves_a_clean_connection() {
    let one = OneConnection::with_products().await;
    let (shop, direct) = (&one.shop, &one.direct);
    one.drop_after_each_poll("reserve, extend, reservation, release", || {
        Box::pin(async {
            let id = shop.reserve(one_pot()).await.unwrap().id;
            shop.extend(id, Duration::from_secs(900)).await.unwrap();
            shop.reservation(id).await.unwrap();
            shop.release(id).await.unwrap();
        })
    })
    .await;
    one.drop_after_each_poll("a checkout from a reservation", || {
        Box::pin(async {
            let id = direct.reserve(one_pot()).await.unwrap().id;
            let request = cart(&[("pot", 1)]).with_reservation(id);
            shop.checkout(request).await.map(drop).unwrap();
        })
    })
    .await;
    one.drop_after_each_poll("cleanup_reservations", || {
        Box::pin(async {
            let request = one_pot().for_duration(Duration::from_micros(1));
            direct.reserve(request).await.unwrap();
            shop.cleanup_reservations().await.map(drop).unwrap();
        })
    })
    .await;
}
