//! Expired reservations.

use crate::inventory::{Adjustment, HoldState, Inventory, MovementKind, Page};

use super::helpers::{assert_short, counts, expired, hold, reserve, states};
use crate::testing::contract::goods::{add, cart, sku};

/// Asserts all rules of this file.
pub(super) async fn fulfil(shop: &dyn Inventory) {
    an_expired_reservation_blocks_no_operation(shop).await;
    an_expired_reservation_can_be_bought_while_the_units_last(shop).await;
    a_clean_up_ends_expired_holds_once(shop).await;
}

async fn an_expired_reservation_blocks_no_operation(shop: &dyn Inventory) {
    for name in ["late", "late-too"] {
        add(shop, name, 2).await;
    }
    // Checkouts of one line and several, a reservation, a revival and an adjustment find the units.
    let old = expired(shop, &[("late", 2)]).await;
    let one = shop.checkout(cart(&[("late", 1)])).await.unwrap();
    assert_eq!(counts(shop, "late").await, (1, 0));
    let ended = shop.reservation(old).await.unwrap();
    assert_eq!(states(&ended), [(2, HoldState::Expired)]);
    shop.cancel(one.id, "test").await.unwrap();

    expired(shop, &[("late", 1), ("late-too", 2)]).await;
    expired(shop, &[("late", 1)]).await;
    let many = shop.checkout(cart(&[("late", 2), ("late-too", 1)])).await;
    let many = many.unwrap();
    assert_eq!(
        (counts(shop, "late").await, counts(shop, "late-too").await),
        ((0, 0), (1, 0))
    );
    shop.cancel(many.id, "test").await.unwrap();

    expired(shop, &[("late", 2)]).await;
    let next = reserve(shop, &[("late", 2)]).await;
    assert_eq!(counts(shop, "late").await, (2, 2));
    shop.release(next.id).await.unwrap();

    expired(shop, &[("late", 2)]).await;
    shop.revive(many.id).await.unwrap();
    assert_eq!(counts(shop, "late").await, (0, 0));
    shop.cancel(many.id, "test").await.unwrap();

    expired(shop, &[("late", 2)]).await;
    let broken = Adjustment::new(sku("late"), -2, "broken").unwrap();
    shop.adjust_stock(broken).await.unwrap();
    assert_eq!(counts(shop, "late").await, (0, 0));

    // Too few units even with the expired ones: the error counts them, and the hold is not changed.
    expired(shop, &[("late-too", 1)]).await;
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

async fn an_expired_reservation_can_be_bought_while_the_units_last(shop: &dyn Inventory) {
    add(shop, "after", 2).await;
    // The units are available, before and after the clean-up.
    let id = expired(shop, &[("after", 1)]).await;
    let first = shop
        .checkout(cart(&[("after", 1)]).with_reservation(id))
        .await
        .unwrap();
    let id = expired(shop, &[("after", 1)]).await;
    shop.cleanup_reservations().await.unwrap();
    let second = shop
        .checkout(cart(&[("after", 1)]).with_reservation(id))
        .await
        .unwrap();
    assert_eq!(counts(shop, "after").await, (0, 0));
    for order in [first, second] {
        shop.cancel(order.id, "test").await.unwrap();
    }
    // Another checkout has taken one of the units.
    let id = expired(shop, &[("after", 2)]).await;
    shop.checkout(cart(&[("after", 1)])).await.unwrap();
    let late = cart(&[("after", 2)]).with_reservation(id);
    assert_short(shop.checkout(late).await, &[("after", 1)]);
}

async fn a_clean_up_ends_expired_holds_once(shop: &dyn Inventory) {
    shop.cleanup_reservations().await.unwrap();
    add(shop, "cleaned", 9).await;
    add(shop, "cleaned-too", 9).await;
    expired(shop, &[("cleaned", 2), ("cleaned-too", 1)]).await;
    expired(shop, &[("cleaned", 3)]).await;
    let live = reserve(shop, &[("cleaned", 1)]).await;
    let done = shop.cleanup_reservations().await.unwrap();
    assert_eq!((done.orders, done.holds, done.units), (0, 3, 6));
    let done = shop.cleanup_reservations().await.unwrap();
    assert_eq!(
        (done.holds, done.units),
        (0, 0),
        "the second clean-up finds nothing"
    );
    assert_eq!(
        (
            counts(shop, "cleaned").await,
            counts(shop, "cleaned-too").await
        ),
        ((9, 1), (9, 0))
    );
    assert!(shop.reservation(live.id).await.unwrap().is_live());
    let ledger = shop
        .movements(&sku("cleaned"), Page::first(9))
        .await
        .unwrap();
    let expirations = ledger
        .iter()
        .filter(|movement| movement.kind == MovementKind::Expired);
    assert_eq!(
        expirations.count(),
        1,
        "one movement for all holds of the product"
    );
}
