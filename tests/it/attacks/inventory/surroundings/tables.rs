//! 16: the tables change. 17: there are other tables of the same names.

use optilock::sqlx::{self, AssertSqlSafe, Executor};

use super::{Cell, Harness, Variant, hostile, matrix::Harness as _, written_tables::TABLES};
use crate::support::{db::pool_options, triggers::run};

/// Columns, types and indexes change under connections that have prepared their statements.
pub async fn schema(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    const CHANGES: [&str; 3] = [
        "ALTER TABLE optilock.products ADD COLUMN extra int; ALTER TABLE optilock.orders ADD COLUMN extra int;
         ALTER TABLE optilock.order_lines ADD COLUMN extra int; ALTER TABLE optilock.holds ADD COLUMN extra int;
         ALTER TABLE optilock.movements ADD COLUMN extra int; ALTER TABLE optilock.returns ADD COLUMN extra int;
         ALTER TABLE optilock.reservations ADD COLUMN extra int",
        "ALTER TABLE optilock.products ALTER COLUMN name TYPE varchar(600);
         ALTER TABLE optilock.orders ALTER COLUMN reason TYPE varchar(600);
         ALTER TABLE optilock.movements ALTER COLUMN reason TYPE varchar(600);
         CREATE INDEX extra ON optilock.orders (customer)",
        "DROP INDEX optilock.extra; ALTER TABLE optilock.products DROP COLUMN extra, ALTER COLUMN name TYPE text;
         ALTER TABLE optilock.orders DROP COLUMN extra, ALTER COLUMN reason TYPE text;
         ALTER TABLE optilock.order_lines DROP COLUMN extra; ALTER TABLE optilock.holds DROP COLUMN extra;
         ALTER TABLE optilock.movements DROP COLUMN extra, ALTER COLUMN reason TYPE text;
         ALTER TABLE optilock.returns DROP COLUMN extra; ALTER TABLE optilock.reservations DROP COLUMN extra",
    ];
    let own = harness.with_settings(1, &[]).await;
    own.expect_done(variant, cell).await;
    for change in CHANGES {
        sqlx::raw_sql(change).execute(&own.db.pool).await.unwrap();
        own.expect_done(variant, &format!("{cell}, {change}")).await;
    }
    own.check_after(cell).await;
    Cell::Passed
}

/// Other tables of the same names are first in the search path, and temporary ones before them.
pub async fn same_names(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let each = |sql: &str| {
        let tables = TABLES.iter().chain(&["unfinished_sales"]);
        let statements: Vec<String> = tables.map(|table| sql.replace("{}", table)).collect();
        statements.join(";")
    };
    let like = "CREATE TABLE IF NOT EXISTS decoys.{} (LIKE optilock.{} INCLUDING ALL)";
    let decoys = format!("CREATE SCHEMA IF NOT EXISTS decoys; {}", each(like));
    run(&harness.db.pool, decoys).await;
    let temporary = each("CREATE TEMPORARY TABLE {} (LIKE optilock.{} INCLUDING ALL)");
    let options = harness
        .db
        .database
        .options()
        .options([("search_path", "pg_temp,decoys,public")]);
    let pool = pool_options(1)
        .after_connect(move |conn, _| {
            let temporary = temporary.clone();
            Box::pin(async move { conn.execute(AssertSqlSafe(temporary)).await.map(drop) })
        })
        .connect_with(options)
        .await
        .unwrap();
    let own = harness.through(pool);
    let hidden: bool = sqlx::query_scalar(
        "SELECT 'products'::regclass <> 'optilock.products'::regclass AND pg_my_temp_schema() <> 0",
    )
    .fetch_one(&own.pool)
    .await
    .unwrap();
    assert!(hidden, "{cell}: no table of the same name is first");
    own.expect_done(variant, cell).await;
    let schemas = ["pg_temp", "decoys"];
    let counts = schemas
        .map(|schema| each(&format!("(SELECT count(*) FROM {schema}.{{}})")).replace(';', "+"));
    let written = format!("SELECT {}", counts.join("+"));
    let written: i64 = sqlx::query_scalar(AssertSqlSafe(written))
        .fetch_one(&own.pool)
        .await
        .unwrap();
    assert_eq!(written, 0, "{cell}: rows in tables of the same names");
    Cell::Passed
}

/// Functions and operators of the same names fit the arguments of the crate's statements better than those of the
/// server.
pub async fn hostile_functions(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    hostile::plant(&harness.db).await;
    let own = harness.with_settings(2, &[("search_path", "public")]).await;
    hostile::assert_planted(&own.pool).await;
    own.expect_done(variant, cell).await;
    Cell::Passed
}
