//! One attempt of a transaction on a pooled connection, safe to drop at any await.

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, Transaction, pool::PoolConnection,
};

use super::{Failed, Phase, class_in};
use crate::{Attempt, Class, Classify, retry::Operation};

/// How the library's own locking attempts begin. Under a default of REPEATABLE READ or above even
/// `FOR UPDATE` fails on a row that somebody else changed; at READ COMMITTED it waits and reads it.
pub(crate) const READ_COMMITTED: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// The connection of one attempt: closed when dropped, and so rolled back by the server, unless the
/// transaction ended in an orderly way.
///
/// Returning it instead would poison the pool: a future dropped while `BEGIN` is on its way leaves
/// a transaction open that sqlx knows nothing of (sqlx issue 4393), and the next borrower's writes
/// would be acknowledged and never committed.
struct Guard {
    conn: PoolConnection<Postgres>,
    ended: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.ended {
            self.conn.close_on_drop();
        }
    }
}

/// Runs `op` between `BEGIN` and `COMMIT`, and says of every error what it means in its phase.
pub(crate) async fn attempt<T, E, F>(
    pool: &PgPool,
    begin: &str,
    attempt: Attempt,
    op: &mut F,
) -> Result<T, Failed<E>>
where
    E: From<sqlx::Error> + Classify,
    F: for<'c> Operation<&'c mut PgConnection, Result<T, E>>,
{
    let conn = pool
        .acquire()
        .await
        .map_err(|error| failed(error, Phase::Before))?;
    let mut guard = Guard { conn, ended: false };
    #[cfg(feature = "metrics")]
    let start = std::time::Instant::now();
    let result = async {
        // Ours: built from constants and numbers, never from a caller's text.
        let begin = AssertSqlSafe(begin.to_owned());
        let mut tx = guard
            .conn
            .begin_with(begin)
            .await
            .map_err(|error| failed(error, Phase::Before))?;
        match op(&mut tx, attempt).await {
            Ok(value) => match commit(tx).await {
                Ok(()) => {
                    guard.ended = true;
                    Ok(value)
                }
                Err(error) => {
                    let failed: Failed<E> = failed(error, Phase::Commit);
                    // The server said so itself: the connection is as good as before.
                    guard.ended = failed.class != Class::Unknown;
                    Err(failed)
                }
            },
            Err(error) => {
                let failed = Failed::before_commit(error);
                let rolled_back = tx.rollback().await.is_ok();
                // Busy may mean that the server became a replica: such a connection must not stay.
                let writable = !matches!(failed.class, Class::Busy { .. })
                    || takes_writes(&mut guard.conn).await;
                guard.ended = rolled_back && writable;
                Err(failed)
            }
        }
    }
    .await;
    #[cfg(feature = "metrics")]
    crate::metrics::transaction(
        match &result {
            Ok(_) => "committed",
            Err(failed) if failed.class == Class::Unknown => "unknown",
            Err(_) => "rolled-back",
        },
        start.elapsed(),
    );
    result
}

/// Commits, and tells a commit from the rollback that PostgreSQL makes of it, without an error,
/// when a statement had failed and its error was swallowed: in such a transaction already the first
/// of these statements fails, with `25P02`. It changes nothing, as what is deferred is checked by
/// `COMMIT` anyhow, and answers with no row: `SELECT 1` cost a tenth of a small transaction.
///
/// The new, empty transaction is for sqlx's count of open ones: dropping `tx` queues a `ROLLBACK`
/// that travels with the pool's next message, and that one ends it without the warning which a
/// `ROLLBACK` outside a transaction leaves in the server's log.
async fn commit(mut tx: Transaction<'_, Postgres>) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("SET CONSTRAINTS ALL DEFERRED; COMMIT AND CHAIN")
        .execute(&mut *tx)
        .await
        .map(drop)
}

async fn takes_writes(conn: &mut PgConnection) -> bool {
    let read_only = sqlx::query_scalar("SHOW transaction_read_only")
        .fetch_one(conn)
        .await;
    read_only.is_ok_and(|answer: String| answer == "off")
}

fn failed<E: From<sqlx::Error>>(error: sqlx::Error, phase: Phase) -> Failed<E> {
    let class = class_in(&error, phase);
    Failed::new(error.into(), class)
}
