//! The SQL of other engines. PostgreSQL itself runs it, so that a dialect changes no answer; a linter of Aurora DSQL
//! checks its grammar.

use std::{
    env,
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use optilock::{
    inventory::{BatchOptions, BatchedInventory, Dialect, PgInventory, statements_in},
    testing::fulfils_contract as fulfil,
};

use crate::support::{
    SHUTDOWN,
    db::{Db, assert_balanced},
    strategies::STRATEGIES,
};

/// Creates the tables in the dialect, and runs the contract by each strategy and in batches.
async fn fulfils(dialect: Dialect, tables_of: Dialect) {
    for strategy in STRATEGIES {
        let db = Db::empty().await;
        let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
        shop.clone()
            .with_dialect(tables_of)
            .migrate()
            .await
            .unwrap();
        fulfil(&shop.with_dialect(dialect)).await;
        assert_balanced(&db.pool).await;
    }
    let db = Db::empty().await;
    let shop = PgInventory::new(db.pool.clone()).with_dialect(dialect);
    shop.clone()
        .with_dialect(tables_of)
        .migrate()
        .await
        .unwrap();
    let batched = BatchedInventory::new(shop.with_outbox(), BatchOptions::new().always());
    fulfil(&batched).await;
    batched.shutdown(SHUTDOWN).await.unwrap();
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn that_of_cockroachdb_gives_the_same_answers() {
    fulfils(Dialect::CockroachDb, Dialect::CockroachDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn that_of_yugabytedb_gives_the_same_answers() {
    fulfils(Dialect::YugabyteDb, Dialect::YugabyteDb).await;
}

/// PostgreSQL has no asynchronous index.
#[tokio::test(flavor = "multi_thread")]
async fn that_of_aurora_dsql_gives_the_same_answers() {
    fulfils(Dialect::AuroraDsql, Dialect::PostgreSql).await;
}

/// Runs the linter, and returns whether it is content, and what it says.
fn lint(sql: &str) -> (bool, String) {
    let linter = env::var("OPTILOCK_DSQL_LINT").unwrap_or_else(|_| "dsql-lint".into());
    let mut child = Command::new(&linter)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect(
            "this test needs dsql-lint: pip install dsql-lint, or set OPTILOCK_DSQL_LINT to it",
        );
    child
        .stdin
        .take()
        .unwrap()
        .write_all(sql.as_bytes())
        .unwrap();
    let said = child.wait_with_output().unwrap();
    let text = [said.stdout, said.stderr].concat();
    (said.status.success(), String::from_utf8(text).unwrap())
}

#[test]
#[ignore = "needs dsql-lint"]
fn a_linter_accepts_that_of_aurora_dsql() {
    let (accepted, _) = lint("CREATE UNLOGGED TABLE t (a int PRIMARY KEY);");
    assert!(!accepted, "it refuses what the engine refuses");
    let mut all = String::new();
    for (_, text) in statements_in(Dialect::AuroraDsql) {
        // It reads statements, and knows no parameters.
        let mut text = text.trim().trim_end_matches(';').to_owned();
        for number in (1..100).rev() {
            text = text.replace(&format!("${number}"), "NULL");
        }
        writeln!(all, "{text};").unwrap();
    }
    let (accepted, said) = lint(&all);
    assert!(accepted, "{said}");
}
