//! What a statement asserts of its own writes. Where that does not hold, the statement fails and
//! stores nothing, also where it would commit directly.
//!
//! It fails by a cast to boolean of a text that is none, which the database's error quotes. A number
//! from a row is part of the text: a constant would be cast when the statement is planned.

use sqlx::postgres::PgDatabaseError;

/// An assertion that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// A row counts as written, and its version did not grow.
    Suppressed,
    /// One id names several rows.
    Several,
    /// Two ids that differ for the caller name one row.
    Repeated,
}

impl Broken {
    const ALL: [Self; 3] = [Self::Suppressed, Self::Several, Self::Repeated];

    const fn mark(self) -> &'static str {
        match self {
            Self::Suppressed => "optilock.suppressed ",
            Self::Several => "optilock.several ",
            Self::Repeated => "optilock.repeated ",
        }
    }

    /// A boolean of SQL's that fails. `number` is an SQL expression over a row.
    pub(super) fn fail(self, number: &str) -> String {
        format!("('{}' || {number}::text)::boolean", self.mark())
    }

    /// Which assertion failed, if one did, and with which number.
    pub(super) fn of(error: &sqlx::Error) -> Option<(Self, i64)> {
        let error = error.as_database_error()?;
        // A host's own trigger may quote the same text.
        let of_cast = error
            .try_downcast_ref::<PgDatabaseError>()
            .is_some_and(|error| error.code() == "22P02" && error.routine() == Some("boolin"));
        of_cast.then(|| Self::of_message(error.message())).flatten()
    }

    fn of_message(message: &str) -> Option<(Self, i64)> {
        Self::ALL.into_iter().find_map(|broken| {
            let (_, rest) = message.split_once(broken.mark())?;
            let digits = rest.split(|it: char| !it.is_ascii_digit()).next()?;
            Some((broken, digits.parse().ok()?))
        })
    }
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
            ("\"optilock.suppressed \"", None),
            ("division by zero", None),
        ] {
            assert_eq!(Broken::of_message(message), broken, "{message}");
        }
    }
}
