//! The requests of the model, the state, and the callers in it.

use super::server::{Fault, Tables};
use crate::{
    Class,
    inventory::{
        model::{Checkout, Error, Reserve},
        postgres::executor::Call,
    },
    postgres::Failed,
};

/// The life of a reservation.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) callers: Vec<Operation>,
    pub(super) reserve: Reserve,
    /// Two checkouts from the reservation, and one without it.
    pub(super) requests: Vec<Checkout>,
    /// Whether the reservation exists from the beginning.
    pub(super) is_reserved: bool,
    pub(super) stock: i64,
    pub(super) deliveries: u8,
    /// When the hold of the other customer expires.
    pub(super) other_expires_at: u8,
    /// How far time goes; a reservation lasts for 1, an extension for 2.
    pub(super) end: u8,
    pub(super) attempts: u8,
    /// How many answers are lost at most.
    pub(super) losses: u8,
    pub(super) fault: Option<Fault>,
}

/// What a caller does, by the index of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Reserve,
    Extend,
    Release,
    Checkout(usize),
    CleanUp,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Caller {
    pub(super) phase: Phase,
    pub(super) in_doubt: bool,
    pub(super) look_first: bool,
    pub(super) attempts: u8,
    /// How often its statements took effect.
    pub(super) effects: u8,
    pub(super) has_lost: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Begins,
    /// Reads the reservation before the sale.
    Admits,
    Waits,
    /// Reads what an earlier call stored, after a statement that wrote nothing.
    LooksAgain(Found),
    AdmitsAgain(Found),
    Judges(Found),
    /// Reads the order once more before the reservation's refusal is given.
    LooksBeforeRefusal,
    /// Reads the reservation after a step without an effect.
    Finds {
        round: u32,
    },
    Made,
    Refused,
    NotFound,
    Suppressed,
    Unknown,
}

/// What a statement that wrote nothing found under its locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Found {
    pub(super) available: i64,
    pub(super) expired: i64,
    /// Units of `available` that the own hold counts as reserved.
    pub(super) live: i64,
    /// Those of them whose hold has not expired.
    pub(super) held: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Statement {
    pub(super) caller: usize,
    pub(super) kind: Kind,
    /// The caller no longer waits for it.
    pub(super) is_late: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// The statement of the operation. A reserve sends the id, an extension counts its rounds.
    Write { id: u8, round: u32 },
    /// The transaction that ends expired holds and decides again.
    EndAndDecide { id: u8 },
    /// Uses up the id of an order.
    Settle,
    /// Ends the holds of a page.
    Clean(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) tables: Tables,
    pub(super) deliveries: u8,
    pub(super) losses: u8,
    pub(super) callers: Vec<Caller>,
    pub(super) under_way: Vec<Statement>,
    /// How often a statement took effect after its caller was refused.
    pub(super) late_effects: u8,
}

impl State {
    pub(super) fn send(&mut self, caller: usize, kind: Kind) {
        self.callers[caller].phase = Phase::Waits;
        self.under_way.push(Statement {
            caller,
            kind,
            is_late: false,
        });
    }
}

impl Caller {
    pub(super) fn call(&self) -> Call<()> {
        let mut call = Call::new(());
        (call.in_doubt, call.look_first) = (self.in_doubt, self.look_first);
        call
    }

    /// The caller does not have the answer of its attempt.
    pub(super) fn lose(&mut self) {
        let mut call = self.call();
        let lost = Error::busy(None).into_unknown();
        call.note(&Failed::new(lost, Class::Unknown));
        (self.in_doubt, self.look_first) = (call.in_doubt, call.look_first);
        self.attempts -= 1;
        self.has_lost = true;
        self.phase = match self.attempts {
            0 => Phase::Unknown,
            _ => Phase::Begins,
        };
    }
}

impl Life {
    /// Returns the operations with their callers.
    pub(super) fn operations<'a>(
        &'a self,
        state: &'a State,
    ) -> impl Iterator<Item = (Operation, &'a Caller)> + 'a {
        self.callers.iter().copied().zip(&state.callers)
    }
}
