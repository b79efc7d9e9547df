//! A history: when each of many concurrent transactions began and ended, and what it read and appended.

use std::collections::BTreeMap;

use adya::history::{History as Checked, Interner, Mop, Op, OpType, ReadValue, Scalar};

/// Names a list that transactions read and append to: a row, a product, an order.
pub type Key = String;

/// An appended value, unique within its list.
pub type Element = String;

/// The content of each list, as the last transaction reads it.
pub type Lists = BTreeMap<Key, Vec<Element>>;

/// What a transaction did with one list.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Read(Key, Seen),
    Append(Key, Element),
}

/// What a read returned.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// The read has no answer yet, or none was received.
    Nothing,
    List(Vec<Element>),
    /// The number of elements. An answer that has only a version shows this much: which elements they are
    /// follows from the last read.
    First(usize),
}

/// How a transaction ended for its caller.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It took effect by these steps.
    Done(Vec<Step>),
    /// Nothing is stored, now or later.
    Refused,
    /// It may have taken effect.
    Unknown,
}

#[derive(Clone, Debug)]
pub struct Transaction {
    /// What it was asked to do: reads without an answer, and all appends.
    pub requested: Vec<Step>,
    pub outcome: Outcome,
    process: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    Begin(usize),
    End(usize),
}

#[derive(Clone, Debug, Default)]
pub struct History {
    /// The begins and ends in the order in which they happened.
    pub events: Vec<Event>,
    pub transactions: Vec<Transaction>,
}

pub fn read(key: impl Into<Key>, elements: &[&str]) -> Step {
    let elements = elements.iter().map(|element| (*element).to_owned());
    Step::Read(key.into(), Seen::List(elements.collect()))
}

pub fn append(key: impl Into<Key>, element: impl Into<Element>) -> Step {
    Step::Append(key.into(), element.into())
}

impl History {
    /// Adds the begin of a transaction and returns its number. Until it ends, its outcome is unknown.
    pub fn begin(&mut self, process: usize, requested: Vec<Step>) -> usize {
        let number = self.transactions.len();
        self.transactions.push(Transaction {
            requested,
            outcome: Outcome::Unknown,
            process,
        });
        self.events.push(Event::Begin(number));
        number
    }

    pub fn end(&mut self, number: usize, outcome: Outcome) {
        self.transactions[number].outcome = outcome;
        self.events.push(Event::End(number));
    }

    /// Returns a history whose transactions all begin before the first one ends.
    pub fn concurrent(outcomes: impl IntoIterator<Item = (Vec<Step>, Outcome)>) -> Self {
        let mut history = Self::default();
        let outcomes: Vec<_> = outcomes.into_iter().collect();
        for (process, (requested, _)) in outcomes.iter().enumerate() {
            history.begin(process, requested.clone());
        }
        for (number, (_, outcome)) in outcomes.into_iter().enumerate() {
            history.end(number, outcome);
        }
        history
    }

    /// Adds a last transaction that reads every list, and gives the reads of a number of elements their lists.
    pub fn finish(&mut self, lists: &Lists) {
        for (number, transaction) in self.transactions.iter_mut().enumerate() {
            let Outcome::Done(steps) = &mut transaction.outcome else {
                continue;
            };
            for step in steps {
                if let Step::Read(key, seen @ Seen::First(_)) = step {
                    let Seen::First(count) = *seen else { continue };
                    let list = lists.get(key).map_or(&[][..], Vec::as_slice);
                    let first = list.get(..count);
                    let first = first.unwrap_or_else(|| {
                        panic!("{number} read {count} elements of {key}, and {list:?} is stored")
                    });
                    *seen = Seen::List(first.to_vec());
                }
            }
        }
        let last =
            |(key, list): (&Key, &Vec<Element>)| Step::Read(key.clone(), Seen::List(list.clone()));
        let steps: Vec<Step> = lists.iter().map(last).collect();
        let process = 1 + self
            .transactions
            .iter()
            .map(|it| it.process)
            .max()
            .unwrap_or(0);
        let number = self.begin(process, Vec::new());
        self.end(number, Outcome::Done(steps));
    }

    /// Returns the same history in the form that the checker takes.
    pub fn checked(&self) -> Checked {
        let mut names = Interner::default();
        let ops = self.events.iter().enumerate().map(|(index, event)| {
            let (number, kind) = match *event {
                Event::Begin(number) => (number, OpType::Invoke),
                Event::End(number) => (number, self.transactions[number].outcome.kind()),
            };
            let transaction = &self.transactions[number];
            let steps = match (&transaction.outcome, kind) {
                (Outcome::Done(steps), OpType::Ok) => steps,
                _ => &transaction.requested,
            };
            Op {
                index: index as u64,
                kind,
                process: Some(transaction.process as i64),
                value: steps.iter().map(|step| mop(step, &mut names)).collect(),
                time: None,
            }
        });
        let ops = ops.collect();
        Checked::from_ops(ops, names)
    }
}

impl Outcome {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }

    const fn kind(&self) -> OpType {
        match self {
            Self::Done(_) => OpType::Ok,
            Self::Refused => OpType::Fail,
            Self::Unknown => OpType::Info,
        }
    }
}

fn mop(step: &Step, names: &mut Interner) -> Mop {
    let mut name = |text: &str| names.intern(Scalar::Str(text.to_owned()));
    match step {
        Step::Append(key, element) => Mop::Append {
            key: name(key),
            value: name(element),
        },
        Step::Read(key, seen) => Mop::Read {
            key: name(key),
            value: match seen {
                Seen::List(list) => {
                    ReadValue::List(list.iter().map(|element| name(element)).collect())
                }
                Seen::Nothing | Seen::First(_) => ReadValue::Nil,
            },
        },
    }
}
