//! The assertions of a statement about its own writes. If one does not hold, the statement fails and stores
//! nothing, also if it commits directly.
//!
//! It fails by a cast of a text to boolean, which the database's error quotes. A number from a row is part of
//! the text: a constant would be cast when the statement is planned.

use sqlx::postgres::PgDatabaseError;

/// An assertion that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// A row counts as written, and its version has not grown.
    Suppressed,
    /// One id names several rows.
    Several,
    /// Two ids that the caller distinguishes name one row.
    Repeated,
    /// A row has not been written, by a statement that writes all of them or none.
    Missed,
    /// A row that was inserted has another id.
    Renamed,
    /// A row is at the last version.
    Exhausted,
}

impl Broken {
    const ALL: [Self; 6] = [
        Self::Suppressed,
        Self::Several,
        Self::Repeated,
        Self::Missed,
        Self::Renamed,
        Self::Exhausted,
    ];

    const fn mark(self) -> &'static str {
        match self {
            Self::Suppressed => "optilock.suppressed ",
            Self::Several => "optilock.several ",
            Self::Repeated => "optilock.repeated ",
            Self::Missed => "optilock.missed ",
            Self::Renamed => "optilock.renamed ",
            Self::Exhausted => "optilock.exhausted ",
        }
    }

    /// Returns a boolean of SQL that fails. `number` is an SQL expression over a row.
    pub(super) fn fail(self, number: &str) -> String {
        format!("('{}' || {number}::text)::boolean", self.mark())
    }

    /// Returns which assertion failed, if one did, and its number.
    pub(super) fn of(error: &sqlx::Error) -> Option<(Self, i64)> {
        of_cast(error).and_then(Self::of_message)
    }

    fn of_message(message: &str) -> Option<(Self, i64)> {
        Self::ALL.into_iter().find_map(|broken| {
            let (_, rest) = message.split_once(broken.mark())?;
            let digits = rest.split(|it: char| !it.is_ascii_digit()).next()?;
            Some((broken, digits.parse().ok()?))
        })
    }
}

/// Returns the message of a cast to boolean that failed.
fn of_cast(error: &sqlx::Error) -> Option<&str> {
    let error = error.as_database_error()?;
    // A trigger of the host may quote the same text.
    let is_cast = error
        .try_downcast_ref::<PgDatabaseError>()
        .is_some_and(|error| error.code() == "22P02" && error.routine() == Some("boolin"));
    is_cast.then(|| error.message())
}

/// Returns the inventory's table, without its schema, that the failed assertion of a statement names.
#[cfg(feature = "inventory")]
pub(crate) fn suppressed_table(error: &sqlx::Error) -> Option<&str> {
    of_cast(error).and_then(table_of_message)
}

#[cfg(feature = "inventory")]
fn table_of_message(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("optilock.suppressed.")?;
    rest.split_once(' ').map(|(table, _)| table)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text around the quoted one is translated.
    #[test]
    fn the_quoted_text_is_found_in_any_language() {
        for (message, broken) in [
            (
                "invalid input syntax for type boolean: \"optilock.suppressed 7\"",
                Some((Broken::Suppressed, 7)),
            ),
            (
                "la sintaxis de entrada no es válida para tipo boolean: «optilock.several 12»",
                Some((Broken::Several, 12)),
            ),
            (
                "\"optilock.repeated 10000\"",
                Some((Broken::Repeated, 10_000)),
            ),
            ("\"optilock.missed 0\"", Some((Broken::Missed, 0))),
            ("\"optilock.renamed 0\"", Some((Broken::Renamed, 0))),
            ("\"optilock.exhausted 3\"", Some((Broken::Exhausted, 3))),
            ("\"optilock.suppressed \"", None),
            ("division by zero", None),
        ] {
            assert_eq!(Broken::of_message(message), broken, "{message}");
        }
    }

    #[cfg(feature = "inventory")]
    #[test]
    fn the_suppressed_table_is_found_in_any_language() {
        for (message, table) in [
            (
                "invalid input syntax for type boolean: \"optilock.suppressed.order_lines 3\"",
                Some("order_lines"),
            ),
            ("«optilock.suppressed.movements 0»", Some("movements")),
            ("\"optilock.suppressed 7\"", None),
        ] {
            assert_eq!(table_of_message(message), table, "{message}");
        }
    }
}
