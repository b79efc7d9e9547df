//! Operations that break one rule each, on purpose: the loop notices every one.

use std::time::Duration;

use optilock::sqlx;
use tokio::time::timeout;

use super::{
    harness::{Answer, Harness},
    operations::{Effect, Operation, Run},
};
use crate::support::polling::panic_text;

/// Runs a broken operation and returns the text of the loop's panic.
async fn failure_of(effect: Effect, run: Run) -> String {
    let harness = Harness::new().await;
    let broken = Operation {
        name: "broken",
        effect,
        run,
    };
    let attack = tokio::spawn(async move {
        let limit = Duration::from_secs(12);
        let run = harness.run(&broken, "on purpose");
        timeout(limit, run).await.expect("it does not end");
    });
    panic_text(attack.await.unwrap_err().into_panic())
}

const WRITE: &str = "UPDATE bank.accounts SET version = version + 1 WHERE id = $1";

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_done_and_not_stored_is_noticed() {
    let text = failure_of(Effect::Written, |_, _| Box::pin(async { Answer::Done })).await;
    assert!(text.contains("Done), and version"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_refused_and_stored_is_noticed() {
    let text = failure_of(Effect::Written, |harness, id| {
        Box::pin(async move {
            sqlx::query(WRITE)
                .bind(id)
                .execute(&harness.pool)
                .await
                .unwrap();
            Answer::of::<()>(Err(sqlx::Error::RowNotFound.into()))
        })
    })
    .await;
    assert!(text.contains("NotDone"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_left_open_is_noticed() {
    let text = failure_of(Effect::Written, |harness, id| {
        Box::pin(async move {
            let mut conn = harness.pool.acquire().await.unwrap();
            sqlx::raw_sql("BEGIN").execute(&mut *conn).await.unwrap();
            sqlx::query(WRITE)
                .bind(id)
                .execute(&mut *conn)
                .await
                .unwrap();
            std::mem::forget(conn);
            Answer::Done
        })
    })
    .await;
    assert!(text.contains("sessions in transactions"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_without_an_end_is_noticed() {
    let text = failure_of(Effect::Nothing, |_, _| Box::pin(std::future::pending())).await;
    assert!(text.contains("does not end"), "{text}");
}
