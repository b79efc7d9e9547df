//! How an attempt begins, and the limits that it sets.

use std::time::{Duration, Instant};

use crate::{
    Classify,
    postgres::{
        classify::{Phase, Situation},
        transaction::failed::Failed,
    },
};

/// Citus tells the server that has the rows of a local setting only if a setting of its own says so, and else ignores
/// it there: `lock_timeout` would not limit the wait for a row. Where there is no Citus, this selects nothing.
macro_rules! told_to_workers {
    () => {
        "SELECT pg_catalog.set_config('citus.propagate_set_commands', 'local', true) \
         WHERE pg_catalog.current_setting('citus.version', true) IS NOT NULL"
    };
}
pub(crate) use told_to_workers;

/// How an attempt begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin<'s> {
    /// `BEGIN` with its level and its settings, in one string: built from constants and numbers.
    pub(super) sql: &'s str,
    /// Whether the end of the transaction proves that it is the one that was begun. Not needed for the
    /// crate's own statements, which end no transaction and swallow no error.
    pub(super) proven: bool,
    /// The limit for a statement that `sql` sets.
    pub(super) statement_timeout: Option<Duration>,
    /// Whether `sql` declares the transaction read-only.
    pub(super) read_only: bool,
}

/// The beginning of the library's own locking attempts. Under a default of REPEATABLE READ or above even
/// `FOR UPDATE` fails on a row that has changed since the snapshot; at READ COMMITTED it waits and reads
/// the current row.
pub(crate) const READ_COMMITTED: Begin<'_> = Begin {
    sql: "BEGIN ISOLATION LEVEL READ COMMITTED",
    proven: false,
    statement_timeout: None,
    read_only: false,
};

/// The same, with a limit for the wait for each lock.
#[cfg(feature = "inventory")]
pub(crate) const READ_COMMITTED_LIMITED: Begin<'_> = Begin {
    sql: concat!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; ",
        told_to_workers!(),
        "; SET LOCAL lock_timeout = 500"
    ),
    ..READ_COMMITTED
};

/// Limits each wait for a lock to 50 ms for the rest of the transaction.
#[cfg(feature = "inventory")]
pub(crate) const WAIT_SHORTLY: &str = concat!(told_to_workers!(), "; SET LOCAL lock_timeout = 50");

impl Begin<'_> {
    /// Returns the same for a transaction in which the host's code runs.
    #[cfg(feature = "inventory")]
    pub(crate) const fn proven(self) -> Self {
        Self {
            proven: true,
            ..self
        }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            statement: self.statement_timeout.map(|limit| (limit, Instant::now())),
            read_only: self.read_only,
        }
    }
}

/// The limits that were set with `BEGIN`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The limit for a statement, and the time at which it was set.
    statement: Option<(Duration, Instant)>,
    read_only: bool,
}

impl Limits {
    pub(super) fn failed<E: From<sqlx::Error>>(
        self,
        error: sqlx::Error,
        phase: Phase,
    ) -> Failed<E> {
        let judgement = self.situation(phase).judge(&error);
        Failed::judged(error.into(), judgement)
    }

    pub(super) fn judged<E: Classify>(self, error: E, phase: Phase) -> Failed<E> {
        let judgement = self.situation(phase).judge(&error);
        Failed::judged(error, judgement)
    }

    pub(super) fn situation(self, phase: Phase) -> Situation {
        // A statement that was cancelled earlier was not cancelled by this limit.
        let passed = |(limit, since): (Duration, Instant)| since.elapsed() >= limit;
        Situation {
            phase,
            timed_out: self.statement.is_some_and(passed),
            read_only: self.read_only,
        }
    }
}
