//! The class of an sqlx error. Only this module and its children know SQLSTATEs.

mod code;
#[cfg(test)]
mod sent;

use std::{cell::Cell, time::Duration};

use sqlx::postgres::PgSeverity;

use crate::{Class, Classify};
pub(crate) use code::{
    advice, is_created_elsewhere, is_forbidden, is_out_of_range, is_read_only, is_stale_plan,
    is_unique_violation,
};
#[cfg(feature = "inventory")]
pub(crate) use code::{
    is_aborted, is_cancelled, is_ledger_key, is_lock_timeout, is_of_statement, is_refused_row,
};
use code::{is_refused_parameter, of_server};

/// The phase of a transaction in which an error occurred. The same error has another class before a write
/// takes effect than at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Before anything can take effect: connecting, reading, or a statement before `COMMIT`.
    Before,
    /// `COMMIT`, or a statement that commits directly.
    Commit,
}

/// The situation in which an error occurred, on which its class depends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    pub(crate) phase: Phase,
    /// The limit for statements that the crate set with `BEGIN` has passed: it may be the cause of a cancelled
    /// statement.
    pub(crate) timed_out: bool,
    /// The crate declared the transaction read-only: that is the cause of a refused write.
    pub(crate) read_only: bool,
}

/// The class of an error in a situation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judgement {
    pub(crate) class: Class,
    /// The connection's prepared statements no longer fit the schema.
    pub(crate) stale_plan: bool,
}

thread_local! {
    static SITUATION: Cell<Situation> = const { Cell::new(Situation::UNKNOWN) };
    static STALE_PLAN: Cell<bool> = const { Cell::new(false) };
}

impl Situation {
    /// The situation of a statement that commits directly, for which nothing else is known.
    const UNKNOWN: Self = Self {
        phase: Phase::Commit,
        timed_out: false,
        read_only: false,
    };

    pub(crate) const fn of(phase: Phase) -> Self {
        Self {
            phase,
            ..Self::UNKNOWN
        }
    }

    pub(crate) fn current() -> Self {
        SITUATION.get()
    }

    /// Returns the class of `error`, while errors of sqlx have their class in this situation: a host's error
    /// that forwards the question to the sqlx error inside depends on it, and no other error does.
    pub(crate) fn judge<E: Classify>(self, error: &E) -> Judgement {
        struct Restored(Situation);
        impl Drop for Restored {
            fn drop(&mut self) {
                SITUATION.set(self.0);
            }
        }
        let _restored = Restored(SITUATION.replace(self));
        STALE_PLAN.set(false);
        Judgement {
            class: error.class(),
            stale_plan: STALE_PLAN.get(),
        }
    }

    /// Returns the class of an sqlx error in this situation.
    pub(crate) fn class(self, error: &sqlx::Error) -> Class {
        let lost = match self.phase {
            Phase::Before => BUSY,
            Phase::Commit => Class::Unknown,
        };
        match error {
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => lost,
            sqlx::Error::PoolTimedOut => BUSY,
            sqlx::Error::Database(_) if is_stale_plan(error) => class_of_busy(error, None),
            sqlx::Error::Database(error) => {
                let fatal = of_server(&**error).is_some_and(|error| {
                    matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)
                });
                match error.code().as_deref().unwrap_or_default() {
                    "57014" if self.timed_out => BUSY,
                    "25006" if self.read_only => Class::Permanent,
                    _ if is_refused_parameter(&**error) => Class::Permanent,
                    code => of_code(code, fatal, lost),
                }
            }
            _ => Class::Permanent,
        }
    }
}

const BUSY: Class = Class::Busy { retry_after: None };

/// The class for a statement that commits directly: if the connection was lost during it, the class is
/// [`Class::Unknown`]. [`transact`](super::transact()) knows the phase and is more exact.
///
/// | Error | Class |
/// |---|---|
/// | `40001` serialization failure, `40P01` deadlock | `Conflict` |
/// | `55P03`, `57P03`, class `53`, `25006`, pool timed out; `0A000` of a prepared statement that no longer fits the schema | `Busy` |
/// | I/O, protocol, class `08`, `57P01`, `57P02`, `25P03`, `40003`, other errors of severity `FATAL` or `PANIC` | `Unknown` |
/// | all others, among them `57014` (a statement that was cancelled) and a login that the server or a pooler refuses (class `28`, `3D000`, a startup parameter) | `Permanent` |
impl Classify for sqlx::Error {
    fn class(&self) -> Class {
        Situation::current().class(self)
    }
}

/// Returns the class of `error` in `phase`.
pub(crate) fn class_in(error: &sqlx::Error, phase: Phase) -> Class {
    Situation::of(phase).class(error)
}

/// Returns the class of an outcome that was unknown when `error` occurred. If the connection was lost, it
/// depends on the current situation.
pub(crate) fn class_of_unknown(error: &sqlx::Error) -> Class {
    match class_in(error, Phase::Commit) {
        Class::Unknown => Situation::current().class(error),
        _ => Class::Unknown,
    }
}

/// Returns the class of a busy database. Records a stale plan for [`Situation::judge`].
pub(crate) fn class_of_busy(error: &sqlx::Error, retry_after: Option<Duration>) -> Class {
    if is_stale_plan(error) {
        STALE_PLAN.set(true);
    }
    Class::Busy { retry_after }
}

/// Returns the class of an error code (appendix A of PostgreSQL's manual). With `FATAL` or `PANIC` the
/// connection ends. Only for a refused login it is known that nothing happened: a full server (`53300`), a
/// server that is starting (`57P03`), and one that will refuse the next login too.
fn of_code(code: &str, fatal: bool, lost: Class) -> Class {
    match code {
        "53300" | "57P03" => BUSY,
        "57P01" | "57P02" | "25P03" => lost,
        "08007" | "40003" => Class::Unknown,
        _ if code.starts_with("08") => lost,
        _ if fatal && is_refused_login(code) => Class::Permanent,
        _ if fatal => lost,
        "40001" | "40P01" => Class::Conflict,
        "55P03" | "25006" => BUSY,
        _ if code.starts_with("53") => BUSY,
        _ => Class::Permanent,
    }
}

/// Returns whether a login failed for wrong credentials, a database that does not exist, a missing privilege,
/// or a setting that the server does not know.
fn is_refused_login(code: &str) -> bool {
    ["28", "3D", "42", "22"]
        .iter()
        .any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests;
