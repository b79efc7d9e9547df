//! What an sqlx error means: the one place that knows SQLSTATEs.

use std::{cell::Cell, time::Duration};

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::{Class, Classify};

/// Where in a transaction an error came up. The same error means different things before and at
/// the moment when a write takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing has been asked to take effect: connecting, reading, or a statement before `COMMIT`.
    Before,
    /// `COMMIT`, or a statement that commits directly.
    Commit,
}

/// When an error came, which is part of what it means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    pub(crate) phase: Phase,
    /// A limit for statements that the crate set with `BEGIN` has passed: a cancelled statement may have
    /// been cancelled by it.
    pub(crate) timed_out: bool,
    /// The crate declared the transaction read-only: a write in it was refused for that.
    pub(crate) read_only: bool,
}

/// What an error means in a situation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judgement {
    pub(crate) class: Class,
    /// What the connection has prepared no longer fits the schema.
    pub(crate) stale_plan: bool,
}

thread_local! {
    static SITUATION: Cell<Situation> = const { Cell::new(Situation::UNKNOWN) };
    static STALE_PLAN: Cell<bool> = const { Cell::new(false) };
}

impl Situation {
    /// Nothing is known: as for a statement that commits directly.
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

    /// Asks `error` for its class, in which the classes of sqlx's errors are those of this situation: a
    /// host's error hands the question on to the sqlx error inside, and says of itself what it always
    /// says.
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

    /// The class of an sqlx error in this situation.
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
                let fatal = error
                    .try_downcast_ref::<PgDatabaseError>()
                    .is_some_and(|error| {
                        matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)
                    });
                match error.code().as_deref().unwrap_or_default() {
                    "57014" if self.timed_out => BUSY,
                    "25006" if self.read_only => Class::Permanent,
                    code => of_code(code, fatal, lost),
                }
            }
            _ => Class::Permanent,
        }
    }
}

const BUSY: Class = Class::Busy { retry_after: None };

/// As for a statement that commits directly: a connection lost during it is [`Class::Unknown`].
/// [`transact`](super::transact()) knows the phase and does better.
///
/// | Error | Class |
/// |---|---|
/// | `40001` serialization failure, `40P01` deadlock | `Conflict` |
/// | `55P03`, `57P03`, class `53`, `25006`, pool timed out; `0A000` of a prepared statement that no longer fits the schema | `Busy` |
/// | I/O, protocol, class `08`, `57P01`, `57P02`, `25P03`, `40003`, other errors of severity `FATAL` or `PANIC` | `Unknown` |
/// | everything else, also `57014`: a statement that was cancelled; and a login that the server refuses (class `28`, `3D000`) | `Permanent` |
impl Classify for sqlx::Error {
    fn class(&self) -> Class {
        Situation::current().class(self)
    }
}

/// The class of `error` in `phase`.
pub(crate) fn class_in(error: &sqlx::Error, phase: Phase) -> Class {
    Situation::of(phase).class(error)
}

/// The class of an outcome that was unknown where `error` came: a connection that was lost is judged by
/// the situation in which it is asked, and nothing else is.
pub(crate) fn class_of_unknown(error: &sqlx::Error) -> Class {
    match class_in(error, Phase::Commit) {
        Class::Unknown => Situation::current().class(error),
        _ => Class::Unknown,
    }
}

/// The class of a busy database. Notes a stale plan for [`Situation::judge`].
pub(crate) fn class_of_busy(error: &sqlx::Error, retry_after: Option<Duration>) -> Class {
    if is_stale_plan(error) {
        STALE_PLAN.set(true);
    }
    Class::Busy { retry_after }
}

/// PostgreSQL's error codes, appendix A of its manual. With `FATAL` or `PANIC` the connection ends, and only
/// of a login that was refused it is known that nothing happened: a full server (`53300`), one that is
/// starting (`57P03`), and one that will refuse the next login too.
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

/// Wrong credentials, no such database, a missing privilege, or a setting that the server does not know.
fn is_refused_login(code: &str) -> bool {
    ["28", "3D", "42", "22"]
        .iter()
        .any(|class| code.starts_with(class))
}

