//! The unique index of the page: built beside other instances, and built again after a failure.

use optilock::sqlx::{self, Connection, PgConnection};
use tokio::task::{JoinSet, LocalSet};

use super::{migrate, page, page::Folder, table};
use crate::support::db::{Db, assert_idle};

fn folder() -> Folder {
    let folder = Folder::new();
    for (name, sql) in &page::files()[..6] {
        folder.write(name, sql);
    }
    folder
}

/// Returns whether the index exists, and whether it is valid.
async fn index(db: &Db) -> Option<bool> {
    const VALID: &str =
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('shop.accounts_id')";
    sqlx::query_scalar(VALID)
        .fetch_optional(&db.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_start_at_once_migrate_once() {
    LocalSet::new().run_until(start_at_once()).await;
}

async fn start_at_once() {
    let db = table(50_000).await;
    let (folder, mut instances) = (folder(), JoinSet::new());
    for _ in 0..4 {
        let (options, migrator) = (db.database.options(), folder.migrator().await);
        instances.spawn_local(async move { migrate(&options, &migrator).await });
    }
    for migrated in instances.join_all().await {
        migrated.unwrap();
    }
    assert_eq!(index(&db).await, Some(true));
    assert_idle(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_failed_is_built_again() {
    let db = table(3).await;
    let (options, folder) = (db.database.options(), folder());
    let migrator = folder.migrator().await;
    let twice = "INSERT INTO shop.accounts VALUES (1, 'twice', 0)";
    sqlx::query(twice).execute(&db.pool).await.unwrap();
    let failed = migrate(&options, &migrator).await.unwrap_err();
    assert_eq!(failed.attempts, 1, "{failed}");
    assert_eq!(index(&db).await, Some(false));

    let fix = "DELETE FROM shop.accounts WHERE owner = 'twice'";
    sqlx::query(fix).execute(&db.pool).await.unwrap();
    // A migrator that does not drop the index is stopped by the file that checks it.
    let mut conn = PgConnection::connect_with(&options).await.unwrap();
    let unchecked = migrator.run(&mut conn).await.unwrap_err();
    assert!(
        format!("{unchecked}").contains("is not valid"),
        "{unchecked}"
    );
    conn.close().await.unwrap();
    assert_eq!(index(&db).await, Some(false));

    let again = "DELETE FROM _sqlx_migrations WHERE version = 104";
    let mut conn = PgConnection::connect_with(&options).await.unwrap();
    sqlx::query(again).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    migrate(&options, &migrator).await.unwrap();
    assert_eq!(index(&db).await, Some(true));
    assert_idle(&db.pool).await;
}

/// Why the file has no statement that limits its wait.
#[tokio::test]
async fn a_second_statement_makes_a_transaction_of_the_file() {
    let db = table(3).await;
    let ((name, sql), folder) = (page::files()[3], Folder::new());
    folder.write(
        name,
        &sql.replace("\nCREATE", "\nSET lock_timeout = '1s';\nCREATE"),
    );
    let (options, migrator) = (db.database.options(), folder.migrator().await);
    let refused = migrate(&options, &migrator).await.unwrap_err();
    let migration = refused.error.to_string();
    assert!(
        migration.contains("cannot run inside a transaction block"),
        "{migration}"
    );
    assert_eq!(index(&db).await, None);
}
