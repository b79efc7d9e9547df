//! One operation broken on purpose for each rule: the loop notices.

use std::{pin::pin, time::Duration};

use optilock::{
    inventory::{Error, Strategy},
    sqlx::{self, PgPool},
};

use super::{
    Bench, Case, Caught, Cell, Subject, Surrounding,
    case::Setup,
    operations::{Again, Operation, Run, Said},
    surroundings,
};

async fn noticed(after: Option<&'static str>, run: Run, surrounding: &str) -> String {
    let operation = Operation {
        method: "broken",
        way: "",
        by_strategy: false,
        setup: Setup::Stocked,
        after,
        again: Again::Replayed,
        run,
        run_in: None,
    };
    let subject = Subject {
        operation: Box::leak(Box::new(operation)),
        strategy: Strategy::Guarded,
    };
    let mut all = surroundings::ALL.iter().flat_map(|group| group.iter());
    let surrounding: &Surrounding = all.find(|it| it.name == surrounding).unwrap();
    let mut bench = Bench::new().await;
    bench.limit = Duration::from_secs(3);
    let attack = async {
        let became = (surrounding.attack)(&bench, &subject, "on purpose").await;
        bench.aftermath("on purpose").await;
        became
    };
    let became: Result<Cell, String> = Caught(pin!(attack)).await;
    became.expect_err("it was not noticed")
}

const SOLD: &str = "mug 10-0 [8:10], pot 9-0 [8:10]";

async fn write(pool: &PgPool, case: &Case) {
    let write = "UPDATE optilock.products SET stock = stock - 1 WHERE sku = $1";
    sqlx::query(write)
        .bind(case.pot())
        .execute(pool)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_end() {
    let run: Run = |_, _, _| Box::pin(std::future::pending());
    let text = noticed(None, run, "0 calm").await;
    assert!(text.contains("does not end"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn done_and_not_stored() {
    let run: Run = |_, _, _| Box::pin(async { Ok(Said::Done) });
    let text = noticed(Some(SOLD), run, "0 calm").await;
    assert!(text.contains("Some(Done), and stored is"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_and_stored() {
    let run: Run = |_, pool, case| {
        Box::pin(async move {
            write(pool, case).await;
            let (entity, id) = ("product", case.pot().to_string());
            Err(Error::NotFound { entity, id })
        })
    };
    let text = noticed(Some(SOLD), run, "0 calm").await;
    assert!(text.contains("and stored is"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_movement() {
    let run: Run = |_, pool, case| {
        Box::pin(async move {
            write(pool, case).await;
            Ok(Said::Done)
        })
    };
    let text = noticed(Some(SOLD), run, "0 calm").await;
    assert!(
        text.contains("the books") && text.contains("stock and orders"),
        "{text}"
    );
    assert!(text.contains("audit: stock"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_way_of_others() {
    let run: Run = |_, pool, case| {
        Box::pin(async move {
            let mut tx = pool.begin().await.unwrap();
            let lock = "LOCK TABLE optilock.orders IN ACCESS EXCLUSIVE MODE";
            sqlx::raw_sql(lock).execute(&mut *tx).await.unwrap();
            let wait = "SELECT FROM optilock.products WHERE sku = $1 FOR UPDATE";
            sqlx::query(wait)
                .bind(case.pot())
                .execute(&mut *tx)
                .await
                .unwrap();
            Ok(Said::Done)
        })
    };
    let text = noticed(None, run, "5 product held").await;
    assert!(text.contains("a neighbour waits too"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_left_open() {
    let run: Run = |_, pool, case| {
        Box::pin(async move {
            let mut conn = pool.acquire().await.unwrap();
            sqlx::raw_sql("BEGIN").execute(&mut *conn).await.unwrap();
            let lock = "SELECT FROM optilock.products WHERE sku = $1 FOR UPDATE";
            sqlx::query(lock)
                .bind(case.pot())
                .execute(&mut *conn)
                .await
                .unwrap();
            std::mem::forget(conn);
            Ok(Said::Done)
        })
    };
    let text = noticed(None, run, "0 calm").await;
    assert!(text.contains("sessions in transactions"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_to_the_pool() {
    let run: Run = |_, pool, _| {
        Box::pin(async {
            std::mem::forget(pool.acquire().await.unwrap());
            Ok(Said::Done)
        })
    };
    let text = noticed(None, run, "0 calm").await;
    assert!(text.contains("the pool lost connections"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_another_diagnosis() {
    let run: Run = |_, _, _| {
        Box::pin(async {
            let (retry_after, source) = (None, None);
            Err(Error::Busy {
                retry_after,
                source,
            })
        })
    };
    let text = noticed(None, run, "12 no database").await;
    assert!(text.contains("NotDone(Busy"), "{text}");
}

/// A surrounding that it never meets.
#[tokio::test(flavor = "multi_thread")]
async fn out_of_reach() {
    let run: Run = |_, _, _| Box::pin(async { Ok(Said::Done) });
    let text = noticed(None, run, "11 cancelled").await;
    assert!(text.contains("it was not cancelled"), "{text}");
}
