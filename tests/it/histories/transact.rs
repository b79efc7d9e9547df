//! Transactions of several statements by `transact_with`, at each isolation level. A transaction reads and appends to a
//! few lists in random order; some are rolled back after their appends by an error of their own.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use optilock::{
    Class, Classify, RetryPolicy,
    postgres::{Isolation, TransactOptions, transact_with},
    sqlx::{self, PgConnection, PgPool},
};
use tokio::task::JoinSet;

use super::{
    effects::Effects,
    faults::Faults,
    history::{History, Outcome, Seen, Step, append},
    level::{Level, dependencies},
    lists,
    recorder::Recorder,
};
use crate::support::db::Default;

const PROCESSES: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn read_committed_excludes_dirty_reads_only() {
    read_committed(400).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeatable_read_excludes_lost_updates_and_read_skew() {
    repeatable_read(400).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serializable_excludes_every_anomaly() {
    serializable(400).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn each_isolation_level_keeps_its_promise_in_long_histories() {
    read_committed(20_000).await;
    repeatable_read(20_000).await;
    serializable(20_000).await;
}

async fn read_committed(transactions: usize) {
    let found = Level::SnapshotIsolation.found_in(async || {
        let history = record(Isolation::ReadCommitted, transactions).await;
        Level::ReadCommitted.assert_holds(&history);
        history
    });
    println!("READ COMMITTED permits {:?}", found.await);
}

async fn repeatable_read(transactions: usize) {
    let found = Level::Serializable.found_in(async || {
        let history = record(Isolation::RepeatableRead, transactions).await;
        Level::SnapshotIsolation.assert_holds(&history);
        history
    });
    println!("REPEATABLE READ permits {:?}", found.await);
}

async fn serializable(transactions: usize) {
    let history = record(Isolation::Serializable, transactions).await;
    Level::Serializable.assert_holds(&history);
}

/// Records transactions under faults, and compares their outcomes with the stored lists.
async fn record(isolation: Isolation, transactions: usize) -> History {
    let db = lists::database(transactions).await;
    let recorder = Arc::new(Recorder::default());
    let faults = Faults::start(&db, &recorder).await;
    let pool = faults.pool(Default::ReadCommitted).await;
    let mut processes = JoinSet::new();
    for process in 0..PROCESSES {
        let (pool, recorder) = (pool.clone(), Arc::clone(&recorder));
        processes.spawn(async move {
            while recorder.wants_more(transactions) {
                let requested = random_steps(recorder.begun());
                let number = recorder.begin(process, requested.clone());
                let outcome = execute(&pool, isolation, &requested).await;
                recorder.end(number, outcome);
            }
        });
    }
    processes.join_all().await;
    let counts = faults.stop(&db).await;
    let stored = lists::stored(&db.pool).await;
    let mut history = recorder.take();
    let effects = Effects::of(&history, &stored).unwrap_or_else(|found| panic!("{found:#?}"));
    history.finish(&stored);
    let edges = dependencies(&history);
    println!("{isolation:?}: {effects}; {edges} dependencies; {counts}");
    counts.assert_all_happened();
    assert!(effects.unknown > 0 && effects.refused > 0, "{effects}");
    assert!(effects.done > transactions / 3, "{effects}");
    history
}

/// Returns one to five reads and appends.
fn random_steps(begun: usize) -> Vec<Step> {
    static ELEMENTS: AtomicUsize = AtomicUsize::new(0);
    let step = |_| {
        let list = lists::hot(begun).to_string();
        match rand::random() {
            true => Step::Read(list, Seen::Nothing),
            false => append(list, ELEMENTS.fetch_add(1, Relaxed).to_string()),
        }
    };
    (0..rand::random_range(1..=5)).map(step).collect()
}

/// Why a transaction did not commit.
#[derive(Debug)]
enum Refusal {
    OfItsOwn,
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl Classify for Refusal {
    fn class(&self) -> Class {
        match self {
            Self::OfItsOwn => Class::Permanent,
            Self::Database(error) => error.class(),
        }
    }
}

async fn execute(pool: &PgPool, isolation: Isolation, requested: &[Step]) -> Outcome {
    let is_refused = rand::random_ratio(1, 20);
    let options = TransactOptions::new().with_isolation(isolation);
    let steps = Mutex::new(Vec::new());
    let result = transact_with(pool, &RetryPolicy::new(), &options, async |tx| {
        let mut executed = Vec::new();
        for step in requested {
            executed.push(execute_step(tx, step).await?);
        }
        *steps.lock().unwrap() = executed;
        match is_refused {
            true => Err(Refusal::OfItsOwn),
            false => Ok(()),
        }
    })
    .await;
    match result {
        Ok(()) => Outcome::Done(steps.into_inner().unwrap()),
        Err(error) if error.class() == Class::Unknown => Outcome::Unknown,
        Err(error) => {
            let of_its_own = matches!(error.error, Refusal::OfItsOwn);
            let expected = of_its_own || error.error.class() != Class::Permanent;
            assert!(expected, "{error:?}");
            Outcome::Refused
        }
    }
}

async fn execute_step(conn: &mut PgConnection, step: &Step) -> Result<Step, sqlx::Error> {
    match step {
        Step::Read(list, _) => {
            let read = "SELECT elements FROM histories.lists WHERE id = $1::text::bigint";
            let read = sqlx::query_scalar(read).bind(list);
            Ok(Step::Read(
                list.clone(),
                Seen::List(read.fetch_one(conn).await?),
            ))
        }
        Step::Append(list, element) => {
            let append = "UPDATE histories.lists SET elements = elements || $2::text
                WHERE id = $1::text::bigint";
            let append = sqlx::query(append).bind(list).bind(element);
            append.execute(conn).await?;
            Ok(step.clone())
        }
    }
}
