//! Futures that are dropped, and runtimes that stop.

use std::pin::Pin;

use super::{Cell, Harness, Operation, harness::insert};
use crate::{
    attacks::runtimes::on_another_runtime,
    support::{db::assert_idle, polling::PollAtMost},
};

/// The future is dropped after each of its polls, and the pool's only connection writes next.
pub async fn dropped(harness: &Harness, operation: &Operation, cell: &str) -> Cell {
    let harness = harness.with_pool_of(1).await;
    for polls in 1.. {
        assert!(polls < 200, "{cell}: it does not end");
        let id = harness.prepare(operation).await;
        let answer = PollAtMost((operation.run)(&harness, id), polls).await;
        let cell = format!("{cell} after {polls} polls");
        harness.judge(operation, id, answer.as_ref(), &cell).await;
        let next = -harness.prepare(operation).await;
        insert(&harness.pool, next).await;
        assert_eq!(
            harness.version(next).await,
            Some(1),
            "{cell}: the pool's connection was left in a transaction"
        );
        if answer.is_some() {
            return Cell::Passed;
        }
    }
    Cell::Passed
}

/// `block_on` returns with the operation dropped midway or done, and its runtime is not driven any more.
pub async fn not_driven(harness: &Harness, operation: &Operation, cell: &str) -> Cell {
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
    Cell::Passed
}

/// A runtime unwinds while the operation runs in several of its tasks.
pub async fn unwinding(harness: &Harness, operation: &Operation, cell: &str) -> Cell {
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
    Cell::Passed
}
