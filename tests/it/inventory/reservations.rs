//! Units held for buyers, in every inventory.

mod expired_holds;

use std::time::Duration;

use optilock::inventory::{
    Adjustment, Checkout, Error, HoldState, Inventory, Line, MovementKind, Page, Reservation,
    ReservationId, Reserve,
};

use crate::support::goods::{add, cart, pesos, sku, stock, stock_of, units};

/// Every clause, on one inventory.
pub async fn fulfil(shop: &dyn Inventory) {
    holds_all_or_nothing(shop).await;
    is_made_once(shop).await;
    is_extended(shop).await;
    is_released(shop).await;
    is_checked_out(shop).await;
    is_checked_out_in_parts(shop).await;
    is_its_customers(shop).await;
    holds_units_and_not_prices(shop).await;
    runs_out_and_is_in_nobodys_way(shop).await;
    is_checked_out_after_it_ran_out(shop).await;
    is_swept(shop).await;
    protects_what_it_holds(shop).await;
    refuses_bad_input(shop).await;
}

fn hold(lines: &[(&str, i64)]) -> Reserve {
    let lines = lines.iter().map(|(name, count)| (sku(name), units(*count)));
    Reserve::new(lines).unwrap()
}

async fn reserve(shop: &dyn Inventory, lines: &[(&str, i64)]) -> Reservation {
    shop.reserve(hold(lines)).await.unwrap()
}

/// A reservation whose time is up.
async fn ran_out(shop: &dyn Inventory, lines: &[(&str, i64)]) -> ReservationId {
    let short = hold(lines).for_duration(Duration::from_micros(1));
    let id = shop.reserve(short).await.unwrap().id;
    while shop.reservation(id).await.unwrap().is_live() {
        tokio::task::yield_now().await;
    }
    id
}

/// Units on hand, and held.
async fn counts(shop: &dyn Inventory, name: &str) -> (i64, i64) {
    let product = shop.product(&sku(name)).await.unwrap();
    (product.stock.get(), product.reserved.get())
}

fn states(reservation: &Reservation) -> Vec<(i64, HoldState)> {
    let holds = reservation.holds.iter();
    holds.map(|hold| (hold.held, hold.state)).collect()
}

