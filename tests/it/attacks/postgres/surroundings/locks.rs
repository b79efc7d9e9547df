//! 1: the role's default isolation level. 5: another session locks the row. 6: the role's timeouts.

use std::{pin::pin, time::Duration};

use optilock::{
    Class,
    postgres::{Error, transact},
    sqlx::{self, AssertSqlSafe, Postgres, Transaction},
};
use tokio::time::timeout;

use super::{Answer, Cell, Effect, Harness, Operation, harness::insert};
use crate::support::db::sessions_waiting;

const NO_WAIT: Cell = Cell::CannotApply("it does not wait for what the other session locks");

const LOCK: &str = "SELECT FROM bank.accounts WHERE id = $1 FOR UPDATE";
const CHANGE: &str = "UPDATE bank.accounts SET owner = owner WHERE id = $1";
/// An insert waits for another insert of the same key.
const INSERT: &str = "INSERT INTO bank.accounts (id, owner, cents) VALUES ($1, 'bob', 100)";

/// Begins a transaction of another session that runs this statement.
async fn hold(harness: &Harness, id: i64, statement: &str) -> Transaction<'static, Postgres> {
    let mut tx = harness.db.pool.begin().await.unwrap();
    let statement = sqlx::query(AssertSqlSafe(statement.to_owned()));
    statement.bind(id).execute(&mut *tx).await.unwrap();
    tx
}

/// Asserts that operations on other rows keep their usual latency.
async fn assert_other_rows_work(harness: &Harness, operation: &Operation, cell: &str) {
    /// Far above a round trip on two cores that many tests share, and far below what a lock holder takes.
    const USUAL: Duration = Duration::from_secs(1);
    let other = harness.through(harness.db.pool.clone());
    let id = other.prepare(operation).await;
    let answer = timeout(USUAL, (operation.run)(&other, id)).await;
    let done = answer.is_ok_and(|answer| answer.is_done());
    assert!(done, "{cell}: an operation on another row waits too");
}

/// Runs the operation behind the lock. Once it waits, runs `meanwhile`, and then lets the other session end. Returns
/// whether it waited.
async fn run_behind(
    harness: &Harness,
    operation: &Operation,
    (id, holder): (i64, Transaction<'static, Postgres>),
    cell: &str,
    meanwhile: impl Future<Output = ()>,
) -> (bool, Answer) {
    let mut work = pin!(harness.attempt(operation, id, cell));
    let seen = async { while sessions_waiting(&harness.db.pool).await == 0 {} };
    let not_blocked = tokio::select! {
        biased;
        answer = &mut work => Some(answer),
        () = seen => None,
    };
    if let Some(answer) = not_blocked {
        holder.rollback().await.unwrap();
        return (false, answer);
    }
    let gave_up = tokio::select! {
        answer = &mut work => Some(answer),
        () = meanwhile => None,
    };
    match (operation.effect, gave_up.is_some()) {
        // The other session's row would stay in the way.
        (Effect::Inserted, _) | (_, true) => holder.rollback().await.unwrap(),
        _ => holder.commit().await.unwrap(),
    }
    let answer = match gave_up {
        Some(answer) => answer,
        None => work.await,
    };
    (true, answer)
}

fn statement_for(operation: &Operation, otherwise: &'static str) -> &'static str {
    if operation.effect == Effect::Inserted {
        INSERT
    } else {
        otherwise
    }
}

/// Another session changes the row, not its version, while the operation waits for it.
pub async fn default_of(
    harness: &Harness,
    operation: &&Operation,
    cell: &str,
    level: &str,
) -> Cell {
    let settings = [("default_transaction_isolation", level)];
    let own = harness.with_settings(2, &settings).await;
    own.expect_done(operation, cell).await;
    let id = own.prepare(operation).await;
    let holder = hold(harness, id, statement_for(operation, CHANGE)).await;
    let (waited, answer) = run_behind(&own, operation, (id, holder), cell, async {}).await;
    own.judge(operation, id, Some(&answer), cell).await;
    let fits = answer.is_done() || operation.run_in.is_none() && answer.is_refused(Class::Conflict);
    assert!(fits, "{cell}: {answer:?}");
    if waited {
        Cell::Passed
    } else {
        Cell::CannotApply("it waits for no row that another session changes")
    }
}

pub async fn of_row(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let id = harness.prepare(operation).await;
    let holder = hold(harness, id, statement_for(operation, LOCK)).await;
    let meanwhile = assert_other_rows_work(harness, operation, cell);
    let (waited, answer) = run_behind(harness, operation, (id, holder), cell, meanwhile).await;
    harness.judge(operation, id, Some(&answer), cell).await;
    assert!(answer.is_done(), "{cell}: {answer:?}");
    if waited { Cell::Passed } else { NO_WAIT }
}

/// The row is locked for longer than the role's timeout.
pub async fn with_timeout(
    harness: &Harness,
    operation: &&Operation,
    cell: &str,
    (setting, limit): (&str, &str),
) -> Cell {
    let own = harness.with_settings(2, &[(setting, limit)]).await;
    let id = own.prepare(operation).await;
    let holder = hold(harness, id, statement_for(operation, LOCK)).await;
    let never = std::future::pending();
    let (waited, answer) = run_behind(&own, operation, (id, holder), cell, never).await;
    own.judge(operation, id, Some(&answer), cell).await;
    if !waited {
        assert!(answer.is_done(), "{cell}: {answer:?}");
        return NO_WAIT;
    }
    let diagnosed = if setting == "lock_timeout" {
        answer.is_busy()
    } else {
        answer.is_refused(Class::Permanent) && answer.text().contains("timeout")
    };
    assert!(diagnosed, "{cell}: {answer:?}");
    own.expect_done(operation, cell).await;
    Cell::Passed
}

/// The host's own code takes longer between two statements than the session may be idle.
pub async fn idle(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let Some(run_in) = operation.run_in else {
        return Cell::CannotApply("no code of the host runs between its statements");
    };
    let limit = [("idle_in_transaction_session_timeout", "40ms")];
    let own = harness.with_settings(2, &limit).await;
    let id = own.prepare(operation).await;
    let policy = own.policy.clone().with_max_attempts(2);
    let done = transact(&own.pool, &policy, async |tx| {
        run_in(&own.accounts, tx, id).await?;
        tokio::time::sleep(Duration::from_millis(150)).await;
        Ok::<_, Error>(())
    });
    let answer = Answer::of_retry(done.await);
    own.judge(operation, id, Some(&answer), cell).await;
    // The server ended the transaction before its COMMIT, which the client knows or not.
    let fits = answer.is_busy() || matches!(answer, Answer::Unknown);
    assert!(fits, "{cell}: {answer:?}");
    assert_eq!(own.stored(id).await, operation.effect.rows().0, "{cell}");
    insert(&own.pool, -id).await;
    own.expect_done(operation, cell).await;
    Cell::Passed
}
