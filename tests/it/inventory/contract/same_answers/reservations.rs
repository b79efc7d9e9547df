//! Operations on reservations.

use std::time::Duration;

use optilock::inventory::{Reservation, Reserve};
use proptest::{
    collection::vec, option::of as option, prelude::any, prop_oneof, strategy::Strategy,
};

use super::case::{Case, text};
use crate::support::goods::units;

#[derive(Clone, Debug)]
pub struct RandomReserve {
    id: u8,
    customer: bool,
    key: Option<u8>,
    lines: Vec<(u8, u8)>,
    expired: bool,
}

#[derive(Clone, Debug)]
pub enum ReservationOperation {
    Reserve(RandomReserve),
    Release { id: u8 },
    Extend { id: u8 },
}

use ReservationOperation::{Extend, Release};

fn requests() -> impl Strategy<Value = RandomReserve> {
    let lines = vec((0_u8..3, 1_u8..3), 0..3);
    let parts = (
        0_u8..6,
        any::<bool>(),
        option(0_u8..3),
        lines,
        any::<bool>(),
    );
    parts.prop_map(|(id, customer, key, lines, expired)| RandomReserve {
        id,
        customer,
        key,
        lines,
        expired,
    })
}

pub fn operations() -> impl Strategy<Value = ReservationOperation> {
    prop_oneof![
        4 => requests().prop_map(ReservationOperation::Reserve),
        1 => (0_u8..6).prop_map(|id| Release { id }),
        1 => (0_u8..6).prop_map(|id| Extend { id }),
    ]
}

fn show(reservation: Reservation) -> String {
    let Reservation {
        id,
        customer,
        holds,
        replayed,
        ..
    } = reservation;
    let holds = holds.iter();
    let holds = holds.map(|hold| {
        format!(
            "{} {} {} {}",
            hold.sku, hold.quantity, hold.held, hold.state
        )
    });
    let holds: Vec<String> = holds.collect();
    format!("{id} {customer:?} {} {replayed}", holds.join(", "))
}

async fn reserve(case: &Case<'_>, random: &RandomReserve) -> String {
    let lines = random.lines.iter();
    let lines = lines.map(|(product, count)| (case.sku(*product), units((*count).into())));
    let mut request = match Reserve::new(lines) {
        Ok(request) => request.with_reservation_id(case.id(random.id)),
        Err(error) => return error.to_string(),
    };
    if random.customer {
        request = request.with_customer("ana");
    }
    if let Some(key) = random.key {
        request = request.with_idempotency_key(case.key(key));
    }
    if random.expired {
        // The answer may show the hold before or after its expiry, so only the id is compared.
        request = request.for_duration(Duration::from_micros(1));
        return text(case.shop.reserve(request).await, |made| made.id.to_string());
    }
    text(case.shop.reserve(request).await, show)
}

pub async fn apply(case: &Case<'_>, operation: &ReservationOperation) -> String {
    let shop = case.shop;
    match operation {
        ReservationOperation::Reserve(request) => reserve(case, request).await,
        Release { id } => {
            let released = text(shop.release(case.id(*id)).await, |()| String::new());
            released + &text(shop.reservation(case.id(*id)).await, show)
        }
        Extend { id } => {
            let extended = shop.extend(case.id(*id), Reserve::MAX_DURATION);
            text(extended.await, show)
        }
    }
}
