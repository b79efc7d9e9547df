//! Operations that break one rule each, on purpose: the loop notices every one.

use std::time::Duration;

use optilock::{
    inventory::{Adjustment, Error, Inventory, Strategy},
    sqlx::{self, PgPool},
};

use super::{
    Fixture, Harness, Layer, Variant,
    fixture::Setup,
    matrix::{Harness as _, run_cell},
    operations::{Completion, OnRepeat, Operation, Run},
    surroundings,
};

/// Asserts that the loop notices a broken operation in a surrounding, directly and through layers, by these texts.
async fn assert_noticed(after: Option<&'static str>, run: Run, surrounding: &str, texts: &[&str]) {
    for layer in [Layer::None, Layer::Batched] {
        let text = failure_through(layer, after, run, surrounding).await;
        let noticed = texts.iter().all(|expected| text.contains(expected));
        assert!(noticed, "{layer:?}: {text}");
    }
}

/// Runs a broken operation and returns the text of the loop's panic.
async fn failure_through(
    layer: Layer,
    after: Option<&'static str>,
    run: Run,
    surrounding: &str,
) -> String {
    let operation = Operation {
        method: "broken",
        scenario: "",
        special: &[],
        setup: Setup::Stocked,
        after,
        on_repeat: OnRepeat::Replayed,
        run,
        run_in: None,
    };
    let variant = Variant {
        operation: Box::leak(Box::new(operation)),
        strategy: Strategy::Guarded,
        layer,
    };
    let mut all = surroundings::GROUPS
        .iter()
        .flat_map(|group| group.surroundings);
    let surrounding = all.find(|it| it.name == surrounding).unwrap();
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
    let run: Run = |_, _| Box::pin(std::future::pending());
    assert_noticed(None, run, "0 undisturbed", &["does not end"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_done_and_not_stored_is_noticed() {
    let run: Run = |_, _| Box::pin(async { Ok(Completion::Done) });
    assert_noticed(
        Some(SOLD),
        run,
        "0 undisturbed",
        &["Some(Done), and stored is"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_refused_and_stored_is_noticed() {
    let run: Run = |shop, fixture| {
        Box::pin(async move {
            write(&shop.pool, fixture).await;
            Err(Error::not_found("product", fixture.pot()))
        })
    };
    assert_noticed(Some(SOLD), run, "0 undisturbed", &["and stored is"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_its_movement_is_noticed() {
    let run: Run = |shop, fixture| {
        Box::pin(async move {
            write(&shop.pool, fixture).await;
            Ok(Completion::Done)
        })
    };
    assert_noticed(
        Some(SOLD),
        run,
        "0 undisturbed",
        &["do not balance", "stock and orders", "audit: stock"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_blocks_others_is_noticed() {
    let run: Run = |shop, fixture| {
        Box::pin(async move {
            let mut tx = shop.pool.begin().await.unwrap();
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
    assert_noticed(
        None,
        run,
        "5 product locked",
        &["an operation on other rows waits too"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_left_open_is_noticed() {
    let run: Run = |shop, fixture| {
        Box::pin(async move {
            let mut conn = shop.pool.acquire().await.unwrap();
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
    assert_noticed(None, run, "0 undisturbed", &["sessions in transactions"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_to_the_pool_is_noticed() {
    let run: Run = |shop, _| {
        Box::pin(async {
            std::mem::forget(shop.pool.acquire().await.unwrap());
            Ok(Completion::Done)
        })
    };
    assert_noticed(None, run, "0 undisturbed", &["the pool lost connections"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_wrong_class_is_noticed() {
    let run: Run = |_, _| Box::pin(async { Err(Error::busy(None)) });
    assert_noticed(None, run, "12 no database", &["NotDone(Error(Busy"]).await;
}

/// The operation waits for no lock, so its cancellation never happens.
#[tokio::test(flavor = "multi_thread")]
async fn a_surrounding_that_does_not_act_is_noticed() {
    let run: Run = |_, _| Box::pin(async { Ok(Completion::Done) });
    assert_noticed(None, run, "11 cancelled", &["it was not cancelled"]).await;
}

/// It changes the stock behind the cache.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_stock_on_display_is_noticed() {
    let run: Run = |shop, fixture| {
        Box::pin(async move {
            let more = Adjustment::new(fixture.pot(), 3, "found").unwrap();
            shop.pg.adjust_stock(more).await.map(|_| Completion::Done)
        })
    };
    let after = Some("mug 10-0 [8:10], pot 13-0 [8:10 3:3]");
    let text = failure_through(Layer::Cached, after, run, "0 undisturbed").await;
    assert!(text.contains("displayed is Ok((10, false))"), "{text}");
}
