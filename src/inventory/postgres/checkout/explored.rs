//! Every order of events of a checkout whose answers may be lost, explored by stateright on the code that judges and
//! repeats it: `Checkout::judge` and `replay`, and `Call` with what it says of the next attempt.
//!
//! Only the model has the network, which loses answers and delivers statements late or never; the server, which stores
//! the id of an order once; and other callers, who buy and deliver units meanwhile.

use chrono::DateTime;
use stateright::{Checker, Model, Property};

use crate::{
    Class, Version,
    inventory::{
        model::{
            Checkout, Currency, Error, Line, Money, Order, OrderLine, OrderStatus, Quantity, Sku,
            checkout::Facts,
        },
        postgres::executor::Call,
    },
    postgres::Failed,
};

/// One checkout of one unit.
#[derive(Clone, Debug)]
struct Sale {
    request: Checkout,
    attempts: u8,
    fault: Option<Fault>,
}

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Each attempt has an id of its own, and none looks for the one before.
    RetriesUnderAnotherId,
    /// A refusal after a lost answer is given without using up the id.
    RefusesWithoutVoid,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    stock: i64,
    /// The number of orders of this checkout that are stored.
    orders: u8,
    is_void: bool,
    /// How often other callers may still buy or deliver a unit.
    sales: u8,
    deliveries: u8,
    phase: Phase,
    in_doubt: bool,
    look_first: bool,
    attempts: u8,
    under_way: Vec<Statement>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Begins,
    Sends,
    Settles,
    Waits,
    Made,
    Refused,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Statement {
    is_settlement: bool,
    /// The caller no longer waits for it.
    is_late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Happens {
    /// The caller begins an attempt: it looks for the order if it has to.
    Begin,
    Send,
    Execute(usize),
    /// The same, and the answer is lost.
    ExecuteUnheard(usize),
    /// The connection is lost while the statement is under way.
    Lose,
    /// A late statement never arrives.
    Vanish(usize),
    OtherSale,
    Delivery,
}

const INITIAL: i64 = 1;

/// How often other callers may buy, and how often they may deliver.
const OTHERS: u8 = 3;

impl Sale {
    fn call(state: &State) -> Call<()> {
        let mut call = Call::new(());
        (call.in_doubt, call.look_first) = (state.in_doubt, state.look_first);
        call
    }

    /// Judges the checkout by the stock.
    fn judge(&self, state: &State) -> Result<(), Error> {
        let facts = Facts {
            available: state.stock,
            expired: 0,
            version: Version::FIRST,
            price: price(),
            paused: false,
            held: 0,
            raised: 0,
        };
        self.request.judge(&[Some(facts)])
    }

    fn stored(&self, state: &State) -> Option<Order> {
        let status = match (state.orders, state.is_void) {
            (0, false) => return None,
            (0, true) => OrderStatus::Void,
            _ => OrderStatus::PendingPayment,
        };
        let line = &self.request.lines[0];
        let line = OrderLine::new(line.sku.clone(), line.quantity, price());
        let order = Order::new(self.request.id, vec![line], DateTime::UNIX_EPOCH);
        let mut order = order.expect("one line has a total");
        order.status = status;
        Some(order)
    }

    /// The caller has the stored order as its answer.
    fn replay(&self, state: &mut State, stored: Order) {
        state.phase = match self.request.replay(stored) {
            Ok(_) => Phase::Made,
            Err(_) if state.in_doubt => Phase::Unknown,
            Err(_) => Phase::Refused,
        };
    }

    fn begin(&self, state: &mut State) {
        let looks = state.look_first && self.fault != Some(Fault::RetriesUnderAnotherId);
        match self.stored(state).filter(|_| looks) {
            Some(stored) => self.replay(state, stored),
            None => state.phase = Phase::Sends,
        }
    }

    /// Executes a statement. Returns the answer, which the caller may not hear.
    fn execute(&self, state: &mut State, statement: Statement) -> Answer {
        if statement.is_settlement {
            return match self.stored(state) {
                Some(stored) => Answer::Stored(stored),
                None => {
                    state.is_void = true;
                    Answer::Void
                }
            };
        }
        if let Some(stored) = self.stored(state)
            && self.fault != Some(Fault::RetriesUnderAnotherId)
        {
            return Answer::Stored(stored);
        }
        match self.judge(state) {
            Ok(()) => {
                state.stock -= 1;
                state.orders += 1;
                Answer::Accepted
            }
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    fn hear(&self, state: &mut State, answer: Answer) {
        match answer {
            Answer::Accepted => state.phase = Phase::Made,
            Answer::Stored(stored) => {
                // The answer of a settlement, or of an id that is taken, is certain.
                state.in_doubt = false;
                self.replay(state, stored);
            }
            Answer::Void => state.phase = Phase::Refused,
            Answer::Refused(refusal) => {
                let refused = Failed::new(refusal, Class::Permanent);
                let settles = Self::call(state).must_settle(&refused)
                    && self.fault != Some(Fault::RefusesWithoutVoid);
                state.phase = match settles {
                    true => Phase::Settles,
                    false => Phase::Refused,
                };
            }
        }
    }

    /// The caller does not have the answer of its attempt.
    fn lose(state: &mut State) {
        let mut call = Self::call(state);
        call.note(&Failed::new(
            Error::busy(None).into_unknown(),
            Class::Unknown,
        ));
        (state.in_doubt, state.look_first) = (call.in_doubt, call.look_first);
        state.attempts -= 1;
        state.phase = match state.attempts {
            0 => Phase::Unknown,
            _ => Phase::Begins,
        };
    }
}

enum Answer {
    Accepted,
    Stored(Order),
    Void,
    Refused(Error),
}

fn price() -> Money {
    let currency: Currency = "MXN".parse().expect("a currency");
    Money::new(100, currency).expect("an amount")
}

impl Model for Sale {
    type State = State;
    type Action = Happens;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            stock: INITIAL,
            orders: 0,
            is_void: false,
            sales: OTHERS,
            deliveries: OTHERS,
            phase: Phase::Begins,
            in_doubt: false,
            look_first: false,
            attempts: self.attempts,
            under_way: Vec::new(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Happens>) {
        match state.phase {
            Phase::Begins => actions.push(Happens::Begin),
            Phase::Sends | Phase::Settles => actions.push(Happens::Send),
            Phase::Waits => actions.push(Happens::Lose),
            Phase::Made | Phase::Refused | Phase::Unknown => {}
        }
        for (index, statement) in state.under_way.iter().enumerate() {
            actions.push(Happens::Execute(index));
            actions.push(match statement.is_late {
                true => Happens::Vanish(index),
                false => Happens::ExecuteUnheard(index),
            });
        }
        if state.sales > 0 && state.stock > 0 {
            actions.push(Happens::OtherSale);
        }
        if state.deliveries > 0 {
            actions.push(Happens::Delivery);
        }
    }

    fn next_state(&self, state: &State, happens: Happens) -> Option<State> {
        let mut state = state.clone();
        match happens {
            Happens::Begin => self.begin(&mut state),
            Happens::Send => {
                state.under_way.push(Statement {
                    is_settlement: state.phase == Phase::Settles,
                    is_late: false,
                });
                state.phase = Phase::Waits;
            }
            Happens::Execute(index) => {
                let statement = state.under_way.remove(index);
                let answer = self.execute(&mut state, statement);
                if !statement.is_late {
                    self.hear(&mut state, answer);
                }
            }
            Happens::ExecuteUnheard(index) => {
                let statement = state.under_way.remove(index);
                drop(self.execute(&mut state, statement));
                Self::lose(&mut state);
            }
            Happens::Lose => {
                state.under_way.iter_mut().for_each(|it| it.is_late = true);
                Self::lose(&mut state);
            }
            Happens::Vanish(index) => drop(state.under_way.remove(index)),
            Happens::OtherSale => {
                state.stock -= 1;
                state.sales -= 1;
            }
            Happens::Delivery => {
                state.stock += 1;
                state.deliveries -= 1;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a checkout is stored once at most", |_, state: &State| {
                state.orders <= 1
            }),
            Property::always(
                "a refused checkout is not stored, now or later",
                |_, state: &State| {
                    let mut under_way = state.under_way.iter();
                    let possible = !state.is_void && under_way.any(|it| !it.is_settlement);
                    state.phase != Phase::Refused || (state.orders == 0 && !possible)
                },
            ),
            Property::always("a made checkout is stored", |_, state: &State| {
                state.phase != Phase::Made || state.orders > 0
            }),
            Property::always("the stock balances", |_, state: &State| {
                let others = i64::from(state.sales) - i64::from(state.deliveries);
                let stock = INITIAL + others - i64::from(state.orders);
                state.stock == stock && stock >= 0
            }),
            Property::sometimes("a lost checkout is found stored", |_, state: &State| {
                state.phase == Phase::Made && state.look_first
            }),
            Property::sometimes("a late statement stores it", |_, state: &State| {
                state.phase == Phase::Sends && state.in_doubt && state.orders == 1
            }),
            Property::sometimes("a refusal is settled", |_, state: &State| {
                state.phase == Phase::Refused && state.is_void
            }),
            Property::sometimes("a late statement meets a used id", |_, state: &State| {
                state.is_void && state.under_way.iter().any(|it| !it.is_settlement)
            }),
            Property::sometimes("an outcome stays unknown", |_, state: &State| {
                state.phase == Phase::Unknown
            }),
        ]
    }
}

fn sale(fault: Option<Fault>) -> Sale {
    let sku = Sku::new("pot").expect("a valid SKU");
    let unit = Quantity::new(1).expect("one unit");
    Sale {
        request: Checkout::new([Line::new(sku, unit)]).expect("a cart"),
        attempts: 6,
        fault,
    }
}

#[test]
fn every_order_of_events_keeps_the_promises() {
    let checker = sale(None).checker().threads(2).spawn_bfs().join();
    let states = checker.unique_state_count();
    println!("{states} states");
    checker.assert_properties();
    assert!(states > 1_000, "{states}");
}

fn finds(fault: Fault, property: &'static str) {
    let checker = sale(Some(fault)).checker().threads(2).spawn_bfs().join();
    assert!(checker.discovery(property).is_some(), "{fault:?}");
}

#[test]
fn a_retry_under_another_id_is_found() {
    finds(
        Fault::RetriesUnderAnotherId,
        "a checkout is stored once at most",
    );
}

#[test]
fn a_refusal_without_a_void_order_is_found() {
    finds(
        Fault::RefusesWithoutVoid,
        "a refused checkout is not stored, now or later",
    );
}
