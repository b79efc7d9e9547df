//! 3: a row-level policy hides what is written.

use super::{
    Cell, Harness, Variant,
    triggers::assert_suppressed,
    written_tables::{NOT_WRITTEN, writes},
};
use crate::support::{
    db::{pool_options, with_role},
    triggers::run,
};

pub async fn hiding(
    harness: &Harness,
    variant: &Variant,
    cell: &str,
    (table, event): (&str, &str),
) -> Cell {
    if !writes(variant, table, event).await {
        return NOT_WRITTEN;
    }
    let pool = &harness.db.pool;
    let prepared = harness.prepare(variant).await;
    let (allowed, codes): (_, &[&str]) = match event {
        // The server itself refuses such a row and names the policy.
        "INSERT" => (
            "FOR UPDATE USING (true) WITH CHECK (true)",
            &["suppressed", "database"],
        ),
        _ => ("FOR INSERT WITH CHECK (true)", &["suppressed"]),
    };
    with_role(pool, async |role| {
        // In a transaction of its own: an autovacuum that holds a table and waits for its catalog row, which GRANT has
        // changed, would be in a deadlock with ALTER TABLE.
        let grants = format!(
            "GRANT USAGE ON SCHEMA optilock TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA optilock TO {role}"
        );
        run(pool, grants).await;
        let arm = format!(
            "ALTER TABLE optilock.{table} ENABLE ROW LEVEL SECURITY;
             CREATE POLICY reading ON optilock.{table} FOR SELECT USING (true);
             CREATE POLICY writing ON optilock.{table} {allowed};"
        );
        run(pool, arm).await;
        let options = harness.db.database.options();
        let options = options.username(role).password("secret");
        let own = harness.through(pool_options(2).connect_with(options).await.unwrap());
        let answer = own.attempt(variant, &prepared.fixture, cell).await;
        own.judge(variant, &prepared, Some(&answer), cell).await;
        assert_suppressed(variant, &answer, codes, cell);
        own.pool.close().await;
        let disarm = format!(
            "DROP POLICY reading ON optilock.{table}; DROP POLICY writing ON optilock.{table};
             ALTER TABLE optilock.{table} DISABLE ROW LEVEL SECURITY;"
        );
        run(pool, disarm).await;
    })
    .await;
    Cell::Passed
}
