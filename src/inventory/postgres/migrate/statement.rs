//! Transactions of migrations.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use super::error::MigrateError;
use crate::{
    RetryPolicy,
    postgres::{Isolation, TransactOptions, transact_with},
};

/// A question, or a write of one row. A server that can't be reached is reported soon.
pub(super) const QUESTION: RetryPolicy = RetryPolicy::new()
    .with_label("migrate")
    .with_deadline(Some(Duration::from_secs(10)))
    .with_unknown_retried(true);

/// A step that does not get its lock is tried again, for five minutes.
pub(super) const STEP: RetryPolicy = QUESTION
    .with_max_attempts(u32::MAX)
    .with_max_delay(Duration::from_secs(1))
    .with_deadline(Some(Duration::from_secs(300)));

/// A statement waits for its lock for half a second at most, as writers of the table wait behind it. A process that
/// stands still loses its session, and with it the locks.
pub(super) const OPTIONS: TransactOptions = TransactOptions::new()
    .with_isolation(Isolation::ReadCommitted)
    .with_lock_timeout(Duration::from_millis(500))
    .with_idle_timeout(Duration::from_secs(10));

/// The limits of the role are meant for requests. A check of a large table takes longer.
const NO_LIMITS: &str = "SELECT pg_catalog.set_config(name, '0', true) FROM pg_catalog.pg_settings
    WHERE name IN ('statement_timeout', 'transaction_timeout') AND setting <> '0'";

/// Lifts the limits of the role until the transaction ends.
pub(super) async fn lift_limits(conn: &mut PgConnection) -> Result<(), MigrateError> {
    sqlx::query(NO_LIMITS).execute(conn).await?;
    Ok(())
}

/// Runs one statement, which can be repeated, in a transaction of its own.
pub(super) async fn run(pool: &PgPool, statement: &str) -> Result<(), MigrateError> {
    let done = transact_with(pool, &STEP, &OPTIONS, async |tx| {
        lift_limits(tx).await?;
        let statement = AssertSqlSafe(statement.to_owned());
        sqlx::query(statement).execute(&mut **tx).await?;
        Ok::<_, MigrateError>(())
    });
    done.await.map_err(|gave_up| gave_up.error)
}
