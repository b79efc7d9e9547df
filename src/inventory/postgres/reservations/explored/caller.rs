//! What each caller reads, decides and sends, by the crate's own judgements.

use super::{
    life::{Found, Kind, Life, Operation, Phase, State, Statement},
    server::{Fault, OWN},
    statement::{Answer, facts},
};
use crate::{
    Versioned,
    inventory::{
        model::{Checkout, Error, ErrorKind, Order, Reservation, reserve::Available},
        postgres::reservations::{judge_extended, judge_unreleased, reserve::judge_unwritten},
    },
    postgres::Failed,
};

impl Life {
    pub(super) fn hear(&self, state: &mut State, statement: &Statement, answer: Answer) {
        let index = statement.caller;
        let is_settled = statement.kind == Kind::Settle;
        match (answer, self.callers[index]) {
            (Answer::Stored, Operation::Checkout(order)) => {
                let stored = self.stored(&state.tables, order);
                let stored = stored.expect("the server found it");
                if is_settled {
                    state.callers[index].in_doubt = false;
                }
                self.answer(state, index, self.requests[order].replay(stored).map(drop));
            }
            (Answer::Written | Answer::Stored, _) => state.callers[index].phase = Phase::Made,
            (Answer::Refused(_), _) if is_settled => {
                state.callers[index].phase = Phase::Refused;
            }
            (Answer::Refused(refusal), _) => self.refuse(state, index, refusal),
            (Answer::Unwritten(_), Operation::Extend | Operation::Release) => {
                let Kind::Write { round, .. } = statement.kind else {
                    unreachable!("a step sends one statement")
                };
                state.callers[index].phase = Phase::Finds { round };
            }
            (Answer::Unwritten(found), _) => {
                state.callers[index].phase = Phase::LooksAgain(found);
            }
        }
    }

    /// The caller's next read, and what it sends then.
    pub(super) fn step(&self, state: &mut State, index: usize) {
        let tables = &state.tables;
        let own = self.read(tables, OWN);
        match (self.callers[index], state.callers[index].phase) {
            (Operation::Checkout(order), phase) => {
                let request = &self.requests[order];
                self.step_checkout(state, index, order, request, phase);
            }
            (Operation::CleanUp, _) => match tables.due(None) {
                due if due.is_empty() => state.callers[index].phase = Phase::Made,
                due => state.send(index, Kind::Clean(due)),
            },
            (Operation::Reserve, Phase::LooksAgain(found)) => {
                let found = Available {
                    units: found.available,
                    expired: found.expired,
                    paused: false,
                };
                match judge_unwritten(&self.reserve, own, &[Some(found)]) {
                    Ok(Some(_)) => state.callers[index].phase = Phase::Made,
                    Ok(None) => state.send(
                        index,
                        Kind::EndAndDecide {
                            id: self.id(state, index),
                        },
                    ),
                    Err(refusal) => self.refuse(state, index, refusal),
                }
            }
            (operation, Phase::Finds { round }) => match (operation, own) {
                (_, None) => {
                    let refusal = Error::not_found(Reservation::ENTITY, self.reserve.id);
                    self.refuse(state, index, refusal);
                }
                (Operation::Release, Some(own))
                    if self.fault == Some(Fault::RefusesWhatIsReleased) =>
                {
                    self.refuse(state, index, own.closed());
                }
                (_, Some(own)) => {
                    let is_made = match operation {
                        Operation::Extend => {
                            judge_extended(own, false, round).map(|made| made.is_some())
                        }
                        _ => judge_unreleased(&own, round),
                    };
                    let round = round + 1;
                    match is_made {
                        Ok(true) => state.callers[index].phase = Phase::Made,
                        Ok(false) => state.send(index, Kind::Write { id: OWN, round }),
                        Err(refusal) => self.refuse(state, index, refusal),
                    }
                }
            },
            _ => state.send(
                index,
                Kind::Write {
                    id: self.id(state, index),
                    round: 1,
                },
            ),
        }
    }

