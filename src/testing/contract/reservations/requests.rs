//! Reservations that are made, extended and released.

use std::time::Duration;

use crate::inventory::{
    Error, ErrorKind, HoldState, Inventory, MovementKind, Page, ReservationId, Reserve,
};

use super::helpers::{assert_closed, assert_short, counts, expired, hold, reserve, states};
use crate::testing::contract::goods::{add, cart, sku};

/// Asserts all rules of this file.
pub(super) async fn fulfil(shop: &dyn Inventory) {
    a_reservation_holds_all_lines_or_none(shop).await;
    a_repeated_request_makes_one_reservation(shop).await;
    a_live_reservation_is_extended(shop).await;
    a_release_frees_the_units_once(shop).await;
    invalid_requests_are_refused(shop).await;
}

async fn a_reservation_holds_all_lines_or_none(shop: &dyn Inventory) {
    add(shop, "hold", 5).await;
    add(shop, "hold-too", 1).await;
    let made = reserve(shop, &[("hold", 1), ("hold", 2)]).await;
    assert_eq!(states(&made), [(3, HoldState::Held)]);
    assert_eq!(
        made.holds[0].expires_at,
        made.created_at + Duration::from_secs(10 * 60)
    );
    assert_eq!(counts(shop, "hold").await, (5, 3));
    assert_eq!(shop.reservation(made.id).await.unwrap(), made);
    assert_short(
        shop.reserve(hold(&[("hold", 3), ("hold-too", 2)])).await,
        &[("hold", 2), ("hold-too", 1)],
    );
    assert_short(shop.checkout(cart(&[("hold", 3)])).await, &[("hold", 2)]);
    assert_short(
        shop.checkout(cart(&[("hold", 3), ("hold-too", 1)])).await,
        &[("hold", 2)],
    );
    let nowhere = shop
        .reserve(hold(&[("hold", 9), ("hold-nowhere", 1)]))
        .await;
    assert!(nowhere.unwrap_err().is_not_found());
    assert_eq!(
        (counts(shop, "hold").await, counts(shop, "hold-too").await),
        ((5, 3), (1, 0))
    );
    shop.checkout(cart(&[("hold", 2)])).await.unwrap();
    let ledger = shop.movements(&sku("hold"), Page::first(9)).await.unwrap();
    let movements: Vec<_> = ledger
        .iter()
        .map(|movement| {
            let (kind, delta) = (movement.kind, movement.delta);
            (kind, delta, movement.stock_after, movement.reservation)
        })
        .collect();
    assert_eq!(
        movements,
        [
            (MovementKind::Added, 5, 5, None),
            (MovementKind::Reserved, 0, 5, Some(made.id)),
            (MovementKind::Sale, -2, 3, None),
        ]
    );
}

async fn a_repeated_request_makes_one_reservation(shop: &dyn Inventory) {
    add(shop, "once", 2).await;
    let request = hold(&[("once", 2)]).with_customer("ana");
    let made = shop.reserve(request.clone()).await.unwrap();
    // This request holds the last units.
    let again = shop.reserve(request.clone()).await.unwrap();
    assert!(again.replayed && again.id == made.id);
    let other = hold(&[("once", 1)]).with_reservation_id(request.reservation_id());
    let mismatch = shop.reserve(other.with_customer("ana")).await.unwrap_err();
    assert_eq!(mismatch.http_status(), 422);
    shop.release(made.id).await.unwrap();

    let keyed = |lines: &[(&str, i64)], customer: &str| {
        let request = hold(lines).with_customer(customer);
        request.with_idempotency_key("key")
    };
    let made = shop.reserve(keyed(&[("once", 1)], "ana")).await.unwrap();
    let again = shop.reserve(keyed(&[("once", 1)], "ana")).await.unwrap();
    assert!(again.replayed && again.id == made.id);
    match shop.reserve(keyed(&[("once", 2)], "ana")).await {
        Err(error) if error.kind() == ErrorKind::IdempotencyMismatch => {
            let facts = (error.entity(), error.id());
            assert_eq!(facts, (Some("idempotency key"), Some("key")));
        }
        other => panic!("{other:?}"),
    }
    // The same key of another customer is another key.
    let other = shop.reserve(keyed(&[("once", 1)], "benito")).await.unwrap();
    assert!(!other.replayed && other.id != made.id);
    assert_eq!(counts(shop, "once").await, (2, 2));
}

