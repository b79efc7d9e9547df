//! What the server executes for a caller, and what a caller reads.

use chrono::{DateTime, Utc};

use super::{
    life::{Found, Kind, Life, Operation, Phase, State, Statement},
    server::{OWN, Row, Stored, Tables},
};
use crate::{
    Version, Versioned,
    inventory::{
        model::{
            Checkout, Error, Hold, HoldState, Money, Order, OrderLine, OrderStatus, Quantity,
            Reservation, checkout::Facts, reserve::Available,
        },
        postgres::reservations::reserve::judge_unwritten,
    },
};

/// The answer of the server.
pub(super) enum Answer {
    Written,
    Unwritten(Found),
    Stored,
    Refused(Error),
}

impl Life {
    /// Executes a statement as a whole. Returns the answer, which the caller may not hear.
    pub(super) fn execute(&self, state: &mut State, statement: &Statement) -> Answer {
        let caller = statement.caller;
        let before = state.tables.clone();
        let tables = &mut state.tables;
        let answer = match (&statement.kind, self.callers[caller]) {
            (Kind::Clean(due), _) => {
                tables.expire(due, self.fault);
                Answer::Written
            }
            (Kind::Settle, Operation::Checkout(order)) => match tables.void(order) {
                true => Answer::Refused(Error::insufficient_stock(Vec::new())),
                false => Answer::Stored,
            },
            (Kind::Write { id, .. }, operation) => self.write(tables, operation, *id),
            (Kind::EndAndDecide { id }, operation) => {
                let request = match operation {
                    Operation::Checkout(order) => Some((order, &self.requests[order])),
                    _ => None,
                };
                let except = request.and_then(|(_, it)| it.reservation).map(|_| OWN);
                let due = tables.due(except);
                tables.expire(&due, None);
                match (self.write(tables, operation, *id), request) {
                    (Answer::Unwritten(found), None) => {
                        let known = self.read(tables, OWN);
                        self.decide_reserve(known, found)
                    }
                    (Answer::Unwritten(found), Some((order, request))) => {
                        self.decide_checkout(tables, order, request, found)
                    }
                    (answer, _) => answer,
                }
            }
            (kind, operation) => unreachable!("{operation:?} does not send {kind:?}"),
        };
        match answer {
            // The transaction is rolled back.
            Answer::Refused(_) if statement.kind != Kind::Settle => state.tables = before,
            _ => {
                let has_effect = matches!(answer, Answer::Written);
                state.callers[caller].effects += u8::from(has_effect);
                let phase = state.callers[caller].phase;
                state.late_effects += u8::from(has_effect && phase == Phase::Refused);
            }
        }
        answer
    }

    fn write(&self, tables: &mut Tables, operation: Operation, id: u8) -> Answer {
        let wrote = match operation {
            Operation::Reserve => tables.reserve(id, self.units(), 1),
            Operation::Extend => tables.extend(OWN, 2),
            Operation::Release => tables.release(OWN),
            Operation::Checkout(order) => {
                let request = &self.requests[order];
                let own = request.reservation.map(|_| OWN);
                tables.sell(order, request.lines[0].quantity.get(), own, self.fault)
            }
            Operation::CleanUp => unreachable!("a clean-up sends its page"),
        };
        let own = match operation {
            Operation::Checkout(order) if self.requests[order].reservation.is_some() => {
                tables.row(OWN)
            }
            _ => None,
        };
        let unexpired = own.filter(|row| tables.state(row) == HoldState::Held);
        match wrote {
            true => Answer::Written,
            false => Answer::Unwritten(Found {
                available: tables.available() + own.map_or(0, Row::live),
                expired: tables.expired(None),
                live: own.map_or(0, Row::live),
                held: unexpired.map_or(0, Row::live),
            }),
        }
    }

    fn decide_reserve(&self, known: Option<Reservation>, found: Found) -> Answer {
        let found = Available {
            units: found.available,
            expired: found.expired,
            paused: false,
        };
        match judge_unwritten(&self.reserve, known, &[Some(found)]) {
            Ok(Some(_)) => Answer::Stored,
            Ok(None) => unreachable!("all expired holds were ended"),
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    fn decide_checkout(
        &self,
        tables: &Tables,
        order: usize,
        request: &Checkout,
        found: Found,
    ) -> Answer {
        if self.stored(tables, order).is_some() {
            return Answer::Stored;
        }
        if let (Some(_), Some(own)) = (request.reservation, self.read(tables, OWN))
            && let Err(refusal) = own.admit(None)
        {
            return Answer::Refused(refusal);
        }
        match request.judge(&[Some(facts(found.available, 0, found.held))]) {
            Ok(()) => Answer::Refused(Error::suppressed_in("orders", Order::ENTITY, request.id)),
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    /// Returns the reservation as the statement that reads it returns it.
    pub(super) fn read(&self, tables: &Tables, id: u8) -> Option<Reservation> {
        let row = tables.row(id)?;
        let (sku, quantity) = self.reserve.lines[0].clone();
        let mut hold = Hold::new(sku, quantity, time(row.expires_at));
        (hold.held, hold.state) = (row.held, tables.state(row));
        Some(Reservation::new(self.reserve.id, vec![hold], time(0)))
    }

    pub(super) fn stored(&self, tables: &Tables, order: usize) -> Option<Order> {
        let status = match tables.orders[order] {
            Stored::No => return None,
            Stored::Void => OrderStatus::Void,
            Stored::Order => OrderStatus::PendingPayment,
        };
        let request = &self.requests[order];
        let line = &request.lines[0];
        let line = OrderLine::new(line.sku.clone(), line.quantity, price());
        let order = Order::new(request.id, vec![line], time(0));
        let mut order = order.expect("one line has a total");
        order.status = status;
        Some(order)
    }

    fn units(&self) -> i64 {
        let quantity: Quantity = self.reserve.lines[0].1;
        quantity.get()
    }
}

fn price() -> Money {
    Money::new(100, "MXN".parse().expect("a currency")).expect("an amount")
}

fn time(now: u8) -> DateTime<Utc> {
    DateTime::from_timestamp(i64::from(now), 0).expect("a time")
}

pub(super) fn facts(available: i64, expired: i64, held: i64) -> Facts {
    Facts {
        available,
        expired,
        version: Version::FIRST,
        price: price(),
        paused: false,
        held,
        raised: 0,
    }
}
