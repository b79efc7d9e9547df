//! What must hold in every state, and what must be reached.

use stateright::Property;

use super::{
    life::{Caller, Kind, Life, Operation, Phase, State},
    server::{OTHER, Row, Stored},
};
use crate::inventory::model::HoldState;

pub(super) fn promises() -> Vec<Property<Life>> {
    vec![
        Property::always(
            "the units that are reserved are held",
            |_, state: &State| {
                let tables = &state.tables;
                let held: i64 = tables.holds.iter().map(Row::live).sum();
                tables.reserved == held && (0..=tables.stock).contains(&tables.reserved)
            },
        ),
        Property::always("units are sold or given back, once", |_, state: &State| {
            state.tables.holds.iter().all(|row| {
                row.freed + row.sold + row.live() == row.quantity
                    && row.sold + row.sold_again <= row.quantity
            })
        }),
        Property::always(
            "an order takes its stock once",
            |life: &Life, state: &State| {
                let tables = &state.tables;
                let orders = tables.orders.iter().zip(&life.requests);
                let sold = orders.filter(|(stored, _)| **stored == Stored::Order);
                let sold: i64 = sold
                    .map(|(_, request)| request.lines[0].quantity.get())
                    .sum();
                let delivered = i64::from(life.deliveries - state.deliveries);
                tables.stock == life.stock + delivered - sold
            },
        ),
        Property::always("what has ended is not sold", |_, state: &State| {
            state.tables.sold_after_end == 0
        }),
        Property::always("a request has one effect", |_, state: &State| {
            let own = state.tables.holds.iter().filter(|row| row.id != OTHER);
            own.count() <= 1
        }),
        Property::always("a made request was made", |life: &Life, state: &State| {
            life.operations(state)
                .filter(|(_, caller)| caller.phase == Phase::Made)
                .all(|(operation, _)| {
                    let own = state.tables.holds.iter().find(|row| row.id != OTHER);
                    match operation {
                        Operation::Reserve | Operation::Extend => own.is_some(),
                        Operation::Release => own.is_some_and(|row| row.live() == 0),
                        Operation::Checkout(order) => state.tables.orders[order] == Stored::Order,
                        Operation::CleanUp => true,
                    }
                })
        }),
        Property::always(
            "a refused request has no effect, now or later",
            |life: &Life, state: &State| {
                // An extension that took effect may find that the hold has ended since.
                let keeps = |operation| operation != Operation::Extend;
                let mut refused = life
                    .operations(state)
                    .filter(|(_, it)| it.phase == Phase::Refused);
                state.late_effects == 0
                    && refused.all(|(operation, it)| !keeps(operation) || it.effects == 0)
            },
        ),
        Property::always("nothing is taken for suppressed", |_, state: &State| {
            !state.callers.iter().any(|it| it.phase == Phase::Suppressed)
        }),
    ]
}

/// What must be reached by one of the scenarios, so that the promises say something.
pub(super) fn examples() -> Vec<Property<Life>> {
    fn made(life: &Life, state: &State, is_it: impl Fn(Operation, &Caller) -> bool) -> bool {
        let mut made = life.operations(state);
        made.any(|(operation, it)| it.phase == Phase::Made && is_it(operation, it))
    }
    vec![
        Property::sometimes("a lost reserve is found", |life: &Life, state: &State| {
            made(life, state, |operation, it| {
                operation == Operation::Reserve && it.has_lost && it.effects == 1
            })
        }),
        Property::sometimes("a lost release is found", |life: &Life, state: &State| {
            made(life, state, |operation, it| {
                operation == Operation::Release && it.has_lost && it.effects == 1
            })
        }),
        Property::sometimes("a lost checkout is found", |life: &Life, state: &State| {
            made(life, state, |operation, it| {
                matches!(operation, Operation::Checkout(_)) && it.has_lost && it.effects == 1
            })
        }),
        Property::sometimes("a hold is sold", |_, state: &State| {
            state.tables.holds.iter().any(|row| row.sold > 0)
        }),
        Property::sometimes("an expired hold is sold", |_, state: &State| {
            state.tables.holds.iter().any(|row| row.sold_again > 0)
        }),
        Property::sometimes(
            "part of a hold is sold, the rest given back",
            |_, state: &State| {
                let mut holds = state.tables.holds.iter();
                holds.any(|row| row.sold > 0 && row.freed > 0)
            },
        ),
        Property::sometimes(
            "a hold expires after it was extended",
            |_, state: &State| {
                let mut holds = state.tables.holds.iter();
                holds.any(|row| row.state == HoldState::Expired && row.expires_at > 1)
            },
        ),
        Property::sometimes(
            "a sale ends another customer's hold",
            |life: &Life, state: &State| {
                let tables = &state.tables;
                !life.callers.contains(&Operation::CleanUp)
                    && tables.row(OTHER).is_some_and(|row| row.freed > 0)
                    && tables.orders.contains(&Stored::Order)
            },
        ),
        Property::sometimes("two processes end one hold at once", |_, state: &State| {
            let mut under_way = state.under_way.iter();
            under_way.any(|it| {
                matches!(&it.kind, Kind::Clean(due) if !due.is_empty()
                && due.iter().all(|id| state.tables.row(*id).is_some_and(|row| row.freed > 0)))
            })
        }),
        Property::sometimes("a refusal is settled", |life: &Life, state: &State| {
            let mut refused = life.operations(state);
            state.tables.orders.contains(&Stored::Void)
                && refused.any(|(_, it)| it.phase == Phase::Refused)
        }),
        Property::sometimes("a late statement takes effect", |_, state: &State| {
            let mut callers = state.callers.iter();
            callers.any(|it| it.phase == Phase::Begins && it.has_lost && it.effects == 1)
        }),
        Property::sometimes("an outcome stays unknown", |_, state: &State| {
            state.callers.iter().any(|it| it.phase == Phase::Unknown)
        }),
    ]
}
