//! What the answers say, request by request.

mod order;
mod tally;

use std::collections::{HashMap, HashSet};

use crate::request::{Answer, Entry, Id, Line, Request};
use order::OrderRecord;
pub(crate) use tally::{Answers, Tally};

/// Codes that no fault explains.
const NEVER: [&str; 7] = [
    "version-set-back",
    "schema-mismatch",
    "idempotency-mismatch",
    "already-exists",
    "invalid",
    "not-found",
    "version-exhausted",
];

/// What a group of calls with the same id may have stored.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) acknowledged: HashSet<Id>,
    /// Some call of the id may have taken effect.
    pub(crate) possible: HashSet<Id>,
}

impl Effects {
    fn note(&mut self, id: Id, answer: &Answer) {
        match answer {
            Answer::Done => self.acknowledged.insert(id),
            Answer::Unknown | Answer::Dropped | Answer::Stuck => self.possible.insert(id),
            Answer::Refused(_) => return,
        };
    }

    pub(crate) fn may_be_stored(&self, id: Id) -> bool {
        self.acknowledged.contains(&id) || self.possible.contains(&id)
    }
}

/// All answers of a run.
#[derive(Debug, Default)]
pub(crate) struct Record {
    open: HashMap<(u32, u64), Request>,
    pub(crate) orders: Effects,
    pub(crate) states: HashMap<Id, OrderRecord>,
    pub(crate) reservations: Effects,
    pub(crate) held: HashMap<Id, Vec<Line>>,
    /// Reservations from which a checkout was acknowledged, and those that were released.
    pub(crate) bought: HashSet<Id>,
    pub(crate) released: HashSet<Id>,
    pub(crate) returns: Effects,
    pub(crate) adjustments: Effects,
    pub(crate) transfers: Effects,
    pub(crate) delivered: HashSet<Id>,
    pub(crate) tally: Tally,
    /// Answers that contradict earlier ones.
    pub(crate) violations: Vec<String>,
}

impl Record {
    /// Notes a line of a client process.
    pub(crate) fn note(&mut self, client: u32, entry: Entry) {
        match entry {
            Entry::Begun(call, request) => {
                self.begin(&request);
                self.open.insert((client, call), request);
            }
            Entry::Ended(call, answer) => match self.open.remove(&(client, call)) {
                Some(request) => self.end(client, &request, &answer),
                None => self.violations.push(format!(
                    "client {client} ended call {call}, which is not open"
                )),
            },
            Entry::Delivered(orders) => self.delivered.extend(orders),
        }
    }

    /// Notes that a client process was killed: the outcome of each of its open calls is unknown.
    pub(crate) fn lose(&mut self, client: u32) {
        let calls: Vec<_> = self.open.keys().copied().collect();
        for call in calls.into_iter().filter(|(of, _)| *of == client) {
            if let Some(request) = self.open.remove(&call) {
                self.tally.killed(request.name());
                self.apply(&request, &Answer::Unknown);
            }
        }
    }

    fn begin(&mut self, request: &Request) {
        match request {
            Request::Checkout { order, lines, .. } => {
                self.states
                    .entry(*order)
                    .or_insert_with(|| OrderRecord::new(lines.clone()));
            }
            Request::Reserve { reservation, lines } => {
                self.held.insert(*reservation, lines.clone());
            }
            _ => {}
        }
    }

    fn end(&mut self, client: u32, request: &Request, answer: &Answer) {
        self.tally.ended(client, request.name(), answer);
        match answer {
            Answer::Stuck => self
                .violations
                .push(format!("client {client}: it does not end: {request:?}")),
            Answer::Refused(code) if self.contradicts(request, code) => self
                .violations
                .push(format!("client {client}: {code} for {request:?}")),
            _ => {}
        }
        self.apply(request, answer);
    }

    /// Returns whether a refusal with this code can't be right.
    fn contradicts(&self, request: &Request, code: &str) -> bool {
        match request {
            // An order of which the outcome is unknown may not exist.
            Request::Step { order, .. } | Request::Return { order, .. } if code == "not-found" => {
                self.orders.acknowledged.contains(order)
            }
            Request::Extend { reservation } | Request::Release { reservation }
                if code == "not-found" =>
            {
                self.reservations.acknowledged.contains(reservation)
            }
            Request::Checkout {
                reservation: Some(id),
                ..
            } if code == "not-found" => self.reservations.acknowledged.contains(id),
            Request::Step { order, step } if code == "invalid-order-state" => {
                let state = self.states.get(order);
                self.orders.acknowledged.contains(order)
                    && state.is_some_and(|state| !state.may_refuse(*step))
            }
            _ => NEVER.contains(&code),
        }
    }

    fn apply(&mut self, request: &Request, answer: &Answer) {
        match request {
            Request::Checkout {
                order, reservation, ..
            } => {
                self.orders.note(*order, answer);
                if let (Some(id), Answer::Done) = (reservation, answer) {
                    self.bought.insert(*id);
                }
            }
            Request::Step { order, step } => {
                if let Some(state) = self.states.get_mut(order) {
                    match answer {
                        Answer::Done if !state.made(*step) => self.violations.push(format!(
                            "{step:?} of order {order:x} is answered as done, from {state:?}"
                        )),
                        Answer::Done => {
                            self.orders.acknowledged.insert(*order);
                        }
                        Answer::Refused(_) => {}
                        Answer::Unknown | Answer::Dropped | Answer::Stuck => state.may_make(*step),
                    }
                }
            }
            Request::Return { token, .. } => self.returns.note(*token, answer),
            Request::Reserve { reservation, .. } => self.reservations.note(*reservation, answer),
            Request::Release { reservation } if *answer == Answer::Done => {
                self.released.insert(*reservation);
            }
            Request::Extend { .. } | Request::Release { .. } => {}
            Request::Adjust { token, .. } => self.adjustments.note(*token, answer),
            Request::Transfer { token, .. } => self.transfers.note(*token, answer),
        }
    }
}
