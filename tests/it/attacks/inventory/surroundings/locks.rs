//! 5: another session locks a row until the test releases it. 6: the role's timeouts.

use std::time::Duration;

use optilock::{
    Class,
    inventory::{Accepted, BoxError, OnAccepted},
    sqlx::PgConnection,
};
use tokio::time::timeout;

use super::{
    Answer, Cell, Harness, Prepared, Variant,
    lock_holder::{
        ENTRY, HOLDS, LockHolder, LockOutcome, ORDER, PRODUCTS, assert_other_rows_work,
        run_behind_lock,
    },
};

const NO_ROW: Cell = Cell::CannotApply("there is no row that another session could lock");
const NO_WAIT: Cell = Cell::CannotApply("it does not wait for what the other session locks");

pub async fn of_row(harness: &Harness, variant: &Variant, cell: &str, row: &str) -> Cell {
    let prepared = harness.prepare(variant).await;
    let Some(holder) = LockHolder::of(harness, &prepared.fixture, &[row]).await else {
        return NO_ROW;
    };
    if variant.operation.is_cleanup() {
        return skipped(harness, variant, cell, prepared, holder).await;
    }
    let meanwhile = assert_other_rows_work(harness, cell);
    let outcome =
        run_behind_lock(harness, variant, &prepared.fixture, cell, holder, meanwhile).await;
    harness
        .judge(variant, &prepared, Some(outcome.answer()), cell)
        .await;
    assert!(outcome.answer().is_done(), "{cell}: {:?}", outcome.answer());
    match outcome {
        LockOutcome::NotBlocked(_) => NO_WAIT,
        _ => Cell::Passed,
    }
}

/// A clean-up skips the locked row and cleans it up the next time.
async fn skipped(
    harness: &Harness,
    variant: &Variant,
    cell: &str,
    prepared: Prepared,
    holder: LockHolder,
) -> Cell {
    let other = harness.prepare(variant).await;
    let work = async {
        tokio::join!(
            harness.attempt(variant, &prepared.fixture, cell),
            assert_other_rows_work(harness, cell)
        )
        .0
    };
    // It tries skipped rows again until its deadline; a known failure keeps its shorter limit.
    let limit = Duration::from_secs(5).min(harness.limit);
    let answer = timeout(limit, work).await;
    let answer = answer.unwrap_or_else(|_| panic!("{cell}: it waits for the lock"));
    assert!(
        answer.is_done(),
        "{cell}: the other row is not cleaned up: {answer:?}"
    );
    let after = variant.operation.after.unwrap();
    assert_eq!(
        other.fixture.stored(&harness.db.pool).await,
        after,
        "{cell}: the other row"
    );
    holder.release().await;
    if prepared.fixture.stored(&harness.db.pool).await == after {
        return NO_WAIT;
    }
    let answer = harness.attempt(variant, &prepared.fixture, cell).await;
    harness.judge(variant, &prepared, Some(&answer), cell).await;
    assert!(answer.is_done(), "{cell}: {answer:?} after the release");
    Cell::Passed
}

/// All rows are locked for longer than the role's timeout.
pub async fn with_timeout(
    harness: &Harness,
    variant: &Variant,
    cell: &str,
    (setting, limit, code): (&str, &str, &str),
) -> Cell {
    let own = harness.with_settings(2, &[(setting, limit)]).await;
    let prepared = own.prepare(variant).await;
    let Some(holder) =
        LockHolder::of(harness, &prepared.fixture, &[ORDER, PRODUCTS, HOLDS, ENTRY]).await
    else {
        own.expect_done(variant, cell).await;
        return NO_ROW;
    };
    let never = std::future::pending();
    let outcome = run_behind_lock(&own, variant, &prepared.fixture, cell, holder, never).await;
    own.judge(variant, &prepared, Some(outcome.answer()), cell)
        .await;
    match outcome {
        LockOutcome::NotBlocked(_) => NO_WAIT,
        LockOutcome::GaveUp(answer) if variant.operation.is_cleanup() => {
            assert!(matches!(answer, Answer::NothingToDo), "{cell}: {answer:?}");
            own.expect_done(variant, cell).await;
            Cell::Passed
        }
        LockOutcome::GaveUp(answer) => {
            let class = answer.class();
            let is_of_class = match code {
                // A queue adds when to try again.
                "busy" => matches!(class, Some(Class::Busy { .. })),
                _ => class == Some(Class::Permanent),
            };
            assert!(answer.is_refused(code) && is_of_class, "{cell}: {answer:?}");
            Cell::Passed
        }
        LockOutcome::Waited(answer) => panic!("{cell}: the lock was not released, and {answer:?}"),
    }
}

struct SlowHook;

#[async_trait::async_trait]
impl OnAccepted for SlowHook {
    async fn on_accepted(&self, _: &mut PgConnection, _: &Accepted) -> Result<(), BoxError> {
        tokio::time::sleep(Duration::from_millis(150)).await;
        Ok(())
    }
}

/// `idle_in_transaction_session_timeout`: the host's hook takes longer than the session may be idle.
pub async fn idle(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let limit = [("idle_in_transaction_session_timeout", "50ms")];
    let own = harness.with_settings(2, &limit).await;
    if variant.operation.method != "checkout" {
        own.expect_done(variant, cell).await;
        return Cell::CannotApply(
            "no code of the host runs in its transaction, so it is never idle",
        );
    }
    let own = Harness {
        policy: own.policy.clone().with_max_attempts(2),
        ..own
    };
    let prepared = own.prepare(variant).await;
    let shop = own.shop_with_hook(variant, SlowHook);
    let answer = timeout(own.limit, (variant.operation.run)(&shop, &prepared.fixture)).await;
    let answer = Answer::of(answer.unwrap_or_else(|_| panic!("{cell}: it does not end")));
    own.judge(variant, &prepared, Some(&answer), cell).await;
    // The server ended the transaction before its COMMIT.
    let stored = prepared.fixture.stored(&own.db.pool).await;
    assert_eq!(stored, prepared.before, "{cell}: {answer:?}");
    let diagnosed = match &answer {
        Answer::NotDone(_) => matches!(answer.class(), Some(Class::Busy { .. })),
        other => matches!(other, Answer::Unknown(_)),
    };
    assert!(diagnosed, "{cell}: {answer:?}");
    harness.expect_done(variant, cell).await;
    Cell::Passed
}
