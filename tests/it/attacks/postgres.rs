//! Attacks on the operations of rows and transactions.

mod broken;
mod harness;
mod operations;
mod surroundings;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use optilock::RetryPolicy;

use super::Cell;
use crate::support::db::assert_idle;
use harness::Harness;
use operations::OPERATIONS;
use surroundings::SURROUNDINGS;

/// Gives up early, so that a cell ends soon.
const POLICY: RetryPolicy = RetryPolicy::new()
    .with_max_attempts(4)
    .with_base_delay(Duration::from_millis(1));

/// The longest time that an operation may take in any surrounding: the retry's deadline and a round trip, on two
/// cores.
const LIMIT: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_in_every_surrounding() {
    let harness = Harness::new().await;
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let names = SURROUNDINGS.iter().map(|surrounding| surrounding.name);
    table.set_header(std::iter::once("operation").chain(names));
    let (mut passed, mut reasons) = (0, BTreeMap::<_, u32>::new());
    for operation in OPERATIONS {
        let mut row = vec![operation.name];
        for surrounding in SURROUNDINGS {
            let cell = format!("{} in {}", operation.name, surrounding.name);
            row.push(
                match (surrounding.attack)(&harness, operation, &cell).await {
                    Cell::Passed => {
                        passed += 1;
                        "passed"
                    }
                    Cell::CannotApply(reason) => {
                        *reasons.entry(reason).or_default() += 1;
                        "-"
                    }
                },
            );
            assert_idle(&harness.db.pool).await;
        }
        table.add_row(row);
    }
    println!("{table}\n{passed} cells passed");
    for (reason, cells) in reasons {
        println!("{cells} cells cannot apply: {reason}");
    }
}

/// Returns the Rust sources below a folder of the crate.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => sources(&path),
                false => vec![path],
            }
        })
        .collect()
}

/// An operation without a row in the table fails here.
#[test]
fn every_operation_is_in_the_table() {
    /// They open a pool and meet no row.
    const NOT_AN_OPERATION: [&str; 2] = ["connect", "connect_with"];
    let floor = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/postgres");
    let mut declared = 0;
    let mut missing = Vec::new();
    for path in sources(&floor) {
        let source = std::fs::read_to_string(path).unwrap();
        for after in source.split("pub async fn ").skip(1) {
            let name = after
                .split(['(', '<'])
                .next()
                .unwrap_or_default()
                .to_owned();
            declared += 1;
            if OPERATIONS.iter().all(|operation| operation.name != name)
                && !NOT_AN_OPERATION.contains(&name.as_str())
            {
                missing.push(name);
            }
        }
    }
    assert_eq!(missing, [""; 0]);
    assert!(
        declared >= OPERATIONS.len(),
        "{declared} operations found in the sources"
    );
}
