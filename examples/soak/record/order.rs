//! The states in which an order may be, after the answers to its steps.

use std::collections::BTreeSet;

use crate::request::{Line, Status, Step};

/// An order as its buyer knows it.
#[derive(Clone, Debug)]
pub(crate) struct OrderRecord {
    pub(crate) lines: Vec<Line>,
    /// The states after the last step that was acknowledged.
    known: BTreeSet<Status>,
    /// Steps that may have been made since, or may still be made.
    possible: Vec<Step>,
}

impl OrderRecord {
    pub(super) fn new(lines: Vec<Line>) -> Self {
        Self {
            lines,
            known: BTreeSet::from([Status::Pending]),
            possible: Vec::new(),
        }
    }

    /// Returns all states in which the order may be. A clean-up may cancel it at any time.
    pub(crate) fn states(&self) -> BTreeSet<Status> {
        let mut states = self.known.clone();
        loop {
            let steps = self.possible.iter().chain(&[Step::Cancel]);
            let reached: Vec<Status> = steps
                .filter(|step| states.iter().any(|state| step.leads_from(*state)))
                .map(|step| step.target())
                .collect();
            let before = states.len();
            states.extend(reached);
            if states.len() == before {
                return states;
            }
        }
    }

    /// Notes a step that was acknowledged. Returns whether it could be made.
    pub(super) fn made(&mut self, step: Step) -> bool {
        let mut states = self.states().into_iter();
        let could = states.any(|state| state == step.target() || step.leads_from(state));
        self.known = BTreeSet::from([step.target()]);
        could
    }

    /// Notes a step with an unknown outcome.
    pub(super) fn may_make(&mut self, step: Step) {
        self.possible.push(step);
    }

    /// Returns whether there is a state of the order in which the step is refused.
    pub(super) fn may_refuse(&self, step: Step) -> bool {
        let mut states = self.states().into_iter();
        states.any(|state| state != step.target() && !step.leads_from(state))
    }
}
