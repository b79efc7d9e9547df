//! The loop over all operations in a group of surroundings.

use std::{
    pin::{Pin, pin},
    time::{Duration, Instant},
};

use super::{
    known_failures::{KNOWN_FAILURES, OCCASIONAL_FAILURES},
    report::{self, Entry, Mark},
};
use crate::support::polling::CatchPanic;

/// The limit of an operation that is known not to end.
const KNOWN_LIMIT: Duration = Duration::from_secs(1);

/// The result of a cell.
#[derive(Debug)]
pub enum Cell {
    Passed,
    /// With the reason.
    CannotApply(&'static str),
}

/// An operation in one of its forms: a row of the matrix.
pub trait Variant: Sync {
    fn name(&self) -> String;

    /// Returns why this cell runs the same code as another one, if it does.
    fn same_code(&self, _kind: u32) -> Option<&'static str> {
        None
    }
}

/// What operations run on, and the checks after each cell.
pub trait Harness: Sized + 'static {
    /// The name of the matrix.
    const FLOOR: &'static str;
    /// The longest time that an operation may take in any surrounding.
    const LIMIT: Duration;

    type Variant: Variant;

    fn variants() -> Vec<Self::Variant>;

    async fn new() -> Self;

    fn set_limit(&mut self, limit: Duration);

    /// Asserts after a cell that nothing is left and that the rows balance.
    async fn check_after(&self, cell: &str);

    /// Removes what a failed cell may have left.
    async fn reset(&self);
}

pub type Attack<H> = for<'a> fn(
    &'a H,
    &'a <H as Harness>::Variant,
    &'a str,
) -> Pin<Box<dyn Future<Output = Cell> + 'a>>;

/// A column of the matrix.
pub struct Surrounding<H: Harness> {
    pub name: &'static str,
    pub attack: Attack<H>,
}

impl<H: Harness> Surrounding<H> {
    /// Returns the number of its kind.
    pub fn kind(&self) -> u32 {
        let number = self.name.split(' ').next().and_then(|it| it.parse().ok());
        number.expect("the name begins with a number")
    }
}

/// Surroundings that one test runs.
pub struct Group<H: Harness> {
    pub name: &'static str,
    /// Whether it takes minutes and is run only if it is asked for.
    pub ignored: bool,
    pub surroundings: &'static [Surrounding<H>],
}

/// Declares the groups of surroundings, `GROUPS`, and a test for each. `Harness` and the modules with the attacks must
/// be in scope.
macro_rules! surroundings {
    (@ignored) => { false };
    (@ignored $reason:literal) => { true };
    ($($(#[ignore = $reason:literal])? $group:ident {
        $($name:literal: $module:ident::$attack:ident $(($with:expr))?,)*
    })*) => {
        pub const GROUPS: &[&$crate::attacks::Group<Harness>] = &[$(&$group::GROUP),*];
        $(mod $group {
            #[allow(clippy::wildcard_imports, unused_imports, reason = "one part of one table")]
            use super::*;

            pub const GROUP: $crate::attacks::Group<Harness> = $crate::attacks::Group {
                name: stringify!($group),
                ignored: $crate::attacks::surroundings!(@ignored $($reason)?),
                surroundings: &[$($crate::attacks::Surrounding {
                    name: $name,
                    attack: |harness, variant, cell| {
                        Box::pin($module::$attack(harness, variant, cell $(, $with)?))
                    },
                },)*],
            };

            #[tokio::test(flavor = "multi_thread")]
            $(#[ignore = $reason])?
            async fn every_operation() {
                $crate::attacks::matrix::run(&GROUP).await;
            }
        })*
    };
}
pub(in crate::attacks) use surroundings;

/// Runs a cell and the checks after it. A panic is the text of the error.
pub async fn run_cell<H: Harness>(
    harness: &H,
    variant: &H::Variant,
    surrounding: &Surrounding<H>,
    cell: &str,
) -> Result<Cell, String> {
    let attack = async {
        let result = (surrounding.attack)(harness, variant, cell).await;
        harness.check_after(cell).await;
        result
    };
    CatchPanic(pin!(attack)).await
}

/// Returns the mark of a cell's result; adds to `failed` what fails the test.
pub fn mark(
    name: (&str, &'static str),
    result: Result<Cell, String>,
    failed: &mut Vec<String>,
) -> Mark {
    let known = KNOWN_FAILURES.contains(&name);
    match result {
        Ok(_) if known => {
            failed.push(format!(
                "{name:?} passes now, remove it from KNOWN_FAILURES"
            ));
            Mark::Failed
        }
        Ok(Cell::Passed) => Mark::Passed,
        Ok(Cell::CannotApply(reason)) => Mark::CannotApply(reason),
        Err(text) if known || OCCASIONAL_FAILURES.contains(&name) => {
            println!("known: {text}");
            Mark::Known
        }
        Err(text) => {
            failed.push(format!("FAILED {name:?},\n  {text}"));
            Mark::Failed
        }
    }
}

/// Runs every operation in these surroundings, records the results for the report, and fails if a cell fails.
pub async fn run<H: Harness>(group: &Group<H>) {
    report::begin();
    let mut harness = H::new().await;
    let mut failed = Vec::new();
    for surrounding in group.surroundings {
        for variant in H::variants() {
            let operation = variant.name();
            let name = (operation.as_str(), surrounding.name);
            let start = Instant::now();
            let mark = if let Some(reason) = variant.same_code(surrounding.kind()) {
                Mark::SameCode(reason)
            } else if !report::is_chosen(&operation, surrounding.name) {
                Mark::LeftOut
            } else {
                let cell = format!("{} in {}", name.0, name.1);
                let known = KNOWN_FAILURES.contains(&name);
                harness.set_limit(if known { KNOWN_LIMIT } else { H::LIMIT });
                let result = run_cell(&harness, &variant, surrounding, &cell).await;
                if result.is_err() && CatchPanic(pin!(harness.reset())).await.is_err() {
                    harness = H::new().await;
                }
                mark(name, result, &mut failed)
            };
            report::record(Entry {
                floor: H::FLOOR,
                surrounding: surrounding.name,
                mark,
                took: start.elapsed(),
                operation,
            });
        }
    }
    report::finish(H::FLOOR, group.name);
    assert!(
        failed.is_empty(),
        "{} cells fail:\n{}",
        failed.len(),
        failed.join("\n")
    );
}
