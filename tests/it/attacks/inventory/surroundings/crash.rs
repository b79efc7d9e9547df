//! 10: the postmaster is killed and restarts.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use optilock::{RetryPolicy, sqlx::PgPool};
use tokio::task::JoinSet;

use super::{
    FLOOR, Harness, Variant, balances,
    lock_holder::LockHolder,
    matrix::{Harness as _, Variant as _},
};
use crate::attacks::report::{self, Entry, Mark};
use crate::support::db::{self, Db, assert_idle, eventually, pool_options, sessions_waiting};
use support::{Crash, Durability, Server, Source};

/// All operations run at once, each in the middle of a statement: every table is locked.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_while_the_postmaster_is_killed() {
    if db::server().source() == Source::Url {
        return; // a server named by the caller is not killed
    }
    report::begin();
    let start = || Server::find_or_start(Durability::Fast).expect("a server of its own");
    let mut server = tokio::task::block_in_place(start);
    let database = server.create_database("crash").await.expect("a database");
    let count = u32::try_from(Variant::with_statements().count()).unwrap();
    let direct = PgPool::connect_with(database.options()).await.unwrap();
    optilock::migrate(&direct).await.unwrap();
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
    let harness = Arc::new(Harness {
        policy: RetryPolicy::new()
            .with_max_attempts(1_000)
            .with_deadline(Some(Duration::from_secs(20))),
        limit: Duration::from_secs(30),
        ..harness
    });
    // Each that changes the rows of other operations runs alone.
    let (alone, others): (Vec<Variant>, Vec<Variant>) =
        Variant::with_statements().partition(|variant| variant.operation.changes_other_rows());
    let rounds = alone.into_iter().map(|variant| vec![variant]);
    for variants in rounds.chain([others]) {
        kill_under(&harness, &mut server, &variants).await;
    }
    harness.check_after("10 postmaster killed").await;
    balances::assert_balanced(&harness.db.pool, "10 postmaster killed").await;
    report::finish(FLOOR, "postmaster_killed");
}

async fn kill_under(harness: &Arc<Harness>, server: &mut Server, variants: &[Variant]) {
    let start = Instant::now();
    let mut prepared = Vec::new();
    for variant in variants {
        prepared.push(harness.prepare(variant).await);
    }
    let holder = LockHolder::of_tables(harness).await;
    let mut work = JoinSet::new();
    for (at, variant) in variants.iter().enumerate() {
        let (harness, variant, fixture) =
            (Arc::clone(harness), *variant, prepared[at].fixture.clone());
        work.spawn(async move {
            (
                at,
                harness.attempt(&variant, &fixture, &variant.name()).await,
            )
        });
    }
    eventually("all operations wait", async || {
        sessions_waiting(&harness.db.pool).await == i64::try_from(variants.len()).unwrap()
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
        let cell = format!("{} in 10 postmaster killed", variants[at].name());
        assert!(answer.is_done(), "{cell}: {answer:?}");
        harness
            .compare(&variants[at], &prepared[at], Some(&answer), &cell)
            .await;
        report::record(Entry {
            floor: FLOOR,
            operation: variants[at].name(),
            surrounding: "10 postmaster killed",
            mark: Mark::Passed,
            took: start.elapsed(),
        });
    }
}
