//! A trigger of other code on a table of the inventory.

use optilock::sqlx::{self, AssertSqlSafe, PgPool};

/// The body of a trigger that drops the row.
pub const SWALLOW: &str = "RETURN NULL;";

/// The body of a trigger that writes the row with its old values.
pub const KEEP: &str = "RETURN OLD;";

/// Runs SQL of several statements.
pub async fn run(pool: &PgPool, sql: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .execute(pool)
        .await
        .unwrap();
}

/// Creates a trigger that runs `body` before each write of a row, or only where `when` holds.
pub async fn add_trigger(pool: &PgPool, table: &str, event: &str, body: &str, when: &str) {
    let sql = format!(
        "CREATE FUNCTION public.tamper() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
         CREATE TRIGGER tamper BEFORE {event} ON optilock.{table} FOR EACH ROW {when}
             EXECUTE FUNCTION public.tamper()"
    );
    run(pool, sql).await;
}

/// Removes the trigger of [`add_trigger`].
pub async fn drop_trigger(pool: &PgPool) {
    run(pool, "DROP FUNCTION public.tamper CASCADE").await;
}
