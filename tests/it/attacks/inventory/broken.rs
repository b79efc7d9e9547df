//! Operations that break one rule each, on purpose: the loop notices every one.

use std::time::Duration;

use optilock::{
    inventory::{Error, Strategy},
    sqlx::{self, PgPool},
};

use super::{
    Fixture, Harness, Surrounding, Variant,
    fixture::Setup,
    matrix::run_cell,
    operations::{Completion, OnRepeat, Operation, Run},
    surroundings,
};

/// Runs a broken operation in a surrounding and returns the text of the loop's panic.
async fn failure_of(after: Option<&'static str>, run: Run, surrounding: &str) -> String {
    let operation = Operation {
        method: "broken",
        scenario: "",
        by_strategy: false,
        setup: Setup::Stocked,
        after,
        on_repeat: OnRepeat::Replayed,
        run,
        run_in: None,
    };
    let variant = Variant {
        operation: Box::leak(Box::new(operation)),
        strategy: Strategy::Guarded,
    };
    let mut all = surroundings::ALL.iter().flat_map(|group| group.iter());
    let surrounding: &Surrounding = all.find(|it| it.name == surrounding).unwrap();
    let mut harness = Harness::new().await;
    harness.limit = Duration::from_secs(3);
    let result = run_cell(&harness, &variant, surrounding, "on purpose").await;
    result.expect_err("the loop noticed nothing")
}

const SOLD: &str = "mug 10-0 [8:10], pot 9-0 [8:10]";

async fn write(pool: &PgPool, fixture: &Fixture) {
    let write = "UPDATE optilock.products SET stock = stock - 1 WHERE sku = $1";
    sqlx::query(write)
        .bind(fixture.pot())
        .execute(pool)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_without_an_end_is_noticed() {
    let run: Run = |_, _, _| Box::pin(std::future::pending());
    let text = failure_of(None, run, "0 undisturbed").await;
    assert!(text.contains("does not end"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_done_and_not_stored_is_noticed() {
    let run: Run = |_, _, _| Box::pin(async { Ok(Completion::Done) });
    let text = failure_of(Some(SOLD), run, "0 undisturbed").await;
    assert!(text.contains("Some(Done), and stored is"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_refused_and_stored_is_noticed() {
    let run: Run = |_, pool, fixture| {
        Box::pin(async move {
            write(pool, fixture).await;
            Err(Error::not_found("product", fixture.pot()))
        })
    };
    let text = failure_of(Some(SOLD), run, "0 undisturbed").await;
    assert!(text.contains("and stored is"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_its_movement_is_noticed() {
    let run: Run = |_, pool, fixture| {
        Box::pin(async move {
            write(pool, fixture).await;
            Ok(Completion::Done)
        })
    };
    let text = failure_of(Some(SOLD), run, "0 undisturbed").await;
    assert!(
        text.contains("do not balance") && text.contains("stock and orders"),
        "{text}"
    );
    assert!(text.contains("audit: stock"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_blocks_others_is_noticed() {
    let run: Run = |_, pool, fixture| {
        Box::pin(async move {
            let mut tx = pool.begin().await.unwrap();
            let lock = "LOCK TABLE optilock.orders IN ACCESS EXCLUSIVE MODE";
            sqlx::raw_sql(lock).execute(&mut *tx).await.unwrap();
            let wait = "SELECT FROM optilock.products WHERE sku = $1 FOR UPDATE";
            sqlx::query(wait)
                .bind(fixture.pot())
                .execute(&mut *tx)
                .await
                .unwrap();
            Ok(Completion::Done)
        })
    };
    let text = failure_of(None, run, "5 product locked").await;
    assert!(
        text.contains("an operation on other rows waits too"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_left_open_is_noticed() {
    let run: Run = |_, pool, fixture| {
        Box::pin(async move {
            let mut conn = pool.acquire().await.unwrap();
            sqlx::raw_sql("BEGIN").execute(&mut *conn).await.unwrap();
            let lock = "SELECT FROM optilock.products WHERE sku = $1 FOR UPDATE";
            sqlx::query(lock)
                .bind(fixture.pot())
                .execute(&mut *conn)
                .await
                .unwrap();
            std::mem::forget(conn);
            Ok(Completion::Done)
        })
    };
    let text = failure_of(None, run, "0 undisturbed").await;
    assert!(text.contains("sessions in transactions"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_to_the_pool_is_noticed() {
    let run: Run = |_, pool, _| {
        Box::pin(async {
            std::mem::forget(pool.acquire().await.unwrap());
            Ok(Completion::Done)
        })
    };
    let text = failure_of(None, run, "0 undisturbed").await;
    assert!(text.contains("the pool lost connections"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_wrong_class_is_noticed() {
    let run: Run = |_, _, _| Box::pin(async { Err(Error::busy(None)) });
    let text = failure_of(None, run, "12 no database").await;
    assert!(text.contains("NotDone(Error(Busy"), "{text}");
}

/// The operation waits for no lock, so its cancellation never happens.
#[tokio::test(flavor = "multi_thread")]
async fn a_surrounding_that_does_not_act_is_noticed() {
    let run: Run = |_, _, _| Box::pin(async { Ok(Completion::Done) });
    let text = failure_of(None, run, "11 cancelled").await;
    assert!(text.contains("it was not cancelled"), "{text}");
}
