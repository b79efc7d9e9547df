//! Every public operation of the crate is in one of the tables, or is an exception with a reason.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{inventory, postgres};

const TEST_DOUBLE: &str = "a double for tests of a host, without a server; tested by its contract";
const OPENS: &str =
    "opens a pool; servers that refuse one are 12, and postgres::pool tests the rest";
const OF_HOST: &str =
    "is implemented by the host; its calls are the row \"checkout, with a hook\" and its batches";

/// The file below `src`, the operation, and why it has no row.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("postgres/pool.rs", "connect", OPENS),
    ("postgres/pool.rs", "connect_with", OPENS),
    (
        "postgres/transaction/once/table.rs",
        "create_key_table",
        "runs before there are keys; postgres::transaction::once::tables attacks it",
    ),
    (
        "postgres/transaction/once/forget.rs",
        "forget_keys",
        "writes keys only, and no row; postgres::transaction::once::expiry attacks it",
    ),
    (
        "retry.rs",
        "with_retry_mut",
        "knows no database; `transact` and `modify` run its loop",
    ),
    (
        "inventory/postgres/migrate.rs",
        "migrate",
        "runs before there are rows; inventory::migrate attacks it",
    ),
    (
        "inventory/postgres/migrate.rs",
        "migrate_schema",
        "is `migrate` in another schema; inventory::schemas runs it",
    ),
    (
        "inventory/postgres.rs",
        "migrate",
        "is `migrate` in another dialect; engines::dialects runs it",
    ),
    ("inventory/postgres/hook.rs", "on_accepted", OF_HOST),
    ("inventory/postgres/hook.rs", "on_accepted_many", OF_HOST),
    (
        "inventory/janitor.rs",
        "run",
        "has no answer: calls what `run_once` calls, in a loop; inventory::cleanup tests its end",
    ),
    ("testing/contract.rs", "fulfils_contract", TEST_DOUBLE),
    ("testing/faults.rs", "call", TEST_DOUBLE),
    ("testing/rows.rs", "find", TEST_DOUBLE),
    ("testing/rows.rs", "get", TEST_DOUBLE),
    ("testing/rows.rs", "get_at", TEST_DOUBLE),
    ("testing/rows.rs", "insert", TEST_DOUBLE),
    ("testing/rows.rs", "update", TEST_DOUBLE),
    ("testing/rows.rs", "compare_and_set", TEST_DOUBLE),
    ("testing/rows.rs", "delete", TEST_DOUBLE),
    ("testing/rows.rs", "touch", TEST_DOUBLE),
    ("testing/rows.rs", "modify", TEST_DOUBLE),
    ("testing/rows/bulk.rs", "update_all", TEST_DOUBLE),
    ("testing/rows/bulk.rs", "delete_all", TEST_DOUBLE),
    ("testing/rows/bulk.rs", "insert_all", TEST_DOUBLE),
    ("testing/rows/bulk.rs", "upsert", TEST_DOUBLE),
    ("testing/rows/bulk.rs", "upsert_all", TEST_DOUBLE),
];

/// Traits whose methods are operations, by their files.
const TRAITS: [(&str, &str); 2] = [
    ("inventory/api.rs", "pub trait Inventory"),
    ("inventory/postgres/hook.rs", "pub trait OnAccepted"),
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Returns the names after each `keyword`, without those in comments.
fn names_after(source: &str, keyword: &str) -> Vec<String> {
    let lines = source.lines().map(str::trim_start);
    let declared = lines.filter_map(|line| line.strip_prefix(keyword));
    let names = declared.filter_map(|rest| rest.split(['(', '<']).next());
    names.map(str::to_owned).collect()
}

/// Returns every public async function and method of the crate, with its file.
fn operations() -> BTreeSet<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src");
    let mut found = BTreeSet::new();
    for path in files(&root) {
        let source = std::fs::read_to_string(&path).unwrap();
        let file = path
            .strip_prefix(&root)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        // The code of a recipe is text of the guide.
        let is_text = file.starts_with("guide/");
        if is_text || file.ends_with("tests.rs") || file.contains("/tests/") {
            continue;
        }
        let mut names = names_after(&source, "pub async fn ");
        for (of, declaration) in TRAITS {
            if of == file {
                let (_, body) = source.split_once(declaration).expect("the trait is there");
                let body = body.split("\n}").next().unwrap_or_default();
                names.extend(names_after(body, "async fn "));
            }
        }
        found.extend(names.into_iter().map(|name| (file.clone(), name)));
    }
    found
}

fn has_row(file: &str, name: &str) -> bool {
    if file.starts_with("inventory") {
        let (method, in_transaction) = match name.strip_suffix("_in") {
            Some(method) => (method, true),
            None => (name, false),
        };
        let mut rows = inventory::operations::OPERATIONS.iter();
        rows.any(|row| row.method == method && (!in_transaction || row.run_in.is_some()))
    } else if file.starts_with("postgres") {
        postgres::operations::OPERATIONS
            .iter()
            .any(|row| row.name == name)
    } else {
        false
    }
}

/// An operation without a row in a table or an entry in the list fails here.
#[test]
fn every_public_operation_has_a_row_or_a_reason() {
    let all = operations();
    assert!(all.len() > 100, "{all:?}");
    let missing: Vec<_> = all
        .iter()
        .filter(|(file, name)| {
            let mut exceptions = EXCEPTIONS.iter();
            !has_row(file, name) && !exceptions.any(|(of, it, _)| of == file && it == name)
        })
        .collect();
    assert!(
        missing.is_empty(),
        "without a row or a reason: {missing:#?}"
    );
}

/// An exception that names no operation, or one that has a row, fails here.
#[test]
fn every_exception_is_an_operation() {
    let all = operations();
    for (file, name, reason) in EXCEPTIONS {
        let exists = all.contains(&((*file).to_owned(), (*name).to_owned()));
        assert!(
            exists && !has_row(file, name) && !reason.is_empty(),
            "{file}: {name}"
        );
    }
}

/// A row of an operation that no longer exists fails here.
#[test]
fn every_row_is_an_operation() {
    let names: BTreeSet<String> = operations().into_iter().map(|(_, name)| name).collect();
    let rows = inventory::operations::OPERATIONS
        .iter()
        .map(|row| row.method);
    for row in rows.chain(postgres::operations::OPERATIONS.iter().map(|row| row.name)) {
        assert!(names.contains(row), "{row} is no operation");
    }
}
