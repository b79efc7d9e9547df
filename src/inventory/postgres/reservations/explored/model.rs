//! Every event that may follow.

use stateright::{Model, Property};

use super::{
    life::{Caller, Life, Phase, State},
    promises::{examples, promises},
    server::{OTHER, OWN, Row, Stored, Tables},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Happens {
    /// A caller reads, and sends a statement or has its answer.
    Step(usize),
    Execute(usize),
    /// The same, and the answer is lost.
    ExecuteUnheard(usize),
    /// The connection of a caller is lost while its statement is under way.
    Lose(usize),
    /// A late statement never arrives.
    Vanish(usize),
    TimePasses,
    Delivery,
}

impl Model for Life {
    type State = State;
    type Action = Happens;

    fn init_states(&self) -> Vec<State> {
        let caller = Caller {
            phase: Phase::Begins,
            in_doubt: false,
            look_first: false,
            attempts: self.attempts,
            effects: 0,
            has_lost: false,
        };
        let (units, mut holds) = (
            self.reserve.lines[0].1.get(),
            vec![Row::new(OTHER, 1, self.other_expires_at)],
        );
        if self.is_reserved {
            holds.push(Row::new(OWN, units, 1));
        }
        vec![State {
            tables: Tables {
                stock: self.stock,
                reserved: holds.iter().map(Row::live).sum(),
                now: 0,
                holds,
                orders: vec![Stored::No; self.requests.len()],
                sold_after_end: 0,
            },
            deliveries: self.deliveries,
            losses: self.losses,
            callers: vec![caller; self.callers.len()],
            under_way: Vec::new(),
            late_effects: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Happens>) {
        for (index, caller) in state.callers.iter().enumerate() {
            match caller.phase {
                Phase::Waits if state.losses > 0 => actions.push(Happens::Lose(index)),
                Phase::Waits
                | Phase::Made
                | Phase::Refused
                | Phase::NotFound
                | Phase::Suppressed
                | Phase::Unknown => {}
                _ => actions.push(Happens::Step(index)),
            }
        }
        for (index, statement) in state.under_way.iter().enumerate() {
            actions.push(Happens::Execute(index));
            if statement.is_late {
                actions.push(Happens::Vanish(index));
            } else if state.losses > 0 {
                actions.push(Happens::ExecuteUnheard(index));
            }
        }
        if state.tables.now < self.end {
            actions.push(Happens::TimePasses);
        }
        if state.deliveries > 0 {
            actions.push(Happens::Delivery);
        }
    }

    fn next_state(&self, state: &State, happens: Happens) -> Option<State> {
        let mut state = state.clone();
        match happens {
            Happens::Step(index) => self.step(&mut state, index),
            Happens::Execute(index) => {
                let statement = state.under_way.remove(index);
                let answer = self.execute(&mut state, &statement);
                if !statement.is_late {
                    self.hear(&mut state, &statement, answer);
                }
            }
            Happens::ExecuteUnheard(index) => {
                let statement = state.under_way.remove(index);
                drop(self.execute(&mut state, &statement));
                state.callers[statement.caller].lose();
                state.losses -= 1;
            }
            Happens::Lose(index) => {
                let waited = state.under_way.iter_mut();
                waited
                    .filter(|it| it.caller == index)
                    .for_each(|it| it.is_late = true);
                state.callers[index].lose();
                state.losses -= 1;
            }
            Happens::Vanish(index) => drop(state.under_way.remove(index)),
            Happens::TimePasses => state.tables.now += 1,
            Happens::Delivery => {
                state.tables.stock += 1;
                state.deliveries -= 1;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = promises();
        properties.extend(examples());
        properties
    }
}
