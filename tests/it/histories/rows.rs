//! Versioned rows by `PgRepository`, at each default isolation level: strictly serializable, with operations that
//! commit directly and with transactions that write one row and assert another one.

mod operation;

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{
    effects::Effects,
    faults::Faults,
    history::History,
    level::{Level, dependencies},
    lists,
    recorder::Recorder,
};
use crate::support::db::Default;
use operation::{Guards, Operation, Process};

const PROCESSES: usize = 8;

const DEFAULTS: [Default; 3] = [
    Default::ReadCommitted,
    Default::RepeatableRead,
    Default::Serializable,
];

#[tokio::test(flavor = "multi_thread")]
async fn no_update_is_lost_at_any_isolation_level() {
    run(400).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn no_update_is_lost_in_long_histories() {
    run(20_000).await;
}

async fn run(transactions: usize) {
    for default in DEFAULTS {
        let (history, stored) = record(default, Guards::All, transactions).await;
        Level::StrictSerializable.assert_holds(&history);
        let effects = stored.unwrap_or_else(|found| panic!("{found:#?}"));
        println!(
            "{default:?}: {effects}; {} dependencies",
            dependencies(&history)
        );
        assert!(effects.unknown > 0 && effects.refused > 0, "{effects}");
        assert!(effects.done > transactions / 3, "{effects}");
    }
}

/// The same load without the assertion of the row that is only read has write skew.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_assertion_there_is_write_skew() {
    let found = Level::Serializable.found_in(async || {
        let (history, stored) = record(Default::ReadCommitted, Guards::NoAssertion, 400).await;
        Level::ReadCommitted.assert_holds(&history);
        stored.unwrap_or_else(|found| panic!("{found:#?}"));
        history
    });
    let found = found.await;
    println!("without an assertion: {found:?}");
    assert!(!found.contains(&"lost-update".to_owned()), "{found:?}");
}

/// The same load with writes that compare no version loses updates.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_version_updates_are_lost() {
    let found = Level::SnapshotIsolation.found_in(async || {
        let (history, stored) = record(Default::ReadCommitted, Guards::NoVersion, 400).await;
        let lost = stored.expect_err("updates that are lost");
        println!("{} effects are not as acknowledged", lost.len());
        history
    });
    let found = found.await;
    println!("without a version: {found:?}");
    assert!(found.contains(&"lost-update".to_owned()), "{found:?}");
}

/// Records operations under faults, and compares their outcomes with the stored rows.
async fn record(
    default: Default,
    guards: Guards,
    transactions: usize,
) -> (History, Result<Effects, Vec<String>>) {
    let db = lists::database(transactions).await;
    let recorder = Arc::new(Recorder::default());
    let faults = Faults::start(&db, &recorder).await;
    let pool = faults.pool(default).await;
    let mut processes = JoinSet::new();
    for number in 0..PROCESSES {
        let process = Process::new(number, pool.clone(), Arc::clone(&recorder), guards);
        processes.spawn(async move {
            while process.wants_more(transactions) {
                process.run(Operation::random()).await;
            }
        });
    }
    processes.join_all().await;
    let counts = faults.stop(&db).await;
    println!("{default:?}, {guards:?}: {counts}");
    counts.assert_all_happened();
    let stored = lists::stored(&db.pool).await;
    let mut history = recorder.take();
    let effects = Effects::of(&history, &stored);
    history.finish(&stored);
    (history, effects)
}
