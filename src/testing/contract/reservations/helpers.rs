//! Requests of reservations and assertions about them.

use std::time::Duration;

use crate::inventory::{
    Error, ErrorKind, HoldState, Inventory, Reservation, ReservationId, Reserve,
};

use crate::testing::contract::goods::{sku, units};

pub(super) fn hold(lines: &[(&str, i64)]) -> Reserve {
    let lines = lines.iter().map(|(name, count)| (sku(name), units(*count)));
    Reserve::new(lines).unwrap()
}

pub(super) async fn reserve(shop: &dyn Inventory, lines: &[(&str, i64)]) -> Reservation {
    shop.reserve(hold(lines)).await.unwrap()
}

/// Makes a reservation and waits until it has expired.
pub(super) async fn expired(shop: &dyn Inventory, lines: &[(&str, i64)]) -> ReservationId {
    let short = hold(lines).for_duration(Duration::from_micros(1));
    let id = shop.reserve(short).await.unwrap().id;
    while shop.reservation(id).await.unwrap().is_live() {
        tokio::task::yield_now().await;
    }
    id
}

/// Returns the units in stock and the reserved units.
pub(super) async fn counts(shop: &dyn Inventory, name: &str) -> (i64, i64) {
    let product = shop.product(&sku(name)).await.unwrap();
    (product.stock.get(), product.reserved.get())
}

/// Returns the held units and the state of each hold.
pub(super) fn states(reservation: &Reservation) -> Vec<(i64, HoldState)> {
    let holds = reservation.holds.iter();
    holds.map(|hold| (hold.held, hold.state)).collect()
}

/// Asserts that too few units are available, for which products and how many there are.
#[track_caller]
pub(super) fn assert_short<T: std::fmt::Debug>(answer: Result<T, Error>, expected: &[(&str, i64)]) {
    match answer {
        Err(error) if error.is_insufficient_stock() => {
            let short: Vec<_> = error
                .shortages()
                .iter()
                .map(|shortage| (shortage.sku.as_str(), shortage.available))
                .collect();
            assert_eq!(short, expected);
        }
        other => panic!("{other:?}"),
    }
}

/// Asserts that the operation was refused because the hold has this state.
#[track_caller]
pub(super) fn assert_closed<T: std::fmt::Debug>(answer: Result<T, Error>, expected: HoldState) {
    match answer {
        Err(error) if error.kind() == ErrorKind::ReservationClosed => {
            let (_, state) = error.reservation_state().unwrap();
            assert_eq!(state, expected);
            assert_eq!(
                (error.http_status(), error.code()),
                (409, "reservation-closed")
            );
        }
        other => panic!("{other:?}"),
    }
}
