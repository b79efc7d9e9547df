//! 1: a message meets a conflict. 8: the connection goes silent. 9: it is cut at each message. 10: the server ends the
//! session. 11: an administrator cancels the statement.

use std::time::{Duration, Instant};

use optilock::{
    Class,
    sqlx::{self, AssertSqlSafe, PgPool},
};
use tokio::time::timeout;

use super::{
    Answer, Cell, Harness, Variant,
    lock_holder::{LockHolder, LockOutcome, run_behind_lock},
};
use crate::support::{db::eventually, proxy::Cut};

/// The connection goes silent and the caller gives up. New connections work, and so must the pool.
pub async fn silence(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    for _ in 0..5 {
        let (proxy, own) = harness.proxied(2).await;
        // This prepares the statements, so that the silence falls into the operation itself.
        own.expect_done(variant, cell).await;
        // A clean-up may have opened a second connection; only one is left to go silent.
        let (kept, other) = (
            own.pool.acquire().await.unwrap(),
            own.pool.acquire().await.unwrap(),
        );
        other.close().await.unwrap();
        drop(kept);
        eventually("the connection is back", async || own.pool.num_idle() > 0).await;
        proxy.silence();
        let prepared = own.prepare(variant).await;
        let limit = Duration::from_millis(50);
        let answer = timeout(limit, own.attempt(variant, &prepared.fixture, cell))
            .await
            .ok();
        own.judge(variant, &prepared, answer.as_ref(), cell).await;
        if answer.is_some() {
            continue; // the pool noticed the silence before the operation did
        }
        let start = Instant::now();
        own.expect_done(variant, &format!("{cell}, afterwards"))
            .await;
        assert!(start.elapsed() < Duration::from_secs(4), "{cell}: late");
        return Cell::Passed;
    }
    panic!("{cell}: the silence was not met");
}

/// The connection is cut before each message reaches the server, and before each answer reaches the client.
pub async fn cut(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let (proxy, harness) = harness.proxied(4).await;
    let mut cuts = 0;
    for cut in [Cut::Before, Cut::Reply] {
        for message in 0.. {
            assert!(message < 100, "{cell}: never without a cut");
            proxy.trap_after(message, cut.clone());
            let cell = format!("{cell}, {cut:?} at message {message}");
            let prepared = harness.prepare(variant).await;
            let answer = harness.attempt(variant, &prepared.fixture, &cell).await;
            // A clean-up counts the work of its last attempt only.
            let known = Some(&answer).filter(|it| !matches!(it, Answer::NothingToDo));
            harness.judge(variant, &prepared, known, &cell).await;
            if proxy.disarm() {
                break; // the operation has fewer messages
            }
            cuts += 1;
            let class = answer.class();
            let fits = match &answer {
                // Its first attempt may have done the work.
                Answer::NothingToDo => variant.operation.is_cleanup(),
                Answer::Done | Answer::Unknown(_) => true,
                Answer::NotDone(_) => matches!(class, Some(Class::Busy { .. })),
            };
            assert!(fits, "{cell}: {answer:?}");
        }
    }
    assert!(cuts >= 2, "{cell}: nothing was cut");
    Cell::Passed
}

/// The transaction meets a conflict at each message, `COMMIT` included, as on an engine that does not wait for locks.
pub async fn conflicts(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let (proxy, harness) = harness.proxied(4).await;
    let mut conflicts = 0;
    for message in 0.. {
        assert!(message < 100, "{cell}: never without a conflict");
        proxy.trap_after(message, Cut::Conflict);
        let cell = format!("{cell}, at message {message}");
        let prepared = harness.prepare(variant).await;
        let answer = harness.attempt(variant, &prepared.fixture, &cell).await;
        harness
            .judge(variant, &prepared, Some(&answer), &cell)
            .await;
        if proxy.disarm() {
            break; // the operation has fewer messages
        }
        conflicts += 1;
        assert!(answer.is_done(), "{cell}: {answer:?}");
    }
    assert!(conflicts >= 1, "{cell}: it met no conflict");
    Cell::Passed
}

/// Calls `function` for every backend that waits for a lock and returns how many it hit.
async fn end_waiting(pool: &PgPool, function: &str) -> i64 {
    let end = format!(
        "SELECT count(*) FILTER (WHERE {function}(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'"
    );
    sqlx::query_scalar(AssertSqlSafe(end))
        .fetch_one(pool)
        .await
        .unwrap()
}

/// The session is terminated while the operation waits. Every table is locked, so every operation waits.
pub async fn terminated(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let own = harness.with_settings(2, &[]).await;
    let prepared = own.prepare(variant).await;
    let holder = LockHolder::of_tables(&own).await;
    let meanwhile = async {
        assert!(
            end_waiting(&own.db.pool, "pg_terminate_backend").await > 0,
            "{cell}"
        );
    };
    let outcome = run_behind_lock(&own, variant, &prepared.fixture, cell, holder, meanwhile).await;
    let LockOutcome::Waited(answer) = outcome else {
        panic!("{cell}: it did not wait: {:?}", outcome.answer());
    };
    own.judge(variant, &prepared, Some(&answer), cell).await;
    assert!(answer.is_done(), "{cell}: {answer:?}");
    Cell::Passed
}

/// An administrator cancels the statement whenever it waits for a lock.
pub async fn cancelled(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let prepared = harness.prepare(variant).await;
    let holder = LockHolder::of_tables(harness).await;
    let meanwhile = async {
        loop {
            end_waiting(&harness.db.pool, "pg_cancel_backend").await;
        }
    };
    let outcome =
        run_behind_lock(harness, variant, &prepared.fixture, cell, holder, meanwhile).await;
    let LockOutcome::GaveUp(answer) = outcome else {
        panic!("{cell}: it was not cancelled: {:?}", outcome.answer());
    };
    harness.judge(variant, &prepared, Some(&answer), cell).await;
    let diagnosed = answer.is_refused("database")
        && answer.class() == Some(Class::Permanent)
        && answer.text().contains("cancelled");
    assert!(diagnosed, "{cell}: {answer:?}");
    Cell::Passed
}
