//! Pools of all kinds, and changes of the schema under their connections.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use optilock::{Class, sqlx};
use tokio::{task::JoinSet, time::timeout};

use super::{Answer, Cell, Harness, LIMIT, Operation};
use crate::attacks::pools::{terminate_idle_backend, with_hooks};

pub async fn of_one(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let harness = harness.with_pool_of(1).await;
    for _ in 0..3 {
        harness.expect_done(operation, cell).await;
    }
    Cell::Passed
}

/// Callers share a pool of 4.
pub async fn crowd(harness: &Harness, operation: &&Operation, cell: &str, count: usize) -> Cell {
    let mut harness = harness.clone();
    // At SERIALIZABLE, a transaction of a crowd loses often.
    harness.policy = harness.policy.with_max_attempts(100);
    let harness = Arc::new(harness);
    let mut callers = JoinSet::new();
    let run = operation.run;
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(harness.prepare(operation).await);
    }
    for id in ids.clone() {
        let harness = Arc::clone(&harness);
        callers.spawn(async move { timeout(LIMIT, run(&harness, id)).await });
    }
    for answer in callers.join_all().await {
        let answer = answer.unwrap_or_else(|_| panic!("{cell}: it does not end"));
        assert!(answer.is_done(), "{cell}: {answer:?}");
    }
    for id in ids {
        harness
            .judge(operation, id, Some(&Answer::Done), cell)
            .await;
    }
    Cell::Passed
}

pub async fn closed(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let harness = harness.with_pool_of(2).await;
    harness.run(operation, cell).await;
    timeout(LIMIT, harness.pool.close())
        .await
        .unwrap_or_else(|_| panic!("{cell}: close() hangs"));
    let answer = harness.run(operation, cell).await;
    assert!(answer.is_refused(Class::Permanent), "{cell}: {answer:?}");
    Cell::Passed
}

/// A pool has hooks of the host, and a backend ends while its connection is idle.
pub async fn hooks(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let (pool, hook_calls) = with_hooks(harness.db.database.options()).await;
    let harness = harness.through(pool);
    harness.run(operation, cell).await;
    terminate_idle_backend(&harness.pool, &harness.db.pool).await;
    harness.expect_done(operation, cell).await;
    assert!(
        hook_calls.load(SeqCst) > 1,
        "{cell}: the hook was not called"
    );
    Cell::Passed
}

/// Columns, types and indexes change under connections that have prepared their statements.
pub async fn schema(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    const CHANGES: [&str; 4] = [
        "ALTER TABLE bank.accounts ALTER COLUMN owner TYPE varchar(99)",
        "ALTER TABLE bank.accounts ADD COLUMN extra int",
        "CREATE INDEX extra ON bank.accounts (owner); DROP INDEX bank.extra",
        "ALTER TABLE bank.accounts ALTER COLUMN owner TYPE text, DROP COLUMN extra",
    ];
    let harness = harness.with_pool_of(1).await;
    for change in CHANGES {
        harness.run(operation, cell).await;
        sqlx::raw_sql(change)
            .execute(&harness.db.pool)
            .await
            .unwrap();
        harness
            .expect_done(operation, &format!("{cell}, {change}"))
            .await;
    }
    Cell::Passed
}