/// What to say of an error that no retry helps.
pub(crate) fn advice(error: &sqlx::Error) -> &'static str {
    let Some(error) = error.as_database_error() else {
        return match error {
            sqlx::Error::PoolClosed => "the pool is closed",
            _ => "the database failed",
        };
    };
    match error.code().as_deref().unwrap_or_default() {
        "28P01" => {
            "the database refuses this user's password: check user and password of the connection"
        }
        code if code.starts_with("28") => {
            "the database refuses this user: check that the role exists and that pg_hba.conf admits it"
        }
        "3D000" => {
            "there is no such database: check its name in the connection's options, or create it"
        }
        "57014" => "the statement was cancelled, by an administrator or by a statement_timeout",
        "42501" => {
            "this role lacks a privilege: the database's message names the object to grant it on"
        }
        _ => "the database failed",
    }
}

/// A statement that was prepared before its tables were changed. The text is translated; the name of the
/// server's function is not. The server refuses such a statement before it runs.
pub(crate) fn is_stale_plan(error: &sqlx::Error) -> bool {
    let of_server = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    of_server.is_some_and(|error| {
        error.code() == "0A000" && error.routine() == Some("RevalidateCachedQuery")
    })
}

fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|found| found == code)
}

/// A key of ours is taken: what it names is stored already.
pub(crate) fn is_unique_violation(error: &sqlx::Error) -> bool {
    has_code(error, "23505")
}

/// The key of the inventory's ledger is taken: a product's row is at a version that it had before.
#[cfg(feature = "inventory")]
pub(crate) fn is_ledger_key(error: &sqlx::Error) -> bool {
    let of_server = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    is_unique_violation(error)
        && of_server.is_some_and(|error| {
            error.schema() == Some("optilock") && error.constraint() == Some("movements_pkey")
        })
}

/// A number left the range of its type.
pub(crate) fn is_out_of_range(error: &sqlx::Error) -> bool {
    has_code(error, "22003")
}

/// A statement of the transaction had failed before.
#[cfg(feature = "inventory")]
pub(crate) fn is_aborted(error: &sqlx::Error) -> bool {
    has_code(error, "25P02")
}

/// A lock was not to be had in the time allowed.
#[cfg(feature = "inventory")]
pub(crate) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    has_code(error, "55P03")
}

/// The database refuses what is to be written, which may be so for one of several rows: the data, a
/// constraint, a row-level policy, or an exception that a host's trigger raises.
#[cfg(feature = "inventory")]
pub(crate) fn is_refused_row(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else {
        return false;
    };
    let code = error.code().unwrap_or_default().into_owned();
    let by_policy = || {
        let error = error.try_downcast_ref::<PgDatabaseError>();
        error.is_some_and(|error| error.routine() == Some("ExecWithCheckOptions"))
    };
    is_code_of_row(&code) || (code == "42501" && by_policy())
}

/// An error of severity ERROR: the server refused a statement, and the connection lives.
#[cfg(feature = "inventory")]
pub(crate) fn is_of_statement(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        .is_some_and(|error| matches!(error.severity(), PgSeverity::Error))
}

/// Data and integrity errors, check options of views, exceptions of PL/pgSQL; and codes that no one but a
/// host defines, whose class begins with `I` to `Z` or 6 to 9.
#[cfg(feature = "inventory")]
fn is_code_of_row(code: &str) -> bool {
    match code.get(..2) {
        Some("22" | "23" | "44" | "P0") => true,
        Some("XX") | None => false,
        Some(class) => class.starts_with(|first| matches!(first, 'I'..='Z' | '6'..='9')),
    }
}

/// The statement was cancelled: by an administrator, or as it took too long.
#[cfg(feature = "inventory")]
pub(crate) fn is_cancelled(error: &sqlx::Error) -> bool {
    has_code(error, "57014")
}

/// The role lacks a privilege.
pub(crate) fn is_forbidden(error: &sqlx::Error) -> bool {
    has_code(error, "42501")
}

