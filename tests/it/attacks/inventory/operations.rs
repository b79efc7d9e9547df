//! Operations of an inventory, and how each is run.

mod requests;
mod table;

use std::pin::Pin;

use optilock::{
    inventory::{Error, PgInventory, Strategy},
    sqlx::PgConnection,
};

use super::{
    LIMIT, Layer, Shop,
    fixture::{self, Fixture, Setup},
    matrix,
};
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
pub type Run = for<'a> fn(&'a Shop, &'a Fixture) -> Work<'a>;
pub type RunIn = for<'a> fn(&'a PgInventory, &'a mut PgConnection, &'a Fixture) -> Work<'a>;

/// What a request does if it is sent again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OnRepeat {
    /// It gets the first answer and changes nothing.
    Replayed,
    /// It is refused with this code and changes nothing.
    Refused(&'static str),
}

/// What is special about a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Special {
    /// Each strategy has statements of its own.
    ByStrategy,
    /// No method of the trait, so no layer forwards it.
    OfPostgres,
    WithOutbox,
    /// The host has a hook.
    WithHook,
}

pub struct Operation {
    /// The method of the trait, or of another value.
    pub method: &'static str,
    /// What is special about this row; empty for the plain one.
    pub scenario: &'static str,
    pub special: &'static [Special],
    pub setup: Setup,
    /// The description of the stored rows after the operation is done; `None` if it stores nothing.
    pub after: Option<&'static str>,
    pub on_repeat: OnRepeat,
    pub run: Run,
    pub run_in: Option<RunIn>,
}

impl Operation {
    pub fn is(&self, special: Special) -> bool {
        self.special.contains(&special)
    }

    pub fn is_cleanup(&self) -> bool {
        self.method.starts_with("cleanup_") || self.is_several()
    }

    /// Returns whether it is several operations, of which some may be done when another fails.
    pub fn is_several(&self) -> bool {
        self.method == "run_once"
    }

    /// Returns whether it changes the rows of other operations' fixtures, too.
    pub fn changes_other_rows(&self) -> bool {
        self.is_cleanup() || matches!(self.method, "acknowledge_outbox" | "archive")
    }

    pub const fn writes(&self) -> bool {
        self.after.is_some()
    }
}

/// An operation with one of the strategies, or through one of the layers.
#[derive(Clone, Copy)]
pub struct Variant {
    pub operation: &'static Operation,
    pub strategy: Strategy,
    pub layer: Layer,
}

impl Variant {
    pub fn all() -> impl Iterator<Item = Self> {
        OPERATIONS.iter().flat_map(|operation| {
            let strategies = if operation.is(Special::ByStrategy) {
                3
            } else {
                1
            };
            let by_strategy = STRATEGIES[..strategies].iter();
            let direct = by_strategy.map(|&strategy| (strategy, Layer::None));
            // A strategy is for single requests; batches have statements of their own, and a cache has none.
            let layers = Layer::ALL[1..].iter().map(|&layer| (STRATEGIES[0], layer));
            let layers = layers.take(if operation.is(Special::OfPostgres) {
                0
            } else {
                3
            });
            direct.chain(layers).map(|(strategy, layer)| Self {
                operation,
                strategy,
                layer,
            })
        })
    }

    /// Returns the variants that send statements of their own.
    pub fn with_statements() -> impl Iterator<Item = Self> {
        Self::all().filter(|it| !it.layer.is_cached() && it.layer.changes(it.operation.method))
    }
}

impl matrix::Variant for Variant {
    fn name(&self) -> String {
        let Operation {
            method, scenario, ..
        } = self.operation;
        let mut name = format!("{}{method}", self.layer.prefix());
        if !scenario.is_empty() {
            name = format!("{name}, {scenario}");
        }
        if self.operation.is(Special::ByStrategy) && self.layer == Layer::None {
            name = format!("{name}, {:?}", self.strategy).to_lowercase();
        }
        name
    }

    fn same_code(&self, kind: u32) -> Option<&'static str> {
        self.layer.same_code(self.operation.method, kind)
    }
}
