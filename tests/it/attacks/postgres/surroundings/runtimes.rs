//! 14: the runtime is not driven, unwinds or is dropped; a closure of the host panics.

use std::{pin::Pin, time::Duration};

use optilock::{
    Version,
    postgres::{Error, TransactOptions, transact, transact_once, transact_with},
};

use super::{Cell, Harness, Operation};
use crate::{
    attacks::runtimes::on_another_runtime,
    support::{
        bank::Account,
        connect::current_thread,
        db::assert_idle,
        polling::{CatchPanic, PollAtMost},
    },
};

/// `block_on` returns with the operation dropped midway or done, and its runtime is not driven any more.
pub async fn not_driven(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    for polls in [1, 2, 3, 5, 8, 13] {
        let id = harness.prepare(operation).await;
        let handle = tokio::runtime::Handle::current();
        let answer = on_another_runtime(harness.db.database.options(), |runtime, pool| {
            let own = harness.through(pool);
            let answer = runtime.block_on(PollAtMost((operation.run)(&own, id), polls));
            // The runtime is not driven here, so what it left is observed from outside.
            handle.block_on(assert_idle(&harness.db.pool));
            answer
        })
        .unwrap();
        let cell = format!("{cell} after {polls} polls");
        harness.judge(operation, id, answer.as_ref(), &cell).await;
    }
    harness.wait_for_ends(cell).await;
    Cell::Passed
}

/// A runtime unwinds while the operation runs in several of its tasks.
pub async fn unwinding(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    for polls in [1, 2, 4, 7] {
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(harness.prepare(operation).await);
        }
        let unwound = on_another_runtime(harness.db.database.options(), |runtime, pool| {
            let own = harness.through(pool);
            runtime.block_on(async {
                let works = ids
                    .iter()
                    .map(|&id| PollAtMost((operation.run)(&own, id), polls));
                let mut works: Vec<_> = works.collect();
                for work in &mut works {
                    let _answer = Pin::new(work).await;
                }
                // The unwinding drops all of them midway.
                std::panic::resume_unwind(Box::new("on purpose"));
            });
        });
        assert!(unwound.is_err());
        for id in ids {
            harness.judge(operation, id, None, cell).await;
        }
    }
    harness.wait_for_ends(cell).await;
    Cell::Passed
}

/// A runtime is dropped while its tasks wait for their answers.
pub async fn runtime_dropped(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    for yields in [1, 3, 6] {
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(harness.prepare(operation).await);
        }
        let (there, run, tasks) = (harness.clone(), operation.run, ids.clone());
        tokio::task::block_in_place(move || {
            std::thread::spawn(move || {
                let runtime = current_thread();
                runtime.block_on(async move {
                    let own = there.with_pool_of(4).await;
                    for id in tasks {
                        let own = own.clone();
                        tokio::spawn(async move { run(&own, id).await });
                    }
                    for _ in 0..yields {
                        tokio::time::sleep(Duration::from_micros(300)).await;
                    }
                });
                drop(runtime);
            })
            .join()
            .unwrap();
        });
        for id in ids {
            harness.judge(operation, id, None, cell).await;
        }
    }
    harness.wait_for_ends(cell).await;
    Cell::Passed
}

/// The host's closure panics after it has written, and the transaction is rolled back.
pub async fn closure_panics(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    if !operation.calls_host() {
        return Cell::CannotApply("no code of the host runs in it, so nothing panics");
    }
    let id = harness.prepare(operation).await;
    let (accounts, pool, policy) = (&harness.accounts, &harness.pool, &harness.policy);
    let change = |account: &mut Account| -> Result<(), Error> {
        account.cents = 0;
        panic!("the host's closure panics")
    };
    let work = async {
        let touch = async |conn: &mut optilock::sqlx::PgConnection| -> Result<(), Error> {
            accounts.touch_in(conn, &id, Version::FIRST).await?;
            panic!("the host's closure panics")
        };
        match operation.name {
            "modify" => drop(accounts.modify(policy, &id, change).await),
            "modify_in" => drop(
                transact(pool, policy, async |tx| {
                    accounts.modify_in(tx, &id, change).await
                })
                .await,
            ),
            "savepoint" => drop(
                transact(pool, policy, async |tx| {
                    tx.savepoint(async |tx| touch(tx).await).await
                })
                .await,
            ),
            _ if operation.is_once() => {
                let key = format!("panics/{id}");
                drop(transact_once(pool, policy, &key, b"", async |tx| touch(tx).await).await);
            }
            _ => {
                let options = TransactOptions::new();
                drop(transact_with(pool, policy, &options, async |tx| touch(tx).await).await);
            }
        }
    };
    let panicked = CatchPanic(Box::pin(work)).await;
    let text = panicked.expect_err("the panic reaches the caller");
    assert!(text.contains("the host's closure panics"), "{cell}: {text}");
    harness.judge(operation, id, None, cell).await;
    assert_eq!(
        harness.stored(id).await,
        Some((1, 100)),
        "{cell}: a write of the transaction is stored"
    );
    harness.expect_done(operation, cell).await;
    Cell::Passed
}
