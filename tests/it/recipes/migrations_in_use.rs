//! Migrations that run again after a lock timeout. `postgres::row::existing_table` runs more of them.

use optilock::sqlx::{
    self, Connection, PgConnection, SqlStr,
    migrate::{Migration, MigrationType, Migrator},
};

use tokio::task::{LocalSet, spawn_local};

use crate::support::db::{Db, assert_idle, eventually};

#[path = "../../../src/guide/recipes/migrations_in_use.rs"]
pub mod recipe;

fn migrator(sql: &'static str) -> Migrator {
    let sql = SqlStr::from_static(sql);
    let migration = Migration::new(1, "goods".into(), MigrationType::Simple, sql, false);
    Migrator::with_migrations(vec![migration])
}

#[tokio::test]
async fn a_mistake_is_not_tried_again_and_leaves_no_lock() {
    let db = Db::empty().await;
    let options = db.database.options();
    let mistake = migrator("CREATE TABLE public.goods (id bigint, id text)");
    let failed = recipe::migrate(&options, &mistake, &[]).await.unwrap_err();
    assert_eq!(failed.attempts, 1, "{failed}");

    let fixed = migrator("CREATE TABLE public.goods (id bigint)");
    let mut conn = PgConnection::connect_with(&options).await.unwrap();
    fixed.run(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    recipe::migrate(&options, &fixed, &[]).await.unwrap();
    assert_idle(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_timeout_is_tried_again() {
    LocalSet::new().run_until(time_out()).await;
}

async fn time_out() {
    let db = Db::empty().await;
    let table = "CREATE TABLE public.goods (id bigint)";
    sqlx::query(table).execute(&db.pool).await.unwrap();
    let mut reader = db.pool.begin().await.unwrap();
    let read = "SELECT FROM public.goods";
    sqlx::query(read).execute(&mut *reader).await.unwrap();

    let options = db.database.options().application_name("migration");
    let change = migrator(
        "SET LOCAL lock_timeout = '100ms';
         ALTER TABLE public.goods ADD COLUMN version bigint NOT NULL DEFAULT 1",
    );
    let migration = spawn_local(async move { recipe::migrate(&options, &change, &[]).await });
    // A second session means a second attempt: each has a connection of its own.
    let mut first = None;
    eventually("the migration runs again", async || {
        const PID: &str = "SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'migration'";
        let pid: Option<i32> = sqlx::query_scalar(PID)
            .fetch_optional(&db.pool)
            .await
            .unwrap();
        first = first.or(pid);
        pid.is_some() && pid != first
    })
    .await;
    reader.commit().await.unwrap();
    migration.await.unwrap().unwrap();
    assert_idle(&db.pool).await;
}
