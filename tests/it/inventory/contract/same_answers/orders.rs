//! Checkouts and steps of orders.

use optilock::inventory::{Checkout, Line, Order, OrderStep, ReturnRequest};
use proptest::{
    collection::vec, option::of as option, prelude::any, prop_oneof, strategy::Strategy,
};

use super::case::{Case, text, version};
use crate::support::goods::{pesos, units};

#[derive(Clone, Debug)]
pub struct CheckoutLine {
    product: u8,
    quantity: u8,
    expected_version: Option<u8>,
    expected_price: Option<u8>,
}

#[derive(Clone, Debug)]
pub struct RandomCheckout {
    id: u8,
    customer: bool,
    key: Option<u8>,
    reservation: Option<u8>,
    lines: Vec<CheckoutLine>,
}

#[derive(Clone, Debug)]
pub enum OrderOperation {
    Checkout(RandomCheckout),
    Read {
        id: u8,
    },
    Pay {
        id: u8,
        version: Option<u8>,
    },
    Fail {
        id: u8,
        version: Option<u8>,
    },
    Cancel {
        id: u8,
        version: Option<u8>,
    },
    Revive {
        id: u8,
        version: Option<u8>,
    },
    Return {
        id: u8,
        order: u8,
        version: Option<u8>,
        lines: Vec<(u8, u8)>,
    },
}

use OrderOperation::{Cancel, Fail, Pay, Read, Return, Revive};

fn checkouts() -> impl Strategy<Value = RandomCheckout> {
    let line = (0_u8..3, 1_u8..4, any::<Option<u8>>(), any::<Option<u8>>());
    let line =
        line.prop_map(
            |(product, quantity, expected_version, expected_price)| CheckoutLine {
                product,
                quantity,
                expected_version,
                expected_price,
            },
        );
    let parts = (
        0_u8..8,
        any::<bool>(),
        option(0_u8..3),
        option(0_u8..6),
        vec(line, 0..4),
    );
    parts.prop_map(|(id, customer, key, reservation, lines)| RandomCheckout {
        id,
        customer,
        key,
        reservation,
        lines,
    })
}

pub fn operations() -> impl Strategy<Value = OrderOperation> {
    let step = || (0_u8..8, option(1_u8..5));
    prop_oneof![
        6 => checkouts().prop_map(OrderOperation::Checkout),
        1 => (0_u8..8).prop_map(|id| Read { id }),
        2 => step().prop_map(|(id, version)| Pay { id, version }),
        1 => step().prop_map(|(id, version)| Fail { id, version }),
        2 => step().prop_map(|(id, version)| Cancel { id, version }),
        1 => step().prop_map(|(id, version)| Revive { id, version }),
        2 => (0_u8..4, 0_u8..8, option(1_u8..5), vec((0_u8..3, 1_u8..3), 0..3))
            .prop_map(|(id, order, version, lines)| Return { id, order, version, lines }),
    ]
}

fn show(order: Order) -> String {
    let Order {
        id,
        customer,
        status,
        lines,
        total,
        version,
        reason,
        replayed,
        ..
    } = order;
    format!("{id} {customer:?} {status} {lines:?} {total} {version} {reason:?} {replayed}")
}

async fn checkout(case: &Case<'_>, request: &RandomCheckout) -> String {
    let lines = request.lines.iter().map(|random| {
        let mut line = Line::new(case.sku(random.product), units(random.quantity.into()));
        if let Some(number) = random.expected_version {
            line = line.expecting_version(version(number % 8 + 1));
        }
        if let Some(price) = random.expected_price {
            line = line.expecting_price(pesos((price % 2 + 1).into()));
        }
        line
    });
    let mut checkout = match Checkout::new(lines) {
        Ok(checkout) => checkout.with_order_id(case.id(request.id)),
        Err(error) => return error.to_string(),
    };
    if request.customer {
        checkout = checkout.with_customer("ana");
    }
    if let Some(key) = request.key {
        checkout = checkout.with_idempotency_key(case.key(key));
    }
    if let Some(number) = request.reservation {
        checkout = checkout.with_reservation(case.id(number));
    }
    text(case.shop.checkout(checkout).await, show)
}

/// Sends a step that expects a version.
async fn step(case: &Case<'_>, step: OrderStep, expected: u8) -> String {
    let step = step.expecting_version(version(expected));
    text(case.shop.step(step).await, show)
}

pub async fn apply(case: &Case<'_>, operation: &OrderOperation) -> String {
    let shop = case.shop;
    match operation {
        OrderOperation::Checkout(request) => checkout(case, request).await,
        Read { id } => text(shop.order(case.id(*id)).await, show),
        Pay { id, version } => match version {
            Some(version) => step(case, OrderStep::mark_paid(case.id(*id)), *version).await,
            None => text(shop.mark_paid(case.id(*id)).await, show),
        },
        Fail { id, version } => match version {
            Some(version) => {
                let failed = OrderStep::mark_payment_failed(case.id(*id));
                step(case, failed, *version).await
            }
            None => text(shop.mark_payment_failed(case.id(*id)).await, show),
        },
        Cancel { id, version } => match version {
            Some(version) => step(case, OrderStep::cancel(case.id(*id), "no"), *version).await,
            None => text(shop.cancel(case.id(*id), "no").await, show),
        },
        Revive { id, version } => match version {
            Some(version) => step(case, OrderStep::revive(case.id(*id)), *version).await,
            None => text(shop.revive(case.id(*id)).await, show),
        },
        Return {
            id,
            order,
            version: expected,
            lines,
        } => {
            let lines = lines.iter();
            let lines = lines.map(|(product, count)| (case.sku(*product), units((*count).into())));
            match ReturnRequest::new(case.id(*order), lines, "broken") {
                Ok(request) => {
                    let mut request = request.with_id(case.id(*id));
                    if let Some(number) = expected {
                        request = request.expecting_version(version(*number));
                    }
                    text(shop.return_items(request).await, show)
                }
                Err(error) => error.to_string(),
            }
        }
    }
}
