//! What follows from a batch that was written: its answers, and the facts of its rows.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::{
    changes::Movement,
    known::{Held, Known},
    plan::{Outcome, Plan},
    request::Answer,
    write::Written,
};
use crate::inventory::{
    model::{
        Hold, HoldState, MovementKind, Order, OrderId, OrderLine, Quantity, Reservation, Reserve,
    },
    postgres::hook::{Accepted, Change},
};

/// The answers to the requests that a batch made, each with the index of its request.
pub(super) type Answers = Vec<(usize, Answer)>;

/// Returns the facts of the rows after the batch.
pub(super) fn facts_after(plan: &Plan<'_>, written: Written) -> Known {
    let (at, mut after) = (written.at, written.before);
    for (sku, change) in &plan.changes.products {
        if let Some(facts) = after.products.get_mut(*sku) {
            facts.available += change.stock - change.reserved;
            match facts.version.plus(change.changes) {
                Some(version) => facts.version = version,
                None => drop(after.products.remove(*sku)),
            }
        }
    }
    for (id, held) in &plan.after.reservations {
        let mut held = held.clone();
        extend(&mut held.reservation, plan, at);
        held.as_of = at;
        after.reservations.insert(*id, held);
    }
    for request in &plan.changes.reservations {
        let held = Held {
            reservation: made(request, at),
            remaining: request.lines.iter().map(|(_, units)| units.get()).sum(),
            as_of: at,
        };
        after.reservations.insert(request.id, held);
    }
    after
}

/// Moves the expiry of the holds that the batch extended.
fn extend(reservation: &mut Reservation, plan: &Plan<'_>, at: DateTime<Utc>) {
    for hold in &mut reservation.holds {
        let changed = plan.changes.changed_holds.get(&(&hold.sku, reservation.id));
        if let Some(change) = changed
            && !change.extension.is_zero()
        {
            hold.expires_at = hold.expires_at.max(at + change.extension);
        }
    }
}

fn made(request: &Reserve, at: DateTime<Utc>) -> Reservation {
    let holds = request.lines.iter();
    let holds = holds.map(|(sku, units)| Hold::new(sku.clone(), *units, at + request.duration));
    let mut reservation = Reservation::new(request.id, holds.collect(), at);
    reservation.customer.clone_from(&request.customer);
    reservation
}

pub(super) fn answers(plan: &Plan<'_>, at: DateTime<Utc>) -> Answers {
    let accepted = plan.accepted.iter();
    let answered = accepted.filter_map(|it| Some((it.index, answer(&it.outcome, plan, at)?)));
    answered.collect()
}

fn answer(outcome: &Outcome<'_>, plan: &Plan<'_>, at: DateTime<Utc>) -> Option<Answer> {
    Some(match outcome {
        Outcome::Sold { request, prices } => {
            let lines = request.lines.iter().zip(prices);
            let lines =
                lines.map(|(line, price)| OrderLine::new(line.sku.clone(), line.quantity, *price));
            // `None` for a total that is too large, which the plan has excluded.
            let mut order = Order::new(request.id, lines.collect(), at)?;
            order.customer.clone_from(&request.customer);
            Answer::Order(order)
        }
        Outcome::Reserved(request) => Answer::Reservation(made(request, at)),
        Outcome::Extended(held) => {
            let mut reservation = held.reservation.clone();
            extend(&mut reservation, plan, at);
            for hold in &mut reservation.holds {
                if hold.state == HoldState::Held && hold.expires_at <= at {
                    hold.state = HoldState::Expired;
                }
            }
            Answer::Reservation(reservation)
        }
        Outcome::Released => Answer::Released,
        Outcome::Changed { after, .. } | Outcome::Replayed(after) => Answer::Order(after.clone()),
    })
}

/// Returns the accepted checkouts as the host's hook sees them, with the indexes of their requests.
pub(super) fn accepted(
    plan: &Plan<'_>,
    answers: &Answers,
    written: &Written,
) -> (Vec<usize>, Vec<Accepted>) {
    let mut changes: HashMap<OrderId, Vec<Change>> = HashMap::new();
    for movement in &plan.changes.movements {
        if movement.kind == MovementKind::Sale
            && let Some(order) = movement.order
            && let Some(change) = change(movement, written)
        {
            changes.entry(order).or_default().push(change);
        }
    }
    let contexts = plan.changes.orders.iter();
    let contexts: HashMap<OrderId, _> = contexts
        .map(|it| (it.request.id, &it.request.context))
        .collect();
    let sold = answers.iter().filter_map(|(index, answer)| match answer {
        Answer::Order(order) => {
            let changes = changes.remove(&order.id)?;
            let context = contexts.get(&order.id)?;
            Some((*index, Accepted::of(order.clone(), changes, context)))
        }
        Answer::Reservation(_) | Answer::Released => None,
    });
    sold.unzip()
}

fn change(movement: &Movement<'_>, written: &Written) -> Option<Change> {
    let before = written.before.products.get(movement.sku)?;
    let stock = *written.stock.get(movement.sku)?;
    Some(Change::new(
        movement.sku.clone(),
        Quantity::new(-movement.delta).ok()?,
        before.version.plus(movement.number)?,
        stock + movement.stock,
        stock - before.available + movement.reserved,
    ))
}
