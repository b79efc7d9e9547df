//! Statements of migrations, in a transaction of their own.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgPool};

use super::error::MigrateError;
use crate::{
    RetryPolicy,
    postgres::{Isolation, TransactOptions, transact_with},
};

/// A statement that does not get its lock is tried again, for some minutes.
pub(super) const POLICY: RetryPolicy = RetryPolicy::new()
    .with_label("migrate")
    .with_max_attempts(240)
    .with_max_delay(Duration::from_secs(1))
    .with_deadline(None)
    // Each statement can be repeated.
    .with_unknown_retried(true);

/// A statement waits for its lock for half a second at most, as writers of the table wait behind it.
const OPTIONS: TransactOptions = TransactOptions::new()
    .with_isolation(Isolation::ReadCommitted)
    .with_lock_timeout(Duration::from_millis(500));

/// The limit of the role is meant for requests. A check of a large table takes longer.
const NO_LIMIT: &str = "SET LOCAL statement_timeout = 0";

/// Runs statements in one transaction.
pub(super) async fn in_transaction(pool: &PgPool, statements: &[&str]) -> Result<(), MigrateError> {
    let done = transact_with(pool, &POLICY, &OPTIONS, async |tx| {
        for statement in [&[NO_LIMIT], statements].concat() {
            sqlx::query(AssertSqlSafe(statement.to_owned()))
                .execute(&mut **tx)
                .await?;
        }
        Ok::<_, MigrateError>(())
    });
    done.await.map_err(|gave_up| gave_up.error)
}
