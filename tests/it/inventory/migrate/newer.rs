//! Tables that a newer version of the crate has migrated, while this one still runs or is rolled back to.

use optilock::{inventory::MigrateError, migrate};

use super::{assert_usable, run};
use crate::support::db::Db;

const NEWER: &str = "INSERT INTO optilock._sqlx_migrations (version, description, success, checksum, execution_time)
    VALUES (99, 'from the future', true, '', 0)";

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_that_keeps_the_promise_is_no_error() {
    let db = Db::new().await;
    run(&db.pool, NEWER).await;
    migrate(&db.pool).await.unwrap();
    assert_usable(&db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_on_which_this_version_can_not_work_are_refused() {
    let db = Db::new().await;
    run(&db.pool, NEWER).await;
    let raise = |to: i64| format!("UPDATE optilock.migration_state SET readable_since = {to}");
    run(&db.pool, raise(98)).await;
    let refused = migrate(&db.pool).await.unwrap_err();
    assert!(
        matches!(
            refused,
            MigrateError::Ahead {
                found: 99,
                needed: 98,
                ..
            }
        ),
        "{refused:?}"
    );
    let text = refused.to_string();
    for part in [
        "schema optilock",
        "migration 99",
        "knows migration 98",
        "update optilock",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

/// Nothing is known of the promise, as the row or its table is missing.
#[tokio::test(flavor = "multi_thread")]
async fn newer_tables_without_a_state_are_refused() {
    let db = Db::new().await;
    run(&db.pool, NEWER).await;
    for remove in [
        "DELETE FROM optilock.migration_state",
        "DROP TABLE optilock.migration_state",
    ] {
        run(&db.pool, remove).await;
        let refused = migrate(&db.pool).await.unwrap_err();
        assert!(
            matches!(
                refused,
                MigrateError::Ahead {
                    found: 99,
                    needed: 99,
                    ..
                }
            ),
            "{refused:?}"
        );
    }
}
