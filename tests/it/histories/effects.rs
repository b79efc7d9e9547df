//! What a history says took effect, compared with what is stored. The checker does not ask this: to it, an append that
//! nobody has read is one that follows all others.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::history::{Element, History, Key, Lists, Outcome, Step};

/// The transactions of a history by their outcome.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effects {
    pub transactions: usize,
    pub done: usize,
    pub refused: usize,
    pub unknown: usize,
    /// Those with an unknown outcome that took effect.
    pub took_effect: usize,
}

impl fmt::Display for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} transactions: {} done, {} refused, {} unknown, {} of which took effect",
            self.transactions, self.done, self.refused, self.unknown, self.took_effect
        )
    }
}

impl Effects {
    /// Compares the outcomes with what is stored: each acknowledged append once, no refused one, each unknown
    /// transaction as a whole or not at all, and nothing else.
    ///
    /// # Errors
    ///
    /// The differences.
    pub fn of(history: &History, stored: &Lists) -> Result<Self, Vec<String>> {
        let mut left = count(stored);
        let mut effects = Self::default();
        let mut differences = Vec::new();
        for (number, transaction) in history.transactions.iter().enumerate() {
            effects.transactions += 1;
            let requested = appends(&transaction.requested);
            let mut stored = BTreeSet::new();
            for append in &requested {
                match left.remove(append) {
                    None => {}
                    Some(times) => {
                        stored.insert(append.clone());
                        if times > 1 {
                            differences.push(format!("{append:?} is stored {times} times"));
                        }
                    }
                }
            }
            let expected = match &transaction.outcome {
                Outcome::Done(steps) => {
                    effects.done += 1;
                    appends(steps)
                }
                Outcome::Refused => {
                    effects.refused += 1;
                    BTreeSet::new()
                }
                Outcome::Unknown => {
                    effects.unknown += 1;
                    if stored.is_empty() {
                        continue;
                    }
                    effects.took_effect += 1;
                    requested
                }
            };
            let outcome = transaction.outcome.name();
            for lost in expected.difference(&stored) {
                differences.push(format!("{lost:?} of {number}, {outcome}, is not stored"));
            }
            for kept in stored.difference(&expected) {
                differences.push(format!("{kept:?} of {number}, {outcome}, is stored"));
            }
        }
        differences.extend(
            left.keys()
                .map(|it| format!("no transaction appended {it:?}")),
        );
        match differences.is_empty() {
            true => Ok(effects),
            false => Err(differences),
        }
    }
}

fn count(stored: &Lists) -> BTreeMap<(Key, Element), usize> {
    let mut counts = BTreeMap::new();
    for (key, list) in stored {
        for element in list {
            *counts.entry((key.clone(), element.clone())).or_default() += 1;
        }
    }
    counts
}

fn appends(steps: &[Step]) -> BTreeSet<(Key, Element)> {
    let append = |step: &Step| match step {
        Step::Append(key, element) => Some((key.clone(), element.clone())),
        Step::Read(..) => None,
    };
    steps.iter().filter_map(append).collect()
}
