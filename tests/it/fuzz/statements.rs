//! Names with SQL in them, of a schema, a table and its columns, and values with SQL in them: every statement of a
//! repository writes and reads that table.

mod tables;

use proptest::{collection::vec, prop_assert, prop_assert_eq, test_runner::TestCaseError};

use super::{CASES, texts::hostile};
use crate::support::db::Db;

/// The cases of each table.
const SOME: u32 = CASES / 20_000;
const ALL: u32 = CASES / 500;

/// Quotes a name.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn every_name(cases: u32) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let db = runtime.block_on(Db::new());
    tables::run_all(&runtime, &db.pool, cases);
}

#[test]
fn some() {
    every_name(SOME);
}

#[test]
#[ignore = "takes minutes"]
fn all() {
    every_name(ALL);
}

/// What each table's test needs: the texts of three rows.
fn texts() -> impl proptest::strategy::Strategy<Value = Vec<String>> {
    vec(hostile(), 3)
}

fn is_kept(found: &str, text: &str) -> Result<(), TestCaseError> {
    prop_assert_eq!(found, text);
    prop_assert!(!found.is_empty());
    Ok(())
}
