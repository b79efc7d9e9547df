//! PostgreSQL's error codes, one question each.

#[cfg(feature = "inventory")]
use sqlx::postgres::PgSeverity;
use sqlx::{error::DatabaseError, postgres::PgDatabaseError};

/// Returns the text for an error that is not retried.
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
            "this role lacks a privilege: the message of the database names the object to grant it on"
        }
        "42P05" | "26000" => {
            "a connection pooler mixes the prepared statements of its clients: use its session mode, or pgbouncer 1.21 \
             or newer with max_prepared_statements above zero"
        }
        _ if is_refused_parameter(error) => {
            "a connection pooler refuses a parameter of the connection: name it in ignore_startup_parameters of \
             pgbouncer's configuration"
        }
        _ => "the database failed",
    }
}

/// Returns whether a pooler refused the connection for a parameter that it does not know, such as sqlx's
/// `extra_float_digits`. pgbouncer gives most of its errors the code 08P01, and does not translate them.
pub(super) fn is_refused_parameter(error: &(dyn DatabaseError + 'static)) -> bool {
    error.code().as_deref() == Some("08P01")
        && error.message().starts_with("unsupported startup parameter")
}

/// Returns whether the statement was prepared before its tables were changed. The message is translated, the
/// name of the server's function is not. The server refuses such a statement before it runs.
pub(crate) fn is_stale_plan(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(of_server)
        .is_some_and(|error| {
            error.code() == "0A000" && error.routine() == Some("RevalidateCachedQuery")
        })
}

/// Returns the error as PostgreSQL's.
pub(super) fn of_server<'e>(
    error: &'e (dyn DatabaseError + 'static),
) -> Option<&'e PgDatabaseError> {
    error.try_downcast_ref()
}

fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|found| found == code)
}

/// Returns whether a unique key is taken.
pub(crate) fn is_unique_violation(error: &sqlx::Error) -> bool {
    has_code(error, "23505")
}

/// Returns whether another session has created the same schema, table or index meanwhile.
pub(crate) fn is_created_elsewhere(error: &sqlx::Error) -> bool {
    let of_catalog = || {
        let error = error.as_database_error().and_then(of_server);
        error.is_some_and(|error| error.schema() == Some("pg_catalog"))
    };
    ["42P06", "42P07", "42710"]
        .iter()
        .any(|code| has_code(error, code))
        || is_unique_violation(error) && of_catalog()
}

/// Returns whether the key of an inventory's ledger is taken: a product is at a version that it had before. The schema
/// may have any name. Asked only of errors of the crate's own statements.
#[cfg(feature = "inventory")]
pub(crate) fn is_ledger_key(error: &sqlx::Error) -> bool {
    is_unique_violation(error)
        && error
            .as_database_error()
            .and_then(of_server)
            .is_some_and(|error| {
                error.constraint() == Some("movements_pkey") && error.table() == Some("movements")
            })
}

/// Returns whether a number is out of the range of its type.
pub(crate) fn is_out_of_range(error: &sqlx::Error) -> bool {
    has_code(error, "22003")
}

/// Returns whether an earlier statement of the transaction had failed.
#[cfg(feature = "inventory")]
pub(crate) fn is_aborted(error: &sqlx::Error) -> bool {
    has_code(error, "25P02")
}

/// Returns whether the wait for a lock exceeded its limit.
#[cfg(feature = "inventory")]
pub(crate) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    has_code(error, "55P03")
}

/// Returns whether the database refuses a row, which may be one of several: because of its data, a
/// constraint, a row-level policy, or an exception of a host's trigger.
#[cfg(feature = "inventory")]
pub(crate) fn is_refused_row(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else {
        return false;
    };
    let code = error.code().unwrap_or_default().into_owned();
    let by_policy =
        || of_server(error).is_some_and(|error| error.routine() == Some("ExecWithCheckOptions"));
    is_code_of_row(&code) || (code == "42501" && by_policy())
}

/// Returns whether the error has the severity ERROR: the server refused a statement and kept the connection.
#[cfg(feature = "inventory")]
pub(crate) fn is_of_statement(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(of_server)
        .is_some_and(|error| matches!(error.severity(), PgSeverity::Error))
}

/// Returns whether the code is that of a data or integrity error, a check option of a view, an exception of
/// PL/pgSQL, or a code that only hosts define, whose class begins with `I` to `Z` or 6 to 9.
#[cfg(feature = "inventory")]
fn is_code_of_row(code: &str) -> bool {
    match code.get(..2) {
        Some("22" | "23" | "44" | "P0") => true,
        Some("XX") | None => false,
        Some(class) => class.starts_with(|first| matches!(first, 'I'..='Z' | '6'..='9')),
    }
}

/// Returns whether the statement was cancelled, by an administrator or by a timeout.
#[cfg(feature = "inventory")]
pub(crate) fn is_cancelled(error: &sqlx::Error) -> bool {
    has_code(error, "57014")
}

/// Returns whether the role lacks a privilege.
pub(crate) fn is_forbidden(error: &sqlx::Error) -> bool {
    has_code(error, "42501")
}

/// Returns whether the server accepts no writes: after a failover the connection is one to a replica.
pub(crate) fn is_read_only(error: &sqlx::Error) -> bool {
    has_code(error, "25006")
}

#[cfg(test)]
mod tests;
