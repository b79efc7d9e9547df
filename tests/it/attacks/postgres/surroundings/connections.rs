//! Connections that go silent or are cut, and statements that are cancelled.

use std::time::{Duration, Instant};

use optilock::{
    Class,
    sqlx::{self, AssertSqlSafe},
};
use tokio::time::timeout;

use super::{Answer, Cell, Effect, Harness, Operation};
use crate::support::{db::eventually, proxy::Cut};

/// The connection goes silent and the caller gives up. New connections work, and so must the pool.
pub async fn silence(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let (proxy, harness) = harness.proxied(4).await;
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
pub async fn cut(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let (proxy, harness) = harness.proxied(4).await;
    let mut cuts = 0;
    for cut in [Cut::Before, Cut::Reply] {
        for message in 0.. {
            assert!(message < 100, "{cell}: never without a cut");
            harness.run(operation, cell).await; // every statement is prepared on some connection
            proxy.trap_after(message, cut.clone());
            let cell = format!("{cell}, {cut:?} at message {message}");
            let answer = harness.run(operation, &cell).await;
            if proxy.disarm() {
                break; // the operation has fewer messages
            }
            cuts += 1;
            let fits = matches!(answer, Answer::Done | Answer::Unknown) || answer.is_busy();
            assert!(fits, "{cell}: {answer:?}");
        }
    }
    assert!(cuts >= 2, "{cell}: nothing was cut");
    Cell::Passed
}

/// The transaction meets a conflict at each message, `COMMIT` included, as on an engine that does not wait for locks.
pub async fn conflicts(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let (proxy, harness) = harness.proxied(4).await;
    let mut conflicts = 0;
    for message in 0.. {
        assert!(message < 100, "{cell}: never without a conflict");
        harness.run(operation, cell).await; // every statement is prepared on some connection
        proxy.trap_after(message, Cut::Conflict);
        let cell = format!("{cell}, at message {message}");
        let answer = harness.run(operation, &cell).await;
        if proxy.disarm() {
            break; // the operation has fewer messages
        }
        conflicts += 1;
        let fits = matches!(answer, Answer::Done) || answer.is_refused(Class::Conflict);
        assert!(fits, "{cell}: {answer:?}");
    }
    assert!(conflicts >= 1, "{cell}: it met no conflict");
    Cell::Passed
}

/// Locks the table, so that every operation waits, and runs `end` on the backends that wait until the answer.
async fn behind_table_lock(
    harness: &Harness,
    operation: &Operation,
    cell: &str,
    end: &str,
    until_first: bool,
) -> (i64, Answer, i64) {
    let direct = &harness.db.pool;
    let id = harness.prepare(operation).await;
    let mut holder = direct.begin().await.unwrap();
    let lock = "LOCK TABLE bank.accounts IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut *holder).await.unwrap();
    let end = format!(
        "SELECT count(*) FILTER (WHERE {end}(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'"
    );
    let mut work = std::pin::pin!(harness.attempt(operation, id, cell));
    let mut ended = 0;
    let answer = loop {
        let end = sqlx::query_scalar::<_, i64>(AssertSqlSafe(end.clone())).fetch_one(direct);
        tokio::select! {
            biased;
            done = &mut work => break Some(done),
            hit = end => ended += hit.unwrap(),
        }
        if until_first && ended > 0 {
            break None;
        }
    };
    holder.rollback().await.unwrap();
    let answer = match answer {
        Some(answer) => answer,
        None => work.await,
    };
    (id, answer, ended)
}

/// The session is terminated while the operation waits.
pub async fn terminated(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let own = harness.with_pool_of(2).await;
    let (id, answer, ended) =
        behind_table_lock(&own, operation, cell, "pg_terminate_backend", true).await;
    let acted = ended > 0 || !answer.is_done();
    assert!(acted, "{cell}: it did not wait");
    own.judge(operation, id, Some(&answer), cell).await;
    let fits = match &answer {
        Answer::Done => true,
        // A statement that commits directly may have taken effect.
        Answer::Unknown => operation.run_in.is_none() && operation.effect != Effect::Nothing,
        Answer::NotDone { .. } => answer.is_busy(),
    };
    assert!(fits, "{cell}: {answer:?}");
    own.expect_done(operation, cell).await;
    Cell::Passed
}

/// An administrator cancels the statement whenever it waits for a lock.
pub async fn cancelled(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let (id, answer, ended) =
        behind_table_lock(harness, operation, cell, "pg_cancel_backend", false).await;
    // The answer may arrive before the number of backends that were hit.
    let acted = ended > 0 || !answer.is_done();
    assert!(acted, "{cell}: it was not cancelled");
    let diagnosed = answer.is_refused(Class::Permanent) && answer.text().contains("cancelled");
    assert!(diagnosed, "{cell}: {answer:?}");
    harness.judge(operation, id, Some(&answer), cell).await;
    Cell::Passed
}
