use std::{sync::Arc, time::Duration};

use chrono::DateTime;

use super::*;
use crate::{
    Version,
    inventory::{
        batch::stock::changes::{HoldChange, Remaining},
        model::{
            Hold, HoldState, Line, OrderLine, OrderStatus, OrderStep, Quantity, Reservation,
            ReturnRequest,
        },
        postgres::orders::doubt::Doubt,
        traffic::Traffic,
    },
};

fn sku(name: &str) -> Sku {
    Sku::new(name).unwrap()
}

fn units(units: i64) -> Quantity {
    Quantity::new(units).unwrap()
}

fn price() -> Money {
    Money::new(100, "MXN".parse().unwrap()).unwrap()
}

fn cart(lines: &[(&str, i64)]) -> Checkout {
    let lines = lines.iter();
    let lines = lines.map(|(name, quantity)| Line::new(sku(name), units(*quantity)));
    Checkout::new(lines).unwrap()
}

fn buy(request: Checkout) -> Request {
    Request::Checkout(request, Arc::new(Arc::new(Traffic::default()).clock()))
}

fn known(products: &[(&str, i64)]) -> Known {
    let facts = |available| Facts {
        available,
        expired: 0,
        version: Version::FIRST,
        price: price(),
        paused: false,
        held: 0,
        raised: 0,
    };
    let products = products.iter();
    Known {
        products: products
            .map(|(name, units)| (sku(name), facts(*units)))
            .collect(),
        ..Known::default()
    }
}

/// Adds a reservation of one product to what is known.
fn hold(known: &mut Known, name: &str, quantity: i64, state: HoldState) -> ReservationId {
    let id = ReservationId::new();
    let at = DateTime::UNIX_EPOCH;
    let mut hold = Hold::new(sku(name), units(quantity), at + Duration::from_secs(60));
    hold.state = state;
    let held = Held {
        reservation: Reservation::new(id, vec![hold], at),
        remaining: quantity,
        as_of: at,
    };
    known.reservations.insert(id, held);
    id
}

/// Adds an order of one product to what is known.
fn order(known: &mut Known, name: &str, quantity: i64, status: OrderStatus) -> OrderId {
    let line = OrderLine::new(sku(name), units(quantity), price());
    let mut order = Order::new(OrderId::new(), vec![line], DateTime::UNIX_EPOCH).unwrap();
    order.status = status;
    let id = order.id;
    known.orders.insert(id, order);
    id
}

fn plan_of<'a>(requests: &'a [Request], known: &'a Known) -> Plan<'a> {
    let requests: Vec<&Request> = requests.iter().collect();
    plan(&requests, known, |_| true)
}

fn accepted(plan: &Plan<'_>) -> Vec<usize> {
    plan.accepted.iter().map(|it| it.index).collect()
}

fn change(plan: &Plan<'_>, name: &str) -> ProductChange {
    plan.changes.products[&sku(name)]
}

#[test]
fn a_request_is_judged_by_what_the_requests_before_it_leave() {
    let known = known(&[("jug", 1), ("pot", 5)]);
    let requests = [
        cart(&[("pot", 3)]),
        cart(&[("pot", 3)]),
        cart(&[("jug", 1), ("pot", 1)]),
        cart(&[("jug", 1)]),
        cart(&[("vase", 1)]),
        cart(&[("pot", 1)]),
    ]
    .map(buy);
    let plan = plan_of(&requests, &known);
    assert_eq!(accepted(&plan), [0, 2, 5]);
    let pot = change(&plan, "pot");
    assert_eq!((pot.units, pot.stock, pot.changes), (5, -5, 3));
    assert_eq!(change(&plan, "jug").units, 1);
    assert!(!plan.changes.is_mixed());
    let movements = plan.changes.movements.iter();
    let pots = movements.filter(|it| it.sku.as_str() == "pot");
    let offsets: Vec<_> = pots.map(|it| (it.number, it.delta, it.stock)).collect();
    assert_eq!(offsets, [(1, -3, -3), (2, -1, -4), (3, -1, -5)]);
    assert_eq!(plan.after.products[&sku("pot")].available, 0);
}

#[test]
fn an_expected_version_is_compared_in_order_of_arrival_and_pins_the_first_version() {
    let known = known(&[("pot", 5)]);
    let expecting = |version| {
        let line = Line::new(sku("pot"), Quantity::ONE);
        Checkout::new([line.expecting_version(Version::new(version).unwrap())]).unwrap()
    };
    let requests = [
        cart(&[("pot", 1)]),
        expecting(2),
        expecting(2),
        expecting(3),
    ]
    .map(buy);
    let plan = plan_of(&requests, &known);
    assert_eq!(accepted(&plan), [0, 1, 3]);
    assert_eq!(change(&plan, "pot").pinned, Some(Version::FIRST));
}

#[test]
fn of_two_requests_with_one_id_or_one_key_the_first_is_accepted() {
    let known = known(&[("pot", 9)]);
    let keyed = |customer: &str| {
        cart(&[("pot", 1)])
            .with_customer(customer)
            .with_idempotency_key("key")
    };
    let reserve = |customer: &str| {
        Reserve::new([(sku("pot"), Quantity::ONE)])
            .unwrap()
            .with_customer(customer)
            .with_idempotency_key("key")
    };
    let first = cart(&[("pot", 1)]);
    let requests = [
        buy(first.clone()),
        buy(first),
        buy(keyed("ana")),
        buy(keyed("ana")),
        buy(keyed("eva")),
        Request::Reserve(reserve("ana")),
        Request::Reserve(reserve("ana")),
    ];
    assert_eq!(accepted(&plan_of(&requests, &known)), [0, 2, 4, 5]);
}