/// The server no longer takes writes: after a failover the connection leads to a replica.
pub(crate) fn is_read_only(error: &sqlx::Error) -> bool {
    has_code(error, "25006")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every code of the table, in both phases, with the severity the server sends it with.
    #[test]
    fn codes_by_phase() {
        let before = |code, fatal| of_code(code, fatal, BUSY);
        let commit = |code, fatal| of_code(code, fatal, Class::Unknown);
        for code in ["40001", "40P01"] {
            assert_eq!(
                (before(code, false), commit(code, false)),
                (Class::Conflict, Class::Conflict),
                "{code}"
            );
        }
        for (code, fatal) in [
            ("55P03", false),
            ("53300", true),
            ("53200", false),
            ("57P03", true),
            ("25006", false),
        ] {
            assert_eq!(
                (before(code, fatal), commit(code, fatal)),
                (BUSY, BUSY),
                "{code}"
            );
        }
        for (code, fatal) in [
            ("08006", true),
            ("08P01", false),
            ("57P01", true),
            ("57P02", true),
            ("25P03", true),
            ("XX000", true),
        ] {
            assert_eq!(
                (before(code, fatal), commit(code, fatal)),
                (BUSY, Class::Unknown),
                "{code}"
            );
        }
        for code in ["08007", "40003"] {
            assert_eq!(
                (before(code, false), commit(code, false)),
                (Class::Unknown, Class::Unknown),
                "{code}"
            );
        }
        for code in [
            "25P02", "26000", "42P05", "23505", "23514", "22003", "42P01", "XX000", "57014",
            "0A000",
        ] {
            assert_eq!(
                (before(code, false), commit(code, false)),
                (Class::Permanent, Class::Permanent),
                "{code}"
            );
        }
    }

    /// A login that is refused says so with FATAL, and is refused the next time too.
    #[test]
    fn a_refused_login_is_permanent() {
        for code in ["28000", "28P01", "3D000", "42501", "42704", "22023"] {
            assert_eq!(of_code(code, true, BUSY), Class::Permanent, "{code}");
            assert_eq!(
                of_code(code, true, Class::Unknown),
                Class::Permanent,
                "{code}"
            );
        }
    }

    /// A disk that is full while the log of a commit is written: the outcome is unknown.
    #[test]
    fn a_fatal_end_is_a_lost_connection_whatever_its_code() {
        for code in ["53100", "53200", "40001", "55P03", "25006", "XX000"] {
            assert_eq!(
                of_code(code, true, Class::Unknown),
                Class::Unknown,
                "{code}"
            );
            assert_eq!(of_code(code, true, BUSY), BUSY, "{code}");
        }
    }

    #[test]
    fn a_situation_is_for_one_question() {
        struct Wrapped(sqlx::Error);
        impl Classify for Wrapped {
            fn class(&self) -> Class {
                self.0.class()
            }
        }
        struct Charged;
        impl Classify for Charged {
            fn class(&self) -> Class {
                Class::Unknown
            }
        }
        let lost = Wrapped(sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into()));
        let before = Situation::of(Phase::Before);
        assert_eq!(before.judge(&lost).class, BUSY);
        assert_eq!(lost.class(), Class::Unknown);
        assert_eq!(before.judge(&Charged).class, Class::Unknown);
    }

    #[test]
    fn errors_of_the_client_by_phase() {
        let io = || sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into());
        assert_eq!(class_in(&io(), Phase::Before), BUSY);
        assert_eq!(class_in(&io(), Phase::Commit), Class::Unknown);
        assert_eq!(io().class(), Class::Unknown);
        let protocol = sqlx::Error::Protocol("eof".into());
        assert_eq!(class_in(&protocol, Phase::Before), BUSY);
        assert_eq!(class_in(&protocol, Phase::Commit), Class::Unknown);
        for phase in [Phase::Before, Phase::Commit] {
            assert_eq!(class_in(&sqlx::Error::PoolTimedOut, phase), BUSY);
            assert_eq!(class_in(&sqlx::Error::PoolClosed, phase), Class::Permanent);
            assert_eq!(class_in(&sqlx::Error::RowNotFound, phase), Class::Permanent);
        }
    }
}