    fn step_checkout(
        &self,
        state: &mut State,
        index: usize,
        order: usize,
        request: &Checkout,
        phase: Phase,
    ) {
        let is_held = request.reservation.is_some();
        let known = self.stored(&state.tables, order);
        let looks = is_held || state.callers[index].look_first;
        let replayed = known.map(|stored| request.replay(stored).map(drop));
        match (phase, replayed) {
            (Phase::Begins, Some(Err(_))) if state.callers[index].in_doubt => {
                state.callers[index].phase = Phase::Unknown;
            }
            (Phase::Begins, Some(answer)) if looks => self.answer(state, index, answer),
            (Phase::Begins, _) if is_held => state.callers[index].phase = Phase::Admits,
            (Phase::Begins, _) => state.send(index, Kind::Write { id: OWN, round: 1 }),
            (Phase::Admits | Phase::AdmitsAgain(_), _) => {
                let own = self.read(&state.tables, OWN);
                let admitted = own.map(|own| own.admit(None));
                match (admitted, phase) {
                    (Some(Ok(())), Phase::AdmitsAgain(found)) => {
                        state.callers[index].phase = Phase::Judges(found);
                    }
                    (Some(Ok(())), _) => state.send(index, Kind::Write { id: OWN, round: 1 }),
                    (None | Some(Err(_)), _) => {
                        state.callers[index].phase = Phase::LooksBeforeRefusal;
                    }
                }
            }
            (Phase::LooksAgain(_) | Phase::LooksBeforeRefusal, Some(answer)) => {
                self.answer(state, index, answer);
            }
            (Phase::LooksBeforeRefusal, None) => {
                let own = self.read(&state.tables, OWN);
                let refusal = match own.map(|own| own.admit(None)) {
                    Some(Err(refusal)) => refusal,
                    _ => Error::not_found(Reservation::ENTITY, self.reserve.id),
                };
                self.refuse(state, index, refusal);
            }
            (Phase::LooksAgain(found), None) if is_held => {
                state.callers[index].phase = Phase::AdmitsAgain(found);
            }
            (Phase::LooksAgain(found), None) => state.callers[index].phase = Phase::Judges(found),
            (Phase::Judges(found), _) => self.judge(state, index, request, found),
            (other, _) => unreachable!("{other:?} is no step of a checkout"),
        }
    }

    /// Judges by the facts of the statement, and if units are missing by those of a later snapshot.
    fn judge(&self, state: &mut State, index: usize, request: &Checkout, found: Found) {
        let facts = facts(found.available, 0, found.held);
        // The guarded statement of a checkout without a reservation returns no facts.
        let judged = match request.reservation {
            Some(_) => request.judge(&[Some(facts)]),
            None => Err(Error::insufficient_stock(Vec::new())),
        };
        let judged = match judged {
            Ok(()) => Err(Error::suppressed_in("orders", Order::ENTITY, request.id)),
            Err(refusal) if refusal.is_insufficient_stock() => {
                let tables = &state.tables;
                let except = request.reservation.map(|_| OWN);
                let available = tables.available() + found.live;
                request.judge(&[Some(self::facts(
                    available,
                    tables.expired(except),
                    found.held,
                ))])
            }
            other => other,
        };
        match judged {
            Ok(()) => state.send(index, Kind::EndAndDecide { id: OWN }),
            Err(refusal) => self.refuse(state, index, refusal),
        }
    }

    fn answer(&self, state: &mut State, index: usize, answer: Result<(), Error>) {
        match answer {
            Ok(()) => state.callers[index].phase = Phase::Made,
            Err(refusal) => self.refuse(state, index, refusal),
        }
    }

    fn refuse(&self, state: &mut State, index: usize, refusal: Error) {
        let caller = &mut state.callers[index];
        let mut call = caller.call();
        let kind = refusal.kind();
        let refused = match kind {
            ErrorKind::Suppressed => Phase::Suppressed,
            ErrorKind::NotFound => Phase::NotFound,
            _ => Phase::Refused,
        };
        if matches!(self.callers[index], Operation::Checkout(_)) {
            if call.must_settle(&Failed::from(refusal)) {
                return state.send(index, Kind::Settle);
            }
        } else {
            call.refused(&refusal);
            caller.in_doubt = call.in_doubt;
        }
        caller.phase = match caller.in_doubt {
            true => Phase::Unknown,
            false => refused,
        };
    }

    /// Returns the id that a reserve sends.
    fn id(&self, state: &State, index: usize) -> u8 {
        match self.fault {
            Some(Fault::ReservesUnderAnotherId) => {
                OWN + 10 * (self.attempts - state.callers[index].attempts)
            }
            _ => OWN,
        }
    }
}
