//! What an sqlx error means: the one place that knows SQLSTATEs.

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::{Class, Classify};

/// Where in a transaction an error came up. The same error means different things before and at
/// the moment when a write takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing has been asked to take effect: connecting, reading, or a statement before `COMMIT`.
    Before,
    /// `COMMIT`, or a statement that commits by itself.
    Commit,
}

/// As for a statement that commits by itself: a connection lost during it is
/// [`Class::Unknown`]. [`transact`](super::transact()) knows the phase and does better.
///
/// | Error | Class |
/// |---|---|
/// | `40001` serialization failure, `40P01` deadlock | `Conflict` |
/// | `55P03`, `57014`, `57P03`, class `53`, `25006`, pool timed out | `Busy` |
/// | I/O, protocol, class `08`, `57P01`, `57P02`, `25P03`, `40003`, severity `FATAL` or `PANIC` | `Unknown` |
/// | everything else | `Permanent` |
impl Classify for sqlx::Error {
    fn class(&self) -> Class {
        class_in(self, Phase::Commit)
    }
}

/// The class of `error` in `phase`.
pub(crate) fn class_in(error: &sqlx::Error, phase: Phase) -> Class {
    let lost = match phase {
        Phase::Before => Class::Busy { retry_after: None },
        Phase::Commit => Class::Unknown,
    };
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => lost,
        sqlx::Error::PoolTimedOut => Class::Busy { retry_after: None },
        sqlx::Error::Database(error) => {
            let fatal = error
                .try_downcast_ref::<PgDatabaseError>()
                .is_some_and(|error| {
                    matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)
                });
            of_code(error.code().as_deref().unwrap_or_default(), fatal, lost)
        }
        _ => Class::Permanent,
    }
}

/// PostgreSQL's error codes, appendix A of its manual. Codes come before severity: a full server
/// (`53300`) or one that is starting (`57P03`) says so with `FATAL`, yet has done nothing.
fn of_code(code: &str, fatal: bool, lost: Class) -> Class {
    match code {
        "40001" | "40P01" => Class::Conflict,
        "55P03" | "57014" | "57P03" | "25006" => Class::Busy { retry_after: None },
        "08007" | "40003" => Class::Unknown,
        "57P01" | "57P02" | "25P03" => lost,
        _ if code.starts_with("53") => Class::Busy { retry_after: None },
        _ if code.starts_with("08") || fatal => lost,
        _ => Class::Permanent,
    }
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

/// A number left the range of its type.
pub(crate) fn is_out_of_range(error: &sqlx::Error) -> bool {
    has_code(error, "22003")
}

/// A statement divided by zero: ours do so on purpose, when what they wrote is not what they decided.
#[cfg(feature = "inventory")]
pub(crate) fn is_division_by_zero(error: &sqlx::Error) -> bool {
    has_code(error, "22012")
}

/// A lock was not to be had in the time allowed.
#[cfg(feature = "inventory")]
pub(crate) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    has_code(error, "55P03")
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

    const BUSY: Class = Class::Busy { retry_after: None };

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
            ("57014", false),
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
            "25P02", "26000", "42P05", "23505", "23514", "22003", "42P01", "XX000",
        ] {
            assert_eq!(
                (before(code, false), commit(code, false)),
                (Class::Permanent, Class::Permanent),
                "{code}"
            );
        }
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
