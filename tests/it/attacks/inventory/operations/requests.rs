//! Requests and arguments of the operations.

use std::time::Duration;

use optilock::{
    Version,
    inventory::{
        Adjustment, Checkout, Line, NewProduct, OutboxPosition, Page, Product, ReservationId,
        Reserve, ReturnRequest,
    },
};
use uuid::Uuid;

use super::fixture::{Fixture, Setup};
use crate::support::goods::{pesos, stock, units};

/// Returns the pot of the setup, as it was read at this version.
pub fn pot(fixture: &Fixture, version: i64) -> Product {
    let mut pot = Product::new(fixture.pot(), "A pot", pesos(1_000));
    pot.version = at(version);
    pot
}

pub fn at(version: i64) -> Version {
    Version::new(version).unwrap()
}

/// Returns the version of the setup's order that has failed.
pub fn failed_order(fixture: &Fixture) -> Version {
    at(if fixture.is_new { 2 } else { 1 })
}

pub const fn limit(fixture: &Fixture) -> u32 {
    if fixture.extreme { u32::MAX } else { 10 }
}

pub const fn page<K>(fixture: &Fixture) -> Page<K> {
    Page::first(limit(fixture))
}

pub fn age(fixture: &Fixture) -> Duration {
    if fixture.extreme {
        // No row is this old.
        Duration::MAX
    } else if fixture.is_new {
        Duration::ZERO
    } else {
        Duration::from_secs(60)
    }
}

pub fn longest(fixture: &Fixture, usual: u64) -> Duration {
    if fixture.extreme {
        Reserve::MAX_DURATION
    } else {
        Duration::from_secs(usual)
    }
}

pub fn cart(fixture: &Fixture, pots: i64, mugs: i64) -> Checkout {
    let mut lines = vec![Line::new(fixture.pot(), units(pots))];
    if mugs > 0 {
        lines.push(Line::new(fixture.mug(), units(mugs)));
    }
    Checkout::new(lines).unwrap().with_order_id(fixture.order)
}

pub fn keyed(fixture: &Fixture) -> Checkout {
    cart(fixture, 2, 1)
        .with_customer(fixture.customer.clone())
        .with_idempotency_key(fixture.key.clone())
}

/// Returns the id of the reservation that `reserve` makes.
pub fn reservation(fixture: &Fixture) -> ReservationId {
    if fixture.setup == Setup::ExpiredHolds {
        // The setup uses the fixture's own ids.
        Uuid::from_u128(!fixture.token.as_u128()).into()
    } else {
        fixture.reservation
    }
}

pub fn reserve(fixture: &Fixture) -> Reserve {
    Reserve::new([(fixture.pot(), units(2)), (fixture.mug(), units(1))])
        .unwrap()
        .with_reservation_id(reservation(fixture))
        .with_customer(fixture.customer.clone())
        .with_idempotency_key(fixture.key.clone())
        .for_duration(longest(fixture, 600))
}

pub fn adjustment(fixture: &Fixture, delta: i64) -> Adjustment {
    Adjustment::new(fixture.pot(), delta, "found")
        .unwrap()
        .with_id(fixture.token)
}

pub fn back(fixture: &Fixture) -> ReturnRequest {
    ReturnRequest::new(fixture.order, [(fixture.pot(), units(1))], "broken")
        .unwrap()
        .with_id(fixture.token)
}

pub fn new(fixture: &Fixture) -> NewProduct {
    NewProduct::new(fixture.pot(), "A pot", pesos(1_000)).with_stock(stock(10))
}

/// Returns the position of the order's entry of the setup.
pub fn entry(fixture: &Fixture) -> OutboxPosition {
    format!("1/{}", fixture.order).parse().unwrap()
}
