//! Every order of events in the life of one order, explored by stateright on the code that judges and repeats steps:
//! `OrderStep::judge` and `made`, `decide`, `Doubt`.
//!
//! Callers in different processes make one step each. Only the model has the network, which loses answers and
//! delivers statements late or never, and the server, which makes a step if the order is at the statement's version
//! and in a state in which the step begins.

use chrono::DateTime;
use stateright::{Checker, Model, Property};

use super::{
    doubt::{Doubt, Sent},
    step::decide,
};
use crate::{
    Version,
    inventory::model::{
        Order, OrderId, OrderStatus, OrderStep,
        order_step::{Judged, Kind},
    },
};

/// The life of an order.
#[derive(Clone, Debug)]
struct Life {
    callers: Vec<OrderStep>,
    /// How often each caller sends its step.
    attempts: u8,
    fault: Option<Fault>,
}

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// After a lost answer the step is sent at the version that the order has by then.
    RetriesWithoutLooking,
    /// A refusal is given although a statement may still take effect.
    RefusesInDoubt,
    /// The server makes a step at any version.
    IgnoresVersions,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    status: OrderStatus,
    version: Version,
    /// How often the units were given back, less how often they were taken again.
    given_back: i8,
    /// Which states the order has had.
    had: Vec<OrderStatus>,
    callers: Vec<Caller>,
    under_way: Vec<Statement>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Caller {
    sent: Sent,
    phase: Phase,
    attempts: u8,
    /// How often its step took effect.
    effects: u8,
    has_lost: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Reads,
    Waits,
    Made,
    Refused,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Statement {
    caller: usize,
    version: Version,
    /// The caller no longer waits for it.
    late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Happens {
    /// The caller reads the order, and sends its statement or has its answer.
    Read(usize),
    /// The server executes a statement.
    Execute(usize),
    /// The same, and the answer is lost.
    ExecuteUnheard(usize),
    /// The connection of a caller is lost while its statement is under way.
    Lose(usize),
    /// A late statement never arrives.
    Vanish(usize),
}

impl Life {
    fn order(&self, state: &State) -> Order {
        let order = Order::new(self.callers[0].id, Vec::new(), DateTime::UNIX_EPOCH);
        let mut order = order.expect("an order without lines has no total");
        (order.status, order.version) = (state.status, state.version);
        order
    }

    fn read(&self, state: &mut State, index: usize) {
        let (order, step) = (self.order(state), &self.callers[index]);
        let caller = &mut state.callers[index];
        let doubt = match self.fault {
            Some(Fault::RetriesWithoutLooking) => Doubt::default(),
            _ => Doubt::from(caller.sent),
        };
        match decide(step, &order, &doubt) {
            Ok(Judged::Made) => caller.phase = Phase::Made,
            Ok(Judged::Begins) => {
                doubt.send(order.version);
                caller.phase = Phase::Waits;
                state.under_way.push(Statement {
                    caller: index,
                    version: order.version,
                    late: false,
                });
            }
            Err(_) if doubt.earlier().is_some() && self.fault != Some(Fault::RefusesInDoubt) => {
                caller.phase = Phase::Unknown;
            }
            Err(_) => caller.phase = Phase::Refused,
        }
        let sent = *doubt.sent();
        caller.sent = sent;
    }

    /// Returns whether the statement took effect.
    fn execute(&self, state: &mut State, statement: Statement) -> bool {
        let (order, step) = (self.order(state), &self.callers[statement.caller]);
        let is_current =
            statement.version == order.version || self.fault == Some(Fault::IgnoresVersions);
        let begins = OrderStep {
            expected: None,
            ..step.clone()
        };
        if !is_current || !matches!(begins.judge(&order), Ok(Judged::Begins)) {
            return false;
        }
        let made = step.made(&order).expect("versions are far from the last");
        (state.status, state.version) = (made.status, made.version);
        state.had.push(made.status);
        state.callers[statement.caller].effects += 1;
        match step.kind {
            Kind::Cancel { .. } => state.given_back += 1,
            Kind::Revive => state.given_back -= 1,
            Kind::MarkPaid | Kind::MarkPaymentFailed => {}
        }
        true
    }

    /// The caller does not have the answer of its attempt.
    fn lose(&self, caller: &mut Caller) {
        let doubt = Doubt::from(caller.sent);
        doubt.lose();
        caller.attempts -= 1;
        caller.has_lost = true;
        caller.phase = match caller.attempts {
            0 => Phase::Unknown,
            _ => Phase::Reads,
        };
        doubt.begin();
        let sent = *doubt.sent();
        caller.sent = sent;
    }
}

impl Model for Life {
    type State = State;
    type Action = Happens;

    fn init_states(&self) -> Vec<State> {
        let caller = Caller {
            sent: Sent::default(),
            phase: Phase::Reads,
            attempts: self.attempts,
            effects: 0,
            has_lost: false,
        };
        vec![State {
            status: OrderStatus::PendingPayment,
            version: Version::FIRST,
            given_back: 0,
            had: vec![OrderStatus::PendingPayment],
            callers: vec![caller; self.callers.len()],
            under_way: Vec::new(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Happens>) {
        for (index, caller) in state.callers.iter().enumerate() {
            match caller.phase {
                Phase::Reads => actions.push(Happens::Read(index)),
                Phase::Waits => actions.push(Happens::Lose(index)),
                Phase::Made | Phase::Refused | Phase::Unknown => {}
            }
        }
        for (index, statement) in state.under_way.iter().enumerate() {
            actions.push(Happens::Execute(index));
            actions.push(match statement.late {
                true => Happens::Vanish(index),
                false => Happens::ExecuteUnheard(index),
            });
        }
    }

    fn next_state(&self, state: &State, happens: Happens) -> Option<State> {
        let mut state = state.clone();
        match happens {
            Happens::Read(index) => self.read(&mut state, index),
            Happens::Execute(index) => {
                let statement = state.under_way.remove(index);
                let made = self.execute(&mut state, statement);
                if !statement.late {
                    // Without an effect the order is read again.
                    state.callers[statement.caller].phase = match made {
                        true => Phase::Made,
                        false => Phase::Reads,
                    };
                }
            }
            Happens::ExecuteUnheard(index) => {
                let statement = state.under_way.remove(index);
                self.execute(&mut state, statement);
                self.lose(&mut state.callers[statement.caller]);
            }
            Happens::Lose(index) => {
                let waited = state.under_way.iter_mut();
                waited
                    .filter(|it| it.caller == index)
                    .for_each(|it| it.late = true);
                self.lose(&mut state.callers[index]);
            }
            Happens::Vanish(index) => {
                state.under_way.remove(index);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a step takes effect once at most", |_, state: &State| {
                state.callers.iter().all(|caller| caller.effects <= 1)
            }),
            Property::always(
                "a refused step has no effect, now or later",
                |_, state: &State| {
                    let refused = |index: usize| state.callers[index].phase == Phase::Refused;
                    let effects = state.callers.iter().enumerate();
                    let mut effects = effects.filter(|(_, caller)| caller.effects > 0);
                    let mut possible = state.under_way.iter();
                    !effects.any(|(index, _)| refused(index))
                        && !possible.any(|it| refused(it.caller) && it.version >= state.version)
                },
            ),
            Property::always("a made step was made", |life: &Self, state: &State| {
                let mut callers = life.callers.iter().zip(&state.callers);
                callers.all(|(step, it)| it.phase != Phase::Made || state.had.contains(&step.to()))
            }),
            Property::always("units are given back once", |_, state: &State| {
                state.given_back == i8::from(state.status == OrderStatus::Cancelled)
            }),
            Property::sometimes("a late statement takes effect", |_, state: &State| {
                let mut callers = state.callers.iter();
                callers.any(|it| it.phase == Phase::Reads && it.has_lost && it.effects == 1)
            }),
            Property::sometimes("a lost step is found made", |_, state: &State| {
                let mut callers = state.callers.iter();
                callers.any(|it| it.phase == Phase::Made && it.has_lost && it.effects == 1)
            }),
            Property::sometimes("a doubt ends in a refusal", |_, state: &State| {
                let mut callers = state.callers.iter();
                callers.any(|it| it.phase == Phase::Refused && it.has_lost)
            }),
            Property::sometimes("an outcome stays unknown", |_, state: &State| {
                let mut callers = state.callers.iter();
                callers.any(|it| it.phase == Phase::Unknown)
            }),
        ]
    }
}

/// Four callers; that of the cancellation expects the first version, or none.
fn life(expects: bool, attempts: u8, fault: Option<Fault>) -> Life {
    let id = OrderId::new();
    let cancel = OrderStep::cancel(id, "changed my mind");
    Life {
        callers: vec![
            match expects {
                true => cancel.expecting_version(Version::FIRST),
                false => cancel,
            },
            OrderStep::revive(id),
            OrderStep::mark_paid(id),
            OrderStep::mark_payment_failed(id),
        ],
        attempts,
        fault,
    }
}

#[test]
fn every_order_of_events_keeps_the_promises() {
    let mut sum = 0;
    for (expects, attempts) in [(false, 2), (true, 2), (false, 3)] {
        let mut life = life(expects, attempts, None);
        if attempts == 3 {
            life.callers.truncate(3);
        }
        let checker = life.checker().threads(2).spawn_bfs().join();
        let states = checker.unique_state_count();
        println!("{states} states, {attempts} attempts, with a version: {expects}");
        checker.assert_properties();
        sum += states;
    }
    println!("{sum} states");
    assert!(sum > 100_000, "{sum}");
}

fn finds(fault: Fault, property: &'static str) {
    let mut life = life(false, 2, Some(fault));
    life.callers.truncate(2);
    let checker = life.checker().threads(2).spawn_bfs().join();
    assert!(checker.discovery(property).is_some(), "{fault:?}");
}

#[test]
fn a_retry_that_does_not_look_is_found() {
    finds(
        Fault::RetriesWithoutLooking,
        "a step takes effect once at most",
    );
}

#[test]
fn a_refusal_in_doubt_is_found() {
    finds(
        Fault::RefusesInDoubt,
        "a refused step has no effect, now or later",
    );
}

#[test]
fn a_statement_without_a_version_is_found() {
    finds(Fault::IgnoresVersions, "a step takes effect once at most");
}
