//! Operations of an inventory, and how each is run.

mod requests;
mod table;

use std::pin::Pin;

use optilock::{
    inventory::{Error, PgInventory, Strategy},
    sqlx::{PgConnection, PgPool},
};

use super::fixture::{self, Fixture, Setup};
use crate::support::strategies::STRATEGIES;
pub use requests::{reservation, reserve};
pub use table::OPERATIONS;

/// What an operation without an error reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Completion {
    Done,
    /// A clean-up found nothing to do.
    NothingToDo,
}

type Work<'a> = Pin<Box<dyn Future<Output = Result<Completion, Error>> + Send + 'a>>;
/// The pool is the inventory's.
pub type Run = for<'a> fn(&'a PgInventory, &'a PgPool, &'a Fixture) -> Work<'a>;
pub type RunIn = for<'a> fn(&'a PgInventory, &'a mut PgConnection, &'a Fixture) -> Work<'a>;

/// What a request does if it is sent again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OnRepeat {
    /// It gets the first answer and changes nothing.
    Replayed,
    /// It is refused with this code and changes nothing.
    Refused(&'static str),
}

pub struct Operation {
    /// The method of the trait, or of `PgInventory`.
    pub method: &'static str,
    /// What is special about this row; empty for the plain one.
    pub scenario: &'static str,
    pub by_strategy: bool,
    pub setup: Setup,
    /// The description of the stored rows after the operation is done; `None` if it stores nothing.
    pub after: Option<&'static str>,
    pub on_repeat: OnRepeat,
    pub run: Run,
    pub run_in: Option<RunIn>,
}

impl Operation {
    pub fn is_cleanup(&self) -> bool {
        self.method.starts_with("cleanup_")
    }

    /// Returns whether it changes the rows of other operations' fixtures, too.
    pub fn changes_other_rows(&self) -> bool {
        self.is_cleanup() || self.method == "acknowledge_outbox"
    }

    pub const fn writes(&self) -> bool {
        self.after.is_some()
    }
}

/// An operation with one of the strategies.
#[derive(Clone, Copy)]
pub struct Variant {
    pub operation: &'static Operation,
    pub strategy: Strategy,
}

impl Variant {
    pub fn all() -> impl Iterator<Item = Self> {
        OPERATIONS.iter().flat_map(|operation| {
            let strategies = if operation.by_strategy { 3 } else { 1 };
            STRATEGIES[..strategies].iter().map(move |&strategy| Self {
                operation,
                strategy,
            })
        })
    }

    pub fn name(&self) -> String {
        let Operation {
            method, scenario, ..
        } = self.operation;
        let mut name = (*method).to_owned();
        if !scenario.is_empty() {
            name = format!("{name}, {scenario}");
        }
        if self.operation.by_strategy {
            name = format!("{name}, {:?}", self.strategy).to_lowercase();
        }
        name
    }
}
