//! Records the transactions of concurrent processes in the order in which they begin and end.

use std::sync::{Mutex, MutexGuard};

use super::history::{Event, History, Outcome, Step};

/// Returns how many transactions a load of `transactions` has at most, but for those that begin at the same time.
pub const fn most(transactions: usize) -> usize {
    16 * transactions
}

#[derive(Debug, Default)]
pub struct Recorder {
    history: Mutex<History>,
}

impl Recorder {
    /// Records that a process begins a transaction, and returns its number. Call it before the first statement.
    pub fn begin(&self, process: usize, requested: Vec<Step>) -> usize {
        self.history().begin(process, requested)
    }

    /// Records the answer to a transaction.
    pub fn end(&self, number: usize, outcome: Outcome) {
        self.history().end(number, outcome);
    }

    /// Returns how many transactions have begun.
    pub fn begun(&self) -> usize {
        self.history().transactions.len()
    }

    /// Returns whether a load of this many transactions goes on: also until an outcome is unknown, within limits.
    pub fn wants_more(&self, transactions: usize) -> bool {
        let history = self.history();
        let begun = history.transactions.len();
        let is_unknown = |event: &Event| match *event {
            Event::Begin(_) => false,
            Event::End(number) => history.transactions[number].outcome == Outcome::Unknown,
        };
        begun < transactions || begun < most(transactions) && !history.events.iter().any(is_unknown)
    }

    /// Returns how many transactions have ended.
    pub fn ended(&self) -> usize {
        let history = self.history();
        history.events.len() - history.transactions.len()
    }

    /// Returns what was recorded.
    pub fn take(&self) -> History {
        let history = std::mem::take(&mut *self.history());
        let ended = |event: &&Event| matches!(event, Event::End(_));
        let ended = history.events.iter().filter(ended).count();
        assert_eq!(
            ended,
            history.transactions.len(),
            "every transaction has ended"
        );
        history
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap()
    }
}
