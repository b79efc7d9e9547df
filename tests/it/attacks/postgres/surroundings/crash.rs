//! 10: the postmaster is killed and restarts.

use std::time::{Duration, Instant};

use optilock::{
    RetryPolicy,
    sqlx::{self, PgPool},
};
use tokio::task::JoinSet;

use super::{Answer, Effect, FLOOR, Harness, matrix::Harness as _};
use crate::{
    attacks::report::{self, Entry, Mark},
    support::db::{self, Db, assert_idle, eventually, pool_options, sessions_waiting},
};
use support::{Crash, Durability, Server, Source};

/// All operations run at once, each in the middle of a statement: the table is locked.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_while_the_postmaster_is_killed() {
    report::begin();
    if db::server().source() != Source::Url {
        // A server named by the caller is not killed.
        kill().await;
    }
    report::finish(FLOOR, "postmaster_killed");
}

async fn kill() {
    let start = Instant::now();
    let own_server = || Server::find_or_start(Durability::Fast).expect("a server of its own");
    let mut server = tokio::task::block_in_place(own_server);
    let database = server.create_database("crash").await.expect("a database");
    let direct = PgPool::connect_with(database.options()).await.unwrap();
    let operations = Harness::variants();
    let count = u32::try_from(operations.len()).unwrap();
    let pool = pool_options(count)
        .connect_with(database.options())
        .await
        .unwrap();
    let harness = Harness::on(Db {
        pool: direct,
        database,
    })
    .await
    .through(pool);
    let harness = Harness {
        policy: RetryPolicy::new()
            .with_max_attempts(1_000)
            .with_deadline(Some(Duration::from_secs(20))),
        limit: Duration::from_secs(30),
        ..harness
    };
    let mut ids = Vec::new();
    for operation in &operations {
        ids.push(harness.prepare(operation).await);
    }
    let mut holder = harness.db.pool.begin().await.unwrap();
    let lock = "LOCK TABLE bank.accounts IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut *holder).await.unwrap();
    let mut work = JoinSet::new();
    for (at, operation) in operations.iter().copied().enumerate() {
        let (harness, id) = (harness.clone(), ids[at]);
        work.spawn(async move { (at, harness.attempt(operation, id, operation.name).await) });
    }
    eventually("all operations wait", async || {
        sessions_waiting(&harness.db.pool).await == i64::from(count)
    })
    .await;
    tokio::task::block_in_place(|| server.crash_and_restart(Crash::Kill)).unwrap();
    drop(holder);
    let answers = work.join_all().await;
    eventually("the server is back", async || {
        harness.db.pool.acquire().await.is_ok()
    })
    .await;
    assert_idle(&harness.db.pool).await;
    for (at, answer) in answers {
        let operation = operations[at];
        let cell = format!("{} in 10 postmaster killed", operation.name);
        let retries = operation.run_in.is_some() || operation.calls_host();
        let fits = match &answer {
            Answer::Done => true,
            // It makes one attempt; a statement that commits directly may have taken effect.
            Answer::Unknown => !retries && operation.effect != Effect::Nothing,
            Answer::NotDone { .. } => !retries && answer.is_busy(),
        };
        assert!(fits, "{cell}: {answer:?}");
        harness
            .compare(operation, ids[at], Some(&answer), &cell)
            .await;
        report::record(Entry {
            floor: FLOOR,
            operation: operation.name.to_owned(),
            surrounding: "10 postmaster killed",
            mark: Mark::Passed,
            took: start.elapsed(),
        });
    }
    harness.check_after("10 postmaster killed").await;
}
