//! Connections that go silent or are cut, and statements that are cancelled.

use std::time::{Duration, Instant};

use optilock::{Class, sqlx};
use tokio::time::timeout;

use super::{Answer, Cell, Effect, Harness, LIMIT, Operation};
use crate::support::{db::eventually, proxy::Cut};

/// The connection goes silent and the caller gives up. New connections work, and so must the pool.
pub async fn silence(harness: &Harness, operation: &Operation, cell: &str) -> Cell {
    let (proxy, harness) = harness.proxied().await;
    // This prepares the statements, so that the silence falls into the operation itself.
    harness.run(operation, cell).await;
    eventually("the connection is back", async || {
        harness.pool.num_idle() > 0
    })
    .await;
    proxy.silence();
    let id = harness.prepare(operation).await;
    let late = timeout(Duration::from_millis(50), (operation.run)(&harness, id)).await;
    assert!(late.is_err(), "{cell}: the silence was not met");
    harness.judge(operation, id, None, cell).await;
    let start = Instant::now();
    harness
        .expect_done(operation, &format!("{cell}, afterwards"))
        .await;
    assert!(start.elapsed() < Duration::from_secs(3), "{cell}: late");
    Cell::Passed
}

/// The connection is cut before each message reaches the server, and before each answer reaches the client.
pub async fn cut(harness: &Harness, operation: &Operation, cell: &str) -> Cell {
    let (proxy, harness) = harness.proxied().await;
    let mut cuts = 0;
    for cut in [Cut::Before, Cut::Reply] {
        for message in 0.. {
            assert!(message < 100, "{cell}: never without a cut");
            harness.run(operation, cell).await; // every statement is prepared on some connection
            proxy.trap_after(message, cut.clone());
            harness
                .run(operation, &format!("{cell}, {cut:?} at message {message}"))
                .await;
            if proxy.disarm() {
                break; // the operation has fewer messages
            }
            cuts += 1;
        }
    }
    assert!(cuts >= 2, "{cell}: nothing was cut");
    Cell::Passed
}

/// An administrator cancels the statement whenever it waits for a lock.
pub async fn cancelled(harness: &Harness, operation: &Operation, cell: &str) -> Cell {
    let waits = match operation.effect {
        Effect::Nothing => matches!(operation.name, "lock_in" | "assert_current_in"),
        Effect::Inserted => false,
        Effect::Written | Effect::Deleted => true,
    };
    if !waits {
        return Cell::CannotApply("it waits for no lock, so there is no time to cancel it in");
    }
    let id = harness.prepare(operation).await;
    let mut holder = harness.db.pool.begin().await.unwrap();
    let lock = "SELECT FROM bank.accounts WHERE id = $1 FOR UPDATE";
    sqlx::query(lock)
        .bind(id)
        .execute(&mut *holder)
        .await
        .unwrap();
    let mut work = std::pin::pin!(timeout(LIMIT, (operation.run)(harness, id)));
    let answer = loop {
        let cancel = sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FILTER (WHERE pg_cancel_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        );
        tokio::select! {
            biased;
            done = &mut work => break done.unwrap_or_else(|_| panic!("{cell}: it does not end")),
            cancelled = cancel.fetch_one(&harness.db.pool) => drop(cancelled.unwrap()),
        }
    };
    holder.rollback().await.unwrap();
    match &answer {
        Answer::NotDone { class, text } => {
            assert!(
                *class == Class::Permanent && text.contains("cancelled"),
                "{cell}: {text}"
            );
        }
        other => panic!("{cell}: {other:?}"),
    }
    harness.judge(operation, id, Some(&answer), cell).await;
    Cell::Passed
}
