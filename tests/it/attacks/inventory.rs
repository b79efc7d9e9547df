//! Attacks on the operations of an inventory, with every strategy.

mod answer;
pub mod balances;
mod broken;
mod fixture;
mod harness;
mod known_failures;
mod lock_holder;
mod matrix;
mod operations;
mod surroundings;

use std::{collections::BTreeSet, pin::Pin, time::Duration};

use optilock::RetryPolicy;

use super::Cell;
use answer::Answer;
use fixture::Fixture;
use harness::{Harness, Prepared};
use known_failures::{KNOWN_FAILURES, OCCASIONAL_FAILURES};
use operations::{OPERATIONS, Variant};

/// Gives up early, so that a cell ends soon.
const POLICY: RetryPolicy = RetryPolicy::new()
    .with_max_attempts(5)
    .with_base_delay(Duration::from_millis(1))
    .with_deadline(Some(Duration::from_secs(2)));

/// The longest time that an operation may take in any surrounding: the deadline and a round trip, on two cores.
const LIMIT: Duration = Duration::from_secs(8);

type Attack =
    for<'a> fn(&'a Harness, &'a Variant, &'a str) -> Pin<Box<dyn Future<Output = Cell> + 'a>>;

pub struct Surrounding {
    pub name: &'static str,
    pub attack: Attack,
}

/// A method of the trait without a row in the table fails here.
#[test]
fn every_method_is_in_the_table() {
    const TRAIT: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../src/inventory/api.rs"
    ));
    let declared: Vec<&str> = TRAIT
        .split("    async fn ")
        .skip(1)
        .filter_map(|rest| rest.split('(').next())
        .collect();
    assert!(!declared.is_empty(), "the trait declares no methods there");
    let missing: Vec<&str> = declared
        .into_iter()
        .filter(|name| OPERATIONS.iter().all(|operation| operation.method != *name))
        .collect();
    assert_eq!(missing, [""; 0]);
}

/// A known failure that names no cell of the tables, or is listed twice, fails here.
#[test]
fn every_known_failure_is_a_cell() {
    let variants: Vec<String> = Variant::all().map(|variant| variant.name()).collect();
    let surroundings: Vec<&str> = surroundings::ALL
        .iter()
        .flat_map(|group| group.iter().map(|surrounding| surrounding.name))
        .collect();
    let mut seen = BTreeSet::new();
    for known @ (operation, surrounding) in KNOWN_FAILURES.iter().chain(OCCASIONAL_FAILURES) {
        let is_cell =
            variants.iter().any(|name| name == operation) && surroundings.contains(surrounding);
        assert!(is_cell && seen.insert(known), "{known:?}");
    }
    println!(
        "{} operations in {} surroundings",
        variants.len(),
        surroundings.len()
    );
}
