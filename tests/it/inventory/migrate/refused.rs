//! Migrations that can't be made: they end soon, say why, and change nothing.

use std::time::{Duration, Instant};

use optilock::{
    Class, Classify,
    inventory::MigrateError,
    migrate, migrate_schema,
    sqlx::{self, PgPool},
};
use tokio::time::timeout;

use super::{OLDER, run};
use crate::support::db::{Db, pool_options};

/// Every relation of a schema, with its options and columns.
async fn relations(pool: &PgPool, schema: &str) -> Vec<String> {
    let relations = "SELECT concat_ws(' ', c.relname, c.reloptions, (
            SELECT string_agg(a.attname, ',' ORDER BY a.attnum) FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum > 0))
        FROM pg_class c WHERE c.relnamespace = $1::regnamespace ORDER BY 1";
    let relations = sqlx::query_scalar(relations).bind(schema).fetch_all(pool);
    relations.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_the_host_are_not_taken_over() {
    for (of_host, named) in [
        (
            "CREATE TABLE public.products (sku text PRIMARY KEY, title text)",
            "products",
        ),
        ("CREATE VIEW public.orders AS SELECT 1 AS id", "orders"),
        (
            "CREATE TABLE public.shelves (id int); CREATE INDEX orders_of_customer ON public.shelves (id)",
            "orders_of_customer",
        ),
        (
            "CREATE TABLE public._sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL,
                 installed_on timestamptz NOT NULL DEFAULT now(), success boolean NOT NULL,
                 checksum bytea NOT NULL, execution_time bigint NOT NULL)",
            "_sqlx_migrations",
        ),
        (
            "CREATE TABLE public._sqlx_migrations AS SELECT 20260101000000 AS version, 'shelves' AS description,
                 now() AS installed_on, true AS success, '\\x00'::bytea AS checksum, 1::bigint AS execution_time",
            "_sqlx_migrations",
        ),
    ] {
        let db = Db::empty().await;
        run(&db.pool, of_host).await;
        let before = relations(&db.pool, "public").await;
        let refused = migrate_schema(&db.pool, "public").await.unwrap_err();
        assert!(
            matches!(&refused, MigrateError::Foreign { schema, relation } if schema == "public" && relation == named),
            "{refused:?}"
        );
        assert!(
            refused.to_string().contains("a schema of its own"),
            "{refused}"
        );
        assert_eq!(relations(&db.pool, "public").await, before);
    }
}

/// A relation of the host's that came later has the name of an index.
#[tokio::test(flavor = "multi_thread")]
async fn a_relation_that_is_not_the_index_is_named() {
    let db = Db::new().await;
    run(&db.pool, OLDER).await;
    run(
        &db.pool,
        "CREATE TABLE optilock.orders_of_customer (id int)",
    )
    .await;
    let refused = migrate(&db.pool).await.unwrap_err();
    assert!(
        matches!(&refused, MigrateError::Foreign { relation, .. } if relation == "orders_of_customer"),
        "{refused:?}"
    );
}

/// So is an index of that name on another table.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_another_table_is_not_the_index() {
    let db = Db::new().await;
    run(&db.pool, OLDER).await;
    let other = "CREATE TABLE optilock.shelves (id int); CREATE INDEX orders_of_customer ON optilock.shelves (id)";
    run(&db.pool, other).await;
    let refused = migrate(&db.pool).await.unwrap_err();
    assert!(
        matches!(&refused, MigrateError::Foreign { relation, .. } if relation == "orders_of_customer"),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_a_trigger_suppresses_is_named() {
    for table in ["migration_state", "_sqlx_migrations"] {
        let db = Db::new().await;
        run(&db.pool, OLDER).await;
        run(
            &db.pool,
            format!(
                "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
                 CREATE TRIGGER swallow BEFORE INSERT OR UPDATE ON optilock.{table}
                     FOR EACH ROW EXECUTE FUNCTION public.swallow()"
            ),
        )
        .await;
        let ended = timeout(Duration::from_secs(30), migrate(&db.pool)).await;
        let refused = ended.expect("it ends").unwrap_err();
        assert!(
            matches!(&refused, MigrateError::Suppressed { table: named, .. } if *named == table),
            "{refused:?}"
        );
    }
}

/// The time of the lease is far away, as the server's clock was set back, or is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_whose_time_can_not_be_is_free() {
    for time in ["'infinity'", "NULL"] {
        let db = Db::new().await;
        run(&db.pool, OLDER).await;
        let held = format!(
            "UPDATE optilock.migration_state SET holder = gen_random_uuid(), held_until = {time}"
        );
        run(&db.pool, held).await;
        let ended = timeout(Duration::from_secs(20), migrate(&db.pool)).await;
        ended.expect("it does not wait").unwrap();
    }
}

/// A server that can't be reached, and one that accepts no writes.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_can_not_start_learns_it_soon() {
    let db = Db::new().await;
    run(&db.pool, OLDER).await;
    let options = db.database.options();
    let begun = Instant::now();
    let nowhere = pool_options(1)
        .acquire_timeout(Duration::from_millis(300))
        .connect_lazy_with(options.clone().socket("/nonexistent"));
    let refused = migrate(&nowhere).await.unwrap_err();
    assert!(matches!(refused, MigrateError::Database(_)), "{refused:?}");
    let read_only = options.options([("default_transaction_read_only", "on")]);
    let reader = pool_options(1).connect_with(read_only).await.unwrap();
    let refused = migrate(&reader).await.unwrap_err();
    assert!(refused.to_string().contains("read-only"), "{refused}");
    assert_eq!(refused.class(), Class::Permanent);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}