#[track_caller]
fn assert_short<T: std::fmt::Debug>(answer: Result<T, Error>, expected: &[(&str, i64)]) {
    match answer {
        Err(Error::InsufficientStock(short)) => {
            let short: Vec<_> = short
                .iter()
                .map(|it| (it.sku.as_str(), it.available))
                .collect();
            assert_eq!(short, expected);
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_closed<T: std::fmt::Debug>(answer: Result<T, Error>, expected: HoldState) {
    match answer {
        Err(error @ Error::ReservationClosed { state, .. }) => {
            assert_eq!(state, expected);
            assert_eq!(
                (error.http_status(), error.code()),
                (409, "reservation-closed")
            );
        }
        other => panic!("{other:?}"),
    }
}

async fn holds_all_or_nothing(shop: &dyn Inventory) {
    add(shop, "hold", 5).await;
    add(shop, "hold-too", 1).await;
    let made = reserve(shop, &[("hold", 1), ("hold", 2)]).await;
    assert_eq!(states(&made), [(3, HoldState::Held)]);
    assert_eq!(
        made.holds[0].expires_at - made.created_at,
        chrono::TimeDelta::minutes(10)
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
    let told: Vec<_> = ledger
        .iter()
        .map(|it| (it.kind, it.delta, it.stock_after, it.reservation))
        .collect();
    assert_eq!(
        told,
        [
            (MovementKind::Added, 5, 5, None),
            (MovementKind::Reserved, 0, 5, Some(made.id)),
            (MovementKind::Sale, -2, 3, None),
        ]
    );
}

async fn is_made_once(shop: &dyn Inventory) {
    add(shop, "once", 2).await;
    let request = hold(&[("once", 2)]).with_customer("ana");
    let made = shop.reserve(request.clone()).await.unwrap();
    // The last units are held, and by this very request.
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
        Err(Error::IdempotencyMismatch { entity, id }) => {
            assert_eq!((entity, &*id), ("idempotency key", "key"));
        }
        other => panic!("{other:?}"),
    }
    // Of another customer it is another.
    let other = shop.reserve(keyed(&[("once", 1)], "benito")).await.unwrap();
    assert!(!other.replayed && other.id != made.id);
    assert_eq!(counts(shop, "once").await, (2, 2));
}

async fn is_extended(shop: &dyn Inventory) {
    add(shop, "extend", 5).await;
    let made = reserve(shop, &[("extend", 2)]).await;
    let until = made.holds[0].expires_at;
    let same = shop.extend(made.id, Duration::from_secs(1)).await.unwrap();
    assert_eq!(same.holds[0].expires_at, until, "it lasts longer anyway");
    let longer = shop.extend(made.id, Duration::from_secs(3_600)).await;
    assert!(longer.unwrap().holds[0].expires_at > until);
    assert_eq!(counts(shop, "extend").await, (5, 2));
    shop.release(made.id).await.unwrap();
    let minute = Duration::from_secs(60);
    assert_closed(shop.extend(made.id, minute).await, HoldState::Released);
    let late = ran_out(shop, &[("extend", 1)]).await;
    assert_closed(shop.extend(late, minute).await, HoldState::Expired);
    let nobody = shop.extend(ReservationId::new(), minute).await.unwrap_err();
    assert!(nobody.is_not_found());
}

async fn is_released(shop: &dyn Inventory) {
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
    let nobody = shop.release(ReservationId::new()).await.unwrap_err();
    assert!(nobody.is_not_found());
    let nobody = shop.reservation(ReservationId::new()).await.unwrap_err();
    assert!(matches!(
        nobody,
        Error::NotFound {
            entity: "reservation",
            ..
        }
    ));
}

async fn is_checked_out(shop: &dyn Inventory) {
    add(shop, "buy", 2).await;
    add(shop, "buy-too", 2).await;
    for lines in [
        vec![("buy", 2)],
        vec![("buy-too", 1)],
        vec![("buy", 1), ("buy-too", 2)],
    ] {
        let made = reserve(shop, &lines).await;
        let request = cart(&lines).with_reservation(made.id);
        let order = shop.checkout(request.clone()).await.unwrap();
        assert!(!order.replayed);
        let again = shop.checkout(request).await.unwrap();
        assert!(again.replayed && again.id == order.id);
        let used = shop.reservation(made.id).await.unwrap();
        assert!(
            states(&used)
                .iter()
                .all(|it| *it == (0, HoldState::Consumed))
        );
        // A second order from it would be bought twice.
        assert_closed(
            shop.checkout(cart(&lines).with_reservation(made.id)).await,
            HoldState::Consumed,
        );
        shop.release(made.id).await.unwrap();
        for (name, count) in &lines {
            assert_eq!(counts(shop, name).await, (2 - count, 0));
        }
        let ledger = shop
            .movements(&sku(lines[0].0), Page::first(99))
            .await
            .unwrap();
        let sale = ledger.last().unwrap();
        assert_eq!(
            (sale.kind, sale.order, sale.reservation),
            (MovementKind::Sale, Some(order.id), Some(made.id))
        );
        // It gives back stock, and no reservation.
        shop.cancel(order.id, "test").await.unwrap();
        for (name, _) in &lines {
            assert_eq!(counts(shop, name).await, (2, 0));
        }
    }
}

async fn is_checked_out_in_parts(shop: &dyn Inventory) {
    add(shop, "part", 9).await;
    add(shop, "part-too", 9).await;
    let made = reserve(shop, &[("part", 3), ("part-too", 2)]).await;
    let buy = async |lines: &[(&str, i64)]| {
        let order = shop.checkout(cart(lines).with_reservation(made.id)).await;
        order.unwrap();
        states(&shop.reservation(made.id).await.unwrap())
    };
    // Fewer units: the rest stays held.
    assert_eq!(
        buy(&[("part", 1)]).await,
        [(2, HoldState::Held), (2, HoldState::Held)]
    );
    assert_eq!(counts(shop, "part").await, (8, 2));
    // More units: the others are taken from what is free.
    assert_eq!(
        buy(&[("part", 5)]).await,
        [(0, HoldState::Consumed), (2, HoldState::Held)]
    );
    assert_eq!(counts(shop, "part").await, (3, 0));
    // A product that it never held.
    add(shop, "part-other", 1).await;
    assert_eq!(
        buy(&[("part-other", 1), ("part-too", 2)]).await,
        [(0, HoldState::Consumed), (0, HoldState::Consumed)]
    );
    assert_eq!(counts(shop, "part-too").await, (7, 0));
    // More than there is: nothing is taken, and the hold stays.
    let made = reserve(shop, &[("part", 2)]).await;
    let greedy = cart(&[("part", 4)]).with_reservation(made.id);
    assert_short(shop.checkout(greedy).await, &[("part", 3)]);
    assert_eq!(counts(shop, "part").await, (3, 2));
}

async fn is_its_customers(shop: &dyn Inventory) {
    add(shop, "own", 9).await;
    let of_ana = async || {
        let request = hold(&[("own", 1)]).with_customer("ana");
        shop.reserve(request).await.unwrap().id
    };
    // Two of one owner are two.
    let (first, second) = (of_ana().await, of_ana().await);
    assert_eq!(counts(shop, "own").await, (9, 2));
    for stranger in [
        cart(&[("own", 1)]),
        cart(&[("own", 1)]).with_customer("benito"),
    ] {
        let refused = shop.checkout(stranger.with_reservation(first)).await;
        assert!(refused.unwrap_err().is_not_found());
    }
    let mine = cart(&[("own", 1)]).with_customer("ana");
    shop.checkout(mine.with_reservation(first)).await.unwrap();
    assert_eq!(counts(shop, "own").await, (8, 1));
    assert!(shop.reservation(second).await.unwrap().is_live());
    // One without an owner is for whoever knows it.
    let anybodys = reserve(shop, &[("own", 1)]).await.id;
    let benito = cart(&[("own", 1)]).with_customer("benito");
    shop.checkout(benito.with_reservation(anybodys))
        .await
        .unwrap();
    let unknown = cart(&[("own", 1)]).with_reservation(ReservationId::new());
    assert!(shop.checkout(unknown).await.unwrap_err().is_not_found());
}

async fn holds_units_and_not_prices(shop: &dyn Inventory) {
    let product = add(shop, "price", 5).await;
    let made = reserve(shop, &[("price", 1)]).await;
    let mut dearer = product.clone();
    dearer.price = pesos(2_000);
    shop.update_product(&dearer).await.unwrap();
    let line = Line::new(sku("price"), units(1)).expecting_price(product.price);
    let at_the_old = Checkout::new([line]).unwrap().with_reservation(made.id);
    let refused = shop.checkout(at_the_old).await.unwrap_err();
    assert!(matches!(refused, Error::PriceChanged { .. }));
    assert!(shop.reservation(made.id).await.unwrap().is_live());
    let at_the_new = cart(&[("price", 1)]).with_reservation(made.id);
    assert_eq!(shop.checkout(at_the_new).await.unwrap().total, pesos(2_000));
}

async fn runs_out_and_is_in_nobodys_way(shop: &dyn Inventory) {
    for name in ["late", "late-too"] {
        add(shop, name, 2).await;
    }
    // One line, several, a reservation, breakage, a revival: each finds the units.
    let old = ran_out(shop, &[("late", 2)]).await;
    let one = shop.checkout(cart(&[("late", 1)])).await.unwrap();
    assert_eq!(counts(shop, "late").await, (1, 0));
    let lapsed = shop.reservation(old).await.unwrap();
    assert_eq!(states(&lapsed), [(2, HoldState::Expired)]);
    shop.cancel(one.id, "test").await.unwrap();

    ran_out(shop, &[("late", 1), ("late-too", 2)]).await;
    ran_out(shop, &[("late", 1)]).await;
    let many = shop.checkout(cart(&[("late", 2), ("late-too", 1)])).await;
    let many = many.unwrap();
    assert_eq!(
        (counts(shop, "late").await, counts(shop, "late-too").await),
        ((0, 0), (1, 0))
    );
    shop.cancel(many.id, "test").await.unwrap();

    ran_out(shop, &[("late", 2)]).await;
    let next = reserve(shop, &[("late", 2)]).await;
    assert_eq!(counts(shop, "late").await, (2, 2));
    shop.release(next.id).await.unwrap();

    ran_out(shop, &[("late", 2)]).await;
    shop.revive(many.id).await.unwrap();
    assert_eq!(counts(shop, "late").await, (0, 0));
    shop.cancel(many.id, "test").await.unwrap();

    ran_out(shop, &[("late", 2)]).await;
    let broken = Adjustment::new(sku("late"), -2, "broken").unwrap();
    shop.adjust_stock(broken).await.unwrap();
    assert_eq!(counts(shop, "late").await, (0, 0));

    // Not enough even so: told what there is, and nothing is lapsed for nothing.
    ran_out(shop, &[("late-too", 1)]).await;
    assert_short(
        shop.checkout(cart(&[("late-too", 3)])).await,
        &[("late-too", 2)],
    );
    assert_short(
        shop.reserve(hold(&[("late-too", 3)])).await,
        &[("late-too", 2)],
    );
    assert_eq!(counts(shop, "late-too").await, (2, 1));
}

async fn is_checked_out_after_it_ran_out(shop: &dyn Inventory) {
    add(shop, "after", 2).await;
    // Still there, lapsed or not.
    let id = ran_out(shop, &[("after", 1)]).await;
    let first = shop
        .checkout(cart(&[("after", 1)]).with_reservation(id))
        .await
        .unwrap();
    let id = ran_out(shop, &[("after", 1)]).await;
    shop.cleanup_reservations().await.unwrap();
    let second = shop
        .checkout(cart(&[("after", 1)]).with_reservation(id))
        .await
        .unwrap();
    assert_eq!(counts(shop, "after").await, (0, 0));
    for order in [first, second] {
        shop.cancel(order.id, "test").await.unwrap();
    }
    // Gone.
    let id = ran_out(shop, &[("after", 2)]).await;
    shop.checkout(cart(&[("after", 1)])).await.unwrap();
    let late = cart(&[("after", 2)]).with_reservation(id);
    assert_short(shop.checkout(late).await, &[("after", 1)]);
}

async fn is_swept(shop: &dyn Inventory) {
    shop.cleanup_reservations().await.unwrap();
    add(shop, "swept", 9).await;
    add(shop, "swept-too", 9).await;
    ran_out(shop, &[("swept", 2), ("swept-too", 1)]).await;
    ran_out(shop, &[("swept", 3)]).await;
    let live = reserve(shop, &[("swept", 1)]).await;
    let done = shop.cleanup_reservations().await.unwrap();
    assert_eq!((done.orders, done.holds, done.units), (0, 3, 6));
    let done = shop.cleanup_reservations().await.unwrap();
    assert_eq!((done.holds, done.units), (0, 0), "once");
    assert_eq!(
        (counts(shop, "swept").await, counts(shop, "swept-too").await),
        ((9, 1), (9, 0))
    );
    assert!(shop.reservation(live.id).await.unwrap().is_live());
    let ledger = shop.movements(&sku("swept"), Page::first(9)).await.unwrap();
    let lapses = ledger.iter().filter(|it| it.kind == MovementKind::Expired);
    assert_eq!(
        lapses.count(),
        1,
        "a change of the product, however many holds"
    );
}

async fn protects_what_it_holds(shop: &dyn Inventory) {
    let product = add(shop, "protect", 5).await;
    let made = reserve(shop, &[("protect", 3)]).await;
    let version = shop.product(&product.sku).await.unwrap().version;
    let held = shop
        .count_stock(&product.sku, version, stock(2), "day")
        .await;
    assert_eq!(held.unwrap_err().code(), "stock-held");
    let broken = Adjustment::new(product.sku.clone(), -3, "broken").unwrap();
    assert_short(shop.adjust_stock(broken).await, &[("protect", 2)]);
    // Also of a product that is no longer sold, and is sold again.
    shop.retire_product(&product.sku, version).await.unwrap();
    let buy = cart(&[("protect", 1)]).with_reservation(made.id);
    assert!(shop.checkout(buy.clone()).await.unwrap_err().is_not_found());
    let again = crate::support::goods::new_product("protect", 2);
    assert_eq!(
        shop.add_product(again).await.unwrap_err().code(),
        "stock-held"
    );
    shop.add_product(crate::support::goods::new_product("protect", 3))
        .await
        .unwrap();
    shop.checkout(buy).await.unwrap();
    assert_eq!(counts(shop, "protect").await, (2, 2));
    let version = shop.product(&product.sku).await.unwrap().version;
    shop.retire_product(&product.sku, version).await.unwrap();
    shop.release(made.id).await.unwrap();
    shop.add_product(crate::support::goods::new_product("protect", 1))
        .await
        .unwrap();
    assert_eq!(stock_of(shop, "protect").await, 1);
    assert_eq!(counts(shop, "protect").await, (1, 0));
}

async fn refuses_bad_input(shop: &dyn Inventory) {
    add(shop, "bad", 5).await;
    let too_long = Reserve::MAX_DURATION + Duration::from_micros(1);
    for duration in [
        Duration::ZERO,
        Duration::from_nanos(1),
        too_long,
        Duration::MAX,
    ] {
        let refused = shop.reserve(hold(&[("bad", 1)]).for_duration(duration));
        assert!(matches!(
            refused.await,
            Err(Error::Invalid {
                what: "duration",
                ..
            })
        ));
        let refused = shop.extend(ReservationId::new(), duration);
        assert!(matches!(
            refused.await,
            Err(Error::Invalid {
                what: "duration",
                ..
            })
        ));
    }
    for text in ["", "a\0", &"x".repeat(501)] {
        let refused = shop.reserve(hold(&[("bad", 1)]).with_customer(text));
        assert!(matches!(
            refused.await,
            Err(Error::Invalid {
                what: "customer",
                ..
            })
        ));
        let refused = shop.reserve(hold(&[("bad", 1)]).with_idempotency_key(text));
        assert!(matches!(
            refused.await,
            Err(Error::Invalid {
                what: "idempotency key",
                ..
            })
        ));
    }
    assert_eq!(
        Reserve::new([]).unwrap_err().to_string(),
        "reservation has no lines"
    );
    assert_eq!(counts(shop, "bad").await, (5, 0));
}
