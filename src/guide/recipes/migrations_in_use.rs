use std::{error::Error, time::Duration};

use optilock::{
    RetryError, RetryPolicy,
    sqlx::{
        self, AssertSqlSafe, Connection, Executor, PgConnection,
        migrate::{Migrate, Migrator},
        postgres::PgConnectOptions,
    },
    with_retry,
};

pub type BoxError = Box<dyn Error + Send + Sync>;

/// For ten minutes: a deployment waits for the longest transaction that uses the table.
const POLICY: RetryPolicy = RetryPolicy::new()
    .with_max_attempts(u32::MAX)
    .with_base_delay(Duration::from_millis(200))
    .with_max_delay(Duration::from_secs(5))
    .with_deadline(Some(Duration::from_secs(600)));

/// Runs the migrations that are missing, each of them again after a lock timeout.
///
/// Call it before the server starts: its future is not `Send`, as that of `Migrator::run` is not.
///
/// `concurrent` are the indexes that migrations build by `CREATE INDEX CONCURRENTLY IF NOT EXISTS`.
pub async fn migrate(
    options: &PgConnectOptions,
    migrator: &Migrator,
    concurrent: &[&str],
) -> Result<(), RetryError<BoxError>> {
    // While another instance migrates, the wait for the migrator's lock ends soon and starts again: a
    // statement that waits is one that CREATE INDEX CONCURRENTLY of the other instance waits for.
    let options = options.clone().options([("lock_timeout", "500ms")]);
    with_retry(&POLICY, async |_| {
        let mut conn = PgConnection::connect_with(&options).await?;
        let result = attempt(&mut conn, migrator, concurrent).await;
        // After a failure the session still holds the migrator's lock.
        let closed = conn.close().await;
        result.and(closed.map_err(BoxError::from))
    })
    .await
}

async fn attempt(
    conn: &mut PgConnection,
    migrator: &Migrator,
    concurrent: &[&str],
) -> Result<(), BoxError> {
    conn.lock().await?;
    // From here on the migrations limit their own waits; CONCURRENTLY may wait, as nobody waits for it.
    conn.execute("SET lock_timeout = 0").await?;
    for index in concurrent {
        let invalid: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_index
             WHERE indexrelid = pg_catalog.to_regclass($1) AND NOT indisvalid)",
        )
        .bind(index)
        .fetch_one(&mut *conn)
        .await?;
        if invalid {
            let drop = AssertSqlSafe(format!("DROP INDEX CONCURRENTLY {index}"));
            conn.execute(drop).await?;
        }
    }
    Ok(migrator.run(conn).await?)
}
