//! 10: the postmaster is killed, and comes back.

use std::{sync::Arc, time::Duration};

use optilock::{RetryPolicy, sqlx::PgPool};
use tokio::task::JoinSet;

use super::{
    Bench, Subject, TALLY, books,
    holder::{Holder, waiting},
};
use crate::support::db::{self, Db, assert_quiet, eventually, pool_options};
use support::{Crash, Durability, Server, Source};

/// All operations at once, each in the middle of a statement: every table is held.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_while_the_postmaster_is_killed() {
    if db::server().source() == Source::Url {
        return; // that one is not ours to kill
    }
    let start = || Server::find_or_start(Durability::Fast).expect("a server of its own");
    let mut server = tokio::task::block_in_place(start);
    let database = server.create_database("crash").await.expect("a database");
    let count = u32::try_from(Subject::all().count()).unwrap();
    let calm = PgPool::connect_with(database.options()).await.unwrap();
    optilock::migrate(&calm).await.unwrap();
    let pool = pool_options(count)
        .connect_with(database.options())
        .await
        .unwrap();
    let bench = Bench::on(Db {
        pool: calm,
        database,
    })
    .await
    .through(pool);
    let bench = Arc::new(Bench {
        policy: RetryPolicy::new()
            .with_max_attempts(1_000)
            .with_deadline(Some(Duration::from_secs(20))),
        limit: Duration::from_secs(30),
        ..bench
    });
    // A clean-up changes what others work on: each on its own.
    let (cleanups, others): (Vec<Subject>, Vec<Subject>) =
        Subject::all().partition(|subject| subject.operation.is_cleanup());
    let rounds = cleanups.into_iter().map(|cleanup| vec![cleanup]);
    for subjects in rounds.chain([others]) {
        kill_under(&bench, &mut server, &subjects).await;
    }
    bench.aftermath("10 postmaster killed").await;
    books::assert_balanced(&bench.db.pool, "10 postmaster killed").await;
    TALLY.lock().unwrap().0 += count;
    println!("{count} cells held where the postmaster is killed");
}

async fn kill_under(bench: &Arc<Bench>, server: &mut Server, subjects: &[Subject]) {
    let mut made = Vec::new();
    for subject in subjects {
        made.push(bench.case(subject).await);
    }
    let holder = Holder::of_tables(bench).await;
    let mut work = JoinSet::new();
    for (at, subject) in subjects.iter().enumerate() {
        let (bench, subject, case) = (Arc::clone(bench), *subject, made[at].0.clone());
        work.spawn(async move { (at, bench.attempt(&subject, &case, &subject.name()).await) });
    }
    eventually("all of them wait", async || {
        waiting(&bench.db.pool).await == i64::try_from(subjects.len()).unwrap()
    })
    .await;
    tokio::task::block_in_place(|| server.crash_and_restart(Crash::Kill)).unwrap();
    drop(holder);
    let answers = work.join_all().await;
    eventually("the server is back", async || {
        bench.db.pool.acquire().await.is_ok()
    })
    .await;
    assert_quiet(&bench.db.pool).await;
    for (at, answer) in answers {
        let cell = format!("{} in 10 postmaster killed", subjects[at].name());
        assert!(answer.is_done(), "{cell}: {answer:?}");
        bench
            .compare(&subjects[at], &made[at], Some(&answer), &cell)
            .await;
    }
}
