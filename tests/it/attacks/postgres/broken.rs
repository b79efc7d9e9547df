//! Operations that break one rule each, on purpose: the loop notices every one.

use optilock::sqlx::{self, PgPool};

use super::{
    Answer, GROUPS, Harness,
    matrix::{Harness as _, run_cell},
    operations::{Effect, OnRepeat, Operation, Run},
};

/// Runs a broken operation in a surrounding and returns the text of the loop's panic.
async fn failure_of(effect: Effect, run: Run, surrounding: &str) -> String {
    let mut harness = Harness::new().await;
    harness.limit = std::time::Duration::from_secs(3);
    let broken = Box::leak(Box::new(Operation {
        name: "broken",
        effect,
        on_repeat: OnRepeat::Done,
        run,
        run_in: None,
    }));
    let mut all = GROUPS.iter().flat_map(|group| group.surroundings);
    let surrounding = all.find(|it| it.name == surrounding).unwrap();
    let result = run_cell(&harness, &&*broken, surrounding, "on purpose").await;
    result.expect_err("the loop noticed nothing")
}

async fn write(pool: &PgPool, id: i64, set: &str) {
    let write = format!("UPDATE bank.accounts SET {set} WHERE id = {id}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(write))
        .execute(pool)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_without_an_end_is_noticed() {
    let run: Run = |_, _| Box::pin(std::future::pending());
    let text = failure_of(Effect::Nothing, run, "0 undisturbed").await;
    assert!(text.contains("does not end"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_done_and_not_stored_is_noticed() {
    let run: Run = |_, _| Box::pin(async { Answer::Done });
    let text = failure_of(Effect::Written, run, "0 undisturbed").await;
    assert!(
        text.contains("Done), and Some((1, 100)) is stored"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_refused_and_stored_is_noticed() {
    let run: Run = |harness, id| {
        Box::pin(async move {
            write(&harness.pool, id, "version = version + 1, cents = 700").await;
            Answer::of::<()>(Err(sqlx::Error::RowNotFound.into()))
        })
    };
    let text = failure_of(Effect::Written, run, "0 undisturbed").await;
    assert!(text.contains("NotDone"), "{text}");
}

/// It changes another row too, without a version.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_without_a_version_is_noticed() {
    let run: Run = |harness, id| {
        Box::pin(async move {
            super::harness::insert(&harness.pool, -id).await;
            write(&harness.pool, -id, "cents = 700").await;
            write(&harness.pool, id, "version = version + 1, cents = 700").await;
            Answer::Done
        })
    };
    let text = failure_of(Effect::Written, run, "0 undisturbed").await;
    assert!(text.contains("changed without a version"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_blocks_others_is_noticed() {
    let run: Run = |harness, id| {
        Box::pin(async move {
            let mut tx = harness.pool.begin().await.unwrap();
            let lock = "CREATE TABLE IF NOT EXISTS bank.queue (); LOCK TABLE bank.queue";
            sqlx::raw_sql(lock).execute(&mut *tx).await.unwrap();
            write(&harness.pool, id, "version = version + 1, cents = 700").await;
            Answer::Done
        })
    };
    let text = failure_of(Effect::Written, run, "5 row locked").await;
    assert!(
        text.contains("an operation on another row waits too"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_left_open_is_noticed() {
    let run: Run = |harness, id| {
        Box::pin(async move {
            let mut conn = harness.pool.acquire().await.unwrap();
            let begin = format!("BEGIN; UPDATE bank.accounts SET version = 2 WHERE id = {id}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(begin))
                .execute(&mut *conn)
                .await
                .unwrap();
            std::mem::forget(conn);
            Answer::Done
        })
    };
    let text = failure_of(Effect::Written, run, "0 undisturbed").await;
    assert!(text.contains("sessions in transactions"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_to_the_pool_is_noticed() {
    let run: Run = |harness, _| {
        Box::pin(async {
            std::mem::forget(harness.pool.acquire().await.unwrap());
            Answer::Done
        })
    };
    let text = failure_of(Effect::Nothing, run, "0 undisturbed").await;
    assert!(text.contains("the pool lost connections"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_wrong_class_is_noticed() {
    let run: Run =
        |_, _| Box::pin(async { Answer::of::<()>(Err(sqlx::Error::PoolTimedOut.into())) });
    let text = failure_of(Effect::Nothing, run, "12 no database").await;
    assert!(text.contains("NotDone { class: Busy"), "{text}");
}

/// The operation waits for no lock, so its cancellation never happens.
#[tokio::test(flavor = "multi_thread")]
async fn a_surrounding_that_does_not_act_is_noticed() {
    let run: Run = |_, _| Box::pin(async { Answer::Done });
    let text = failure_of(Effect::Nothing, run, "11 cancelled").await;
    assert!(text.contains("it was not cancelled"), "{text}");
}
