//! Checkouts from a reservation.

use crate::inventory::{
    Checkout, ErrorKind, HoldState, Inventory, Line, MovementKind, Page, ReservationId,
};

use super::helpers::{assert_closed, assert_short, counts, hold, reserve, states};
use crate::testing::contract::goods::{add, cart, pesos, sku, units};

/// Asserts all rules of this file.
pub(super) async fn fulfil(shop: &dyn Inventory) {
    a_checkout_consumes_its_reservation(shop).await;
    a_checkout_may_take_fewer_or_more_units(shop).await;
    a_reservation_belongs_to_its_customer(shop).await;
    a_reservation_does_not_hold_the_price(shop).await;
}

async fn a_checkout_consumes_its_reservation(shop: &dyn Inventory) {
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
                .all(|state| *state == (0, HoldState::Consumed))
        );
        // A second order cannot use the same units.
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
        // A cancellation returns the units to the stock, not to the reservation.
        shop.cancel(order.id, "test").await.unwrap();
        for (name, _) in &lines {
            assert_eq!(counts(shop, name).await, (2, 0));
        }
    }
}

async fn a_checkout_may_take_fewer_or_more_units(shop: &dyn Inventory) {
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
    // More units: the checkout takes the others from the available units.
    assert_eq!(
        buy(&[("part", 5)]).await,
        [(0, HoldState::Consumed), (2, HoldState::Held)]
    );
    assert_eq!(counts(shop, "part").await, (3, 0));
    // A product outside of the reservation.
    add(shop, "part-other", 1).await;
    assert_eq!(
        buy(&[("part-other", 1), ("part-too", 2)]).await,
        [(0, HoldState::Consumed), (0, HoldState::Consumed)]
    );
    assert_eq!(counts(shop, "part-too").await, (7, 0));
    // More than available: the checkout takes nothing and the hold remains.
    let made = reserve(shop, &[("part", 2)]).await;
    let greedy = cart(&[("part", 4)]).with_reservation(made.id);
    assert_short(shop.checkout(greedy).await, &[("part", 3)]);
    assert_eq!(counts(shop, "part").await, (3, 2));
}

async fn a_reservation_belongs_to_its_customer(shop: &dyn Inventory) {
    add(shop, "own", 9).await;
    let of_ana = async || {
        let request = hold(&[("own", 1)]).with_customer("ana");
        shop.reserve(request).await.unwrap().id
    };
    // One customer may have two reservations.
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
    // A reservation without a customer is open to every caller with its id.
    let open = reserve(shop, &[("own", 1)]).await.id;
    let benito = cart(&[("own", 1)]).with_customer("benito");
    shop.checkout(benito.with_reservation(open)).await.unwrap();
    let unknown = cart(&[("own", 1)]).with_reservation(ReservationId::new());
    assert!(shop.checkout(unknown).await.unwrap_err().is_not_found());
}

async fn a_reservation_does_not_hold_the_price(shop: &dyn Inventory) {
    let product = add(shop, "price", 5).await;
    let made = reserve(shop, &[("price", 1)]).await;
    let mut dearer = product.clone();
    dearer.price = pesos(2_000);
    shop.update_product(&dearer).await.unwrap();
    let line = Line::new(sku("price"), units(1)).expecting_price(product.price);
    let at_the_old = Checkout::new([line]).unwrap().with_reservation(made.id);
    let refused = shop.checkout(at_the_old).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PriceChanged);
    assert!(shop.reservation(made.id).await.unwrap().is_live());
    let at_the_new = cart(&[("price", 1)]).with_reservation(made.id);
    assert_eq!(shop.checkout(at_the_new).await.unwrap().total, pesos(2_000));
}