async fn a_live_reservation_is_extended(shop: &dyn Inventory) {
    add(shop, "extend", 5).await;
    let made = reserve(shop, &[("extend", 2)]).await;
    let until = made.holds[0].expires_at;
    let same = shop.extend(made.id, Duration::from_secs(1)).await.unwrap();
    assert_eq!(
        same.holds[0].expires_at, until,
        "an extension never shortens"
    );
    let longer = shop.extend(made.id, Duration::from_secs(3_600)).await;
    assert!(longer.unwrap().holds[0].expires_at > until);
    assert_eq!(counts(shop, "extend").await, (5, 2));
    shop.release(made.id).await.unwrap();
    let minute = Duration::from_secs(60);
    assert_closed(shop.extend(made.id, minute).await, HoldState::Released);
    let late = expired(shop, &[("extend", 1)]).await;
    assert_closed(shop.extend(late, minute).await, HoldState::Expired);
    let unknown = shop.extend(ReservationId::new(), minute).await.unwrap_err();
    assert!(unknown.is_not_found());
}

async fn a_release_frees_the_units_once(shop: &dyn Inventory) {
    add(shop, "release", 5).await;
    add(shop, "release-too", 5).await;
    let made = reserve(shop, &[("release", 2), ("release-too", 5)]).await;
    shop.release(made.id).await.unwrap();
    shop.release(made.id).await.unwrap();
    assert_eq!(counts(shop, "release").await, (5, 0));
    assert_eq!(counts(shop, "release-too").await, (5, 0));
    let released = shop.reservation(made.id).await.unwrap();
    assert!(!released.is_live());
    assert_eq!(
        states(&released),
        [(2, HoldState::Released), (5, HoldState::Released)]
    );
    let ledger = shop
        .movements(&sku("release"), Page::first(9))
        .await
        .unwrap();
    assert_eq!(ledger.last().unwrap().kind, MovementKind::Released);
    assert_eq!(ledger.len(), 3, "released once");
    let unknown = shop.release(ReservationId::new()).await.unwrap_err();
    assert!(unknown.is_not_found());
    let unknown = shop.reservation(ReservationId::new()).await.unwrap_err();
    assert!(unknown.is_not_found());
    assert_eq!(unknown.entity(), Some("reservation"));
}

async fn invalid_requests_are_refused(shop: &dyn Inventory) {
    add(shop, "bad", 5).await;
    let too_long = Reserve::MAX_DURATION + Duration::from_micros(1);
    for duration in [
        Duration::ZERO,
        Duration::from_nanos(1),
        too_long,
        Duration::MAX,
    ] {
        let refused = shop.reserve(hold(&[("bad", 1)]).for_duration(duration));
        assert_invalid(refused.await, "duration");
        let refused = shop.extend(ReservationId::new(), duration);
        assert_invalid(refused.await, "duration");
    }
    for text in ["", "a\0", &"x".repeat(501)] {
        let refused = shop.reserve(hold(&[("bad", 1)]).with_customer(text));
        assert_invalid(refused.await, "customer");
        let refused = shop.reserve(hold(&[("bad", 1)]).with_idempotency_key(text));
        assert_invalid(refused.await, "idempotency key");
    }
    assert_eq!(
        Reserve::new([]).unwrap_err().to_string(),
        "reservation has no lines"
    );
    assert_eq!(counts(shop, "bad").await, (5, 0));
}

#[track_caller]
fn assert_invalid<T: std::fmt::Debug>(answer: Result<T, Error>, field: &str) {
    match answer {
        Err(error) if error.kind() == ErrorKind::Invalid => {
            assert_eq!(error.invalid_part().unwrap().0, field);
        }
        other => panic!("{other:?}"),
    }
}
