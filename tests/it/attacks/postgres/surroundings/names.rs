//! 17: other tables, functions and operators have the same names.

use optilock::sqlx::{self, Executor};

use super::{Cell, Harness, Operation, hostile};
use crate::support::{db::pool_options, triggers::run};

/// Other tables of the same name are first in the search path, and a temporary one before them.
pub async fn same_names(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    const TEMPORARY: &str = "CREATE TEMPORARY TABLE accounts (LIKE bank.accounts INCLUDING ALL)";
    let decoys = "CREATE SCHEMA IF NOT EXISTS decoys;
        CREATE TABLE IF NOT EXISTS decoys.accounts (LIKE bank.accounts INCLUDING ALL)";
    run(&harness.db.pool, decoys).await;
    let options = harness.db.database.options();
    let pool = pool_options(1)
        .after_connect(|conn, _| Box::pin(async move { conn.execute(TEMPORARY).await.map(drop) }))
        .connect_with(options.options([("search_path", "pg_temp,decoys,public")]))
        .await
        .unwrap();
    let own = harness.through(pool);
    own.expect_done(operation, cell).await;
    let written =
        "SELECT (SELECT count(*) FROM pg_temp.accounts) + (SELECT count(*) FROM decoys.accounts)";
    let written: i64 = sqlx::query_scalar(written)
        .fetch_one(&own.pool)
        .await
        .unwrap();
    assert_eq!(written, 0, "{cell}: rows in a table of the same name");
    Cell::Passed
}

/// Functions and operators of the same names fit the arguments of the crate's statements better than those of the
/// server.
pub async fn hostile_functions(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    if operation.name == "transact" {
        return Cell::CannotApply("the statement in it is the host's own");
    }
    hostile::plant(&harness.db).await;
    let own = harness.with_settings(2, &[("search_path", "public")]).await;
    hostile::assert_planted(&own.pool).await;
    let answer = own.run(operation, cell).await;
    if operation.name.starts_with("verify") {
        let by_sqlx = answer.text().contains("array_agg(record) is not unique");
        assert!(by_sqlx, "{cell}: {answer:?}");
        return Cell::CannotApply("sqlx describes a statement by an unqualified query of its own");
    }
    assert!(answer.is_done(), "{cell}: {answer:?}");
    Cell::Passed
}
