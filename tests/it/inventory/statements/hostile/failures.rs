//! Operations that failed, although the inventory does not refuse them.

use std::fmt::Debug;

use optilock::{
    inventory::Error,
    postgres::{self},
};

/// The failed operations.
#[derive(Default)]
pub struct Failures(pub Vec<String>);

impl Failures {
    /// Notes the answer of an operation, unless it is a success or a refusal that the inventory intends.
    pub fn note<T: Debug>(&mut self, operation: &str, answer: Result<T, Error>) {
        if let Err(error) = answer {
            let intended = error.as_sqlx().is_none()
                && !error.is_unknown()
                && !error.is_busy()
                && !["suppressed", "invalid", "hook", "exhausted"].contains(&error.code());
            if !intended {
                let reason = error.as_sqlx().map(ToString::to_string);
                let failed = format!("{operation}: {}", reason.unwrap_or(format!("{error:?}")));
                if self.0.last() != Some(&failed) {
                    self.0.push(failed);
                }
            }
        }
    }

    /// Notes the answer of an operation on versioned rows, unless it is a success.
    pub fn note_row<T>(&mut self, operation: &str, answer: Result<T, postgres::Error>) {
        if let Err(error) = answer {
            // sqlx sends this query itself, to describe the columns of a prepared statement.
            let sent_by_sqlx = "array_agg(record) is not unique";
            if !error.to_string().contains(sent_by_sqlx) {
                self.0.push(format!("rows: {operation}: {error:?}"));
            }
        }
    }
}