#[test]
fn reserved_units_cannot_be_sold_and_released_ones_can() {
    let mut known = known(&[("pot", 1)]);
    let held = hold(&mut known, "pot", 2, HoldState::Held);
    let reserve = || Reserve::new([(sku("pot"), Quantity::ONE)]).unwrap();
    let requests = [
        Request::Reserve(reserve()),
        Request::Reserve(reserve()),
        Request::Release(held),
        Request::Release(held),
        buy(cart(&[("pot", 2)])),
    ];
    let plan = plan_of(&requests, &known);
    assert_eq!(accepted(&plan), [0, 2, 4]);
    let pot = change(&plan, "pot");
    // One unit for the reservation; the sale finds the two that were released before it.
    assert_eq!(
        (pot.units, pot.stock, pot.reserved, pot.changes),
        (1, -2, -1, 3)
    );
    assert!(plan.changes.is_mixed());
    let released = Remaining {
        before: 2,
        after: 0,
    };
    assert_eq!(plan.changes.changed_reservations[&held], released);
}

#[test]
fn a_checkout_takes_the_units_of_its_reservation_first() {
    let mut known = known(&[("pot", 1)]);
    let held = hold(&mut known, "pot", 3, HoldState::Held);
    let from = |quantity| buy(cart(&[("pot", quantity)]).with_reservation(held));
    let requests = [from(2), from(2), from(1)];
    let plan = plan_of(&requests, &known);
    // The second one takes one unit that is held and one that is free; nothing is left for the third.
    assert_eq!(accepted(&plan), [0, 1]);
    let pot = change(&plan, "pot");
    assert_eq!((pot.units, pot.stock, pot.reserved), (1, -4, -3));
    let consumed = HoldChange {
        before: (3, HoldState::Held),
        after: (0, HoldState::Consumed),
        extension: Duration::ZERO,
        expires_at: known.reservations[&held].reservation.holds[0].expires_at,
    };
    assert_eq!(plan.changes.changed_holds[&(&sku("pot"), held)], consumed);
    let used = Remaining {
        before: 3,
        after: 0,
    };
    assert_eq!(plan.changes.changed_reservations[&held], used);
}

#[test]
fn units_of_an_ended_hold_are_taken_from_free_stock() {
    let mut known = known(&[("pot", 2)]);
    let held = hold(&mut known, "pot", 2, HoldState::Expired);
    let requests = [buy(cart(&[("pot", 2)]).with_reservation(held))];
    let plan = plan_of(&requests, &known);
    let pot = change(&plan, "pot");
    assert_eq!((pot.units, pot.stock, pot.reserved), (2, -2, 0));
    let after = plan.changes.changed_holds[&(&sku("pot"), held)].after;
    assert_eq!(after, (0, HoldState::Consumed));
}

#[test]
fn a_reservation_of_another_customer_is_not_used() {
    let mut known = known(&[("pot", 2)]);
    let held = hold(&mut known, "pot", 2, HoldState::Held);
    let reservation = known.reservations.get_mut(&held).unwrap();
    reservation.reservation.customer = Some("ana".to_owned());
    let by = |customer: &str| {
        let cart = cart(&[("pot", 1)]).with_customer(customer);
        buy(cart.with_reservation(held))
    };
    let requests = [by("eva"), by("ana")];
    assert_eq!(accepted(&plan_of(&requests, &known)), [1]);
}

#[test]
fn an_expired_hold_is_not_extended() {
    let mut known = known(&[("pot", 2)]);
    let live = hold(&mut known, "pot", 2, HoldState::Held);
    let expired = hold(&mut known, "pot", 2, HoldState::Held);
    let held = known.reservations.get_mut(&expired).unwrap();
    held.as_of += Duration::from_secs(60);
    let by = Duration::from_secs(9);
    let requests = [
        Request::Extend { id: expired, by },
        Request::Extend { id: live, by },
    ];
    let plan = plan_of(&requests, &known);
    assert_eq!(accepted(&plan), [1]);
    assert_eq!(
        plan.changes.changed_holds[&(&sku("pot"), live)].extension,
        by
    );
    assert!(plan.changes.products.is_empty() && !plan.changes.is_empty());
}

#[test]
fn units_of_a_cancelled_order_and_of_a_return_can_be_sold() {
    let mut known = known(&[("pot", 0)]);
    let unpaid = order(&mut known, "pot", 2, OrderStatus::PendingPayment);
    let paid = order(&mut known, "pot", 3, OrderStatus::Paid);
    let cancelled = order(&mut known, "pot", 1, OrderStatus::Cancelled);
    let cancel = |id| Request::Cancel(OrderStep::cancel(id, "late"), Doubt::default());
    let back = ReturnRequest::new(paid, [(sku("pot"), units(1))], "broken").unwrap();
    let requests = [
        buy(cart(&[("pot", 1)])),
        cancel(unpaid),
        cancel(unpaid),
        cancel(paid),
        cancel(cancelled),
        Request::Return(back.clone(), Doubt::default()),
        Request::Return(back, Doubt::default()),
        buy(cart(&[("pot", 3)])),
    ];
    let plan = plan_of(&requests, &known);
    assert_eq!(accepted(&plan), [1, 4, 5, 7]);
    assert!(matches!(&plan.accepted[1].outcome, Outcome::Replayed(order) if order.replayed));
    let pot = change(&plan, "pot");
    assert_eq!((pot.units, pot.stock, pot.changes), (0, 0, 3));
    let changed = &plan.changes.changed_orders;
    assert_eq!(changed[&unpaid].status, OrderStatus::Cancelled);
    assert_eq!(changed[&paid].status, OrderStatus::Paid);
    assert_eq!(plan.changes.returns.len(), 1);
}
