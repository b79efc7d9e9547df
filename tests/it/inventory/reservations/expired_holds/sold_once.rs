//! The units of an expired hold are sold once.

use std::time::Duration;

use optilock::{
    inventory::{
        Error, ErrorKind, HoldState, Inventory, MemoryInventory, Order, PgInventory, ReservationId,
        Reserve, Strategy,
    },
    sqlx::{self, PgPool},
};
use tokio::task::JoinSet;

use super::{expire_all, reserve};
use crate::{
    support::db::{Db, Default, assert_balanced},
    support::goods::{add, cart, sku, units},
};

/// An inventory, and the way to expire its holds.
struct Shop<'a> {
    inventory: &'a dyn Inventory,
    pool: Option<&'a PgPool>,
}

impl Shop<'_> {
    async fn expired_reservation(&self, lines: &[(&str, i64)]) -> ReservationId {
        let lines = lines.iter().map(|(name, count)| (sku(name), units(*count)));
        let mut request = Reserve::new(lines).unwrap();
        if self.pool.is_none() {
            request = request.for_duration(Duration::from_micros(1));
        }
        let id = self.inventory.reserve(request).await.unwrap().id;
        if let Some(pool) = self.pool {
            expire_all(pool).await;
        }
        self.inventory.cleanup_reservations().await.unwrap();
        id
    }

    async fn check_out(&self, id: ReservationId, lines: &[(&str, i64)]) -> Result<Order, Error> {
        let request = cart(lines).with_reservation(id);
        self.inventory.checkout(request).await
    }

    /// Asserts that a checkout of `pots` from the reservation is refused in this state.
    async fn assert_closed(&self, id: ReservationId, pots: i64, expected: HoldState) {
        match self.check_out(id, &[("pot", pots)]).await {
            Err(error) if error.kind() == ErrorKind::ReservationClosed => {
                assert_eq!(error.reservation_state().unwrap().1, expected);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_units_of_an_expired_hold_are_sold_once() {
    let db = Db::new().await;
    let pg = PgInventory::new(db.pool.clone());
    let memory = MemoryInventory::new();
    for (inventory, pool) in [(&pg as &dyn Inventory, Some(&db.pool)), (&memory, None)] {
        let shop = Shop { inventory, pool };
        add(inventory, "pot", 20).await;
        add(inventory, "mug", 20).await;
        // All units at once.
        let id = shop.expired_reservation(&[("pot", 3), ("mug", 1)]).await;
        shop.check_out(id, &[("pot", 3), ("mug", 1)]).await.unwrap();
        shop.assert_closed(id, 3, HoldState::Consumed).await;
        // In two parts.
        let id = shop.expired_reservation(&[("pot", 3)]).await;
        shop.check_out(id, &[("pot", 2)]).await.unwrap();
        let hold = inventory.reservation(id).await.unwrap().holds.remove(0);
        assert_eq!((hold.held, hold.state), (1, HoldState::Expired));
        shop.check_out(id, &[("pot", 1)]).await.unwrap();
        shop.assert_closed(id, 1, HoldState::Consumed).await;
        // Released after the expiry.
        let id = shop.expired_reservation(&[("pot", 3)]).await;
        inventory.release(id).await.unwrap();
        shop.assert_closed(id, 1, HoldState::Released).await;
        inventory.release(id).await.unwrap();
        let product = inventory.product(&sku("pot")).await.unwrap();
        assert_eq!((product.stock.get(), product.reserved.get()), (14, 0));
    }
    let remaining = "SELECT count(*) FROM optilock.reservations WHERE remaining <> 0";
    let left: i64 = sqlx::query_scalar(remaining)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert_eq!(left, 0);
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_concurrent_checkouts_from_a_reservation_is_made() {
    for default in [Default::ReadCommitted, Default::Serializable] {
        for expired in [false, true] {
            let db = Db::with(default, 16).await;
            let shop = PgInventory::new(db.pool.clone());
            add(&shop, "pot", 100).await;
            let id = reserve(&shop, &[("pot", 3)]).await;
            if expired {
                expire_all(&db.pool).await;
                shop.cleanup_reservations().await.unwrap();
            }
            let mut buyers = JoinSet::new();
            for _ in 0..16 {
                let shop = shop.clone();
                buyers.spawn(async move {
                    let request = cart(&[("pot", 3)]).with_reservation(id);
                    shop.checkout(request).await
                });
            }
            let answers = buyers.join_all().await;
            let made = answers.iter().filter(|answer| answer.is_ok()).count();
            assert_eq!(made, 1, "{default:?} {expired} {answers:?}");
            assert_balanced(&db.pool).await;
        }
    }
}

#[tokio::test]
async fn an_optimistic_checkout_with_a_key_ends_expired_holds() {
    for lines in [&[("pot", 2)][..], &[("mug", 1), ("pot", 2)]] {
        let db = Db::new().await;
        let shop = PgInventory::new(db.pool.clone()).with_strategy(Strategy::Optimistic);
        add(&shop, "mug", 2).await;
        add(&shop, "pot", 2).await;
        reserve(&shop, &[("pot", 2)]).await;
        expire_all(&db.pool).await;
        let request = cart(lines).with_idempotency_key("key");
        shop.checkout(request).await.unwrap();
        assert_balanced(&db.pool).await;
    }
}
