//! Numbers of answers.

use std::collections::BTreeMap;

use crate::request::Answer;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answers {
    pub(crate) done: u64,
    pub(crate) refused: u64,
    pub(crate) busy: u64,
    pub(crate) unknown: u64,
    pub(crate) dropped: u64,
    /// The client process was killed before the answer.
    pub(crate) killed: u64,
}

impl Answers {
    pub(crate) const fn sum(&self) -> u64 {
        self.done + self.refused + self.busy + self.unknown + self.dropped + self.killed
    }

    const fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.refused += other.refused;
        self.busy += other.busy;
        self.unknown += other.unknown;
        self.dropped += other.dropped;
        self.killed += other.killed;
    }
}

/// Answers by operation, and the calls of each client that were done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) operations: BTreeMap<&'static str, Answers>,
    pub(crate) codes: BTreeMap<String, u64>,
    pub(crate) done_by: BTreeMap<u32, u64>,
}

impl Tally {
    pub(super) fn ended(&mut self, client: u32, operation: &'static str, answer: &Answer) {
        let answers = self.operations.entry(operation).or_default();
        match answer {
            Answer::Done => {
                answers.done += 1;
                *self.done_by.entry(client).or_default() += 1;
            }
            Answer::Refused(code) => {
                *self.codes.entry(code.clone()).or_default() += 1;
                if code == "busy" {
                    answers.busy += 1;
                } else {
                    answers.refused += 1;
                }
            }
            Answer::Unknown | Answer::Stuck => answers.unknown += 1,
            Answer::Dropped => answers.dropped += 1,
        }
    }

    pub(super) fn killed(&mut self, operation: &'static str) {
        self.operations.entry(operation).or_default().killed += 1;
    }

    pub(crate) fn total(&self) -> Answers {
        let mut total = Answers::default();
        for answers in self.operations.values() {
            total.add(answers);
        }
        total
    }
}
