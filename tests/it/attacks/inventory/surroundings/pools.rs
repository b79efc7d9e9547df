//! 15: small pools, crowds, closed pools, and pools with hooks of the host.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use tokio::{task::JoinSet, time::timeout};

use super::{Answer, Cell, Harness, LIMIT, Prepared, Variant};
use crate::attacks::matrix::Harness as _;
use crate::attacks::pools::{terminate_idle_backend, with_hooks};

pub async fn of_one(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let own = harness.with_settings(1, &[]).await;
    for _ in 0..3 {
        own.expect_done(variant, cell).await;
    }
    own.check_after(cell).await;
    Cell::Passed
}

/// Many callers share a pool of four connections. Each has its own rows.
pub async fn crowd(harness: &Harness, variant: &Variant, cell: &str, callers: usize) -> Cell {
    let own = Arc::new(harness.with_settings(4, &[]).await);
    let mut prepared = Vec::new();
    for _ in 0..callers {
        prepared.push(own.prepare(variant).await);
    }
    let mut work = JoinSet::new();
    for Prepared { fixture, .. } in &prepared {
        let (own, variant, fixture, cell) =
            (Arc::clone(&own), *variant, fixture.clone(), cell.to_owned());
        work.spawn(async move { own.attempt(&variant, &fixture, &cell).await });
    }
    let answers = timeout(LIMIT, work.join_all()).await;
    let answers = answers.unwrap_or_else(|_| panic!("{cell}: the crowd does not end"));
    let done = answers.iter().filter(|answer| answer.is_done()).count();
    if variant.operation.is_cleanup() {
        // One call may do the work of all.
        assert!(done > 0, "{cell}: {answers:?}");
        own.attempt(variant, &prepared[0].fixture, cell).await;
        prepared.iter().for_each(|it| it.fixture.forget_caches());
    } else {
        assert_eq!(done, callers, "{cell}: {answers:?}");
    }
    for prepared in &prepared {
        own.compare(variant, prepared, Some(&Answer::Done), cell)
            .await;
    }
    own.check_after(cell).await;
    Cell::Passed
}

pub async fn closed(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let own = harness.with_settings(2, &[]).await;
    own.expect_done(variant, cell).await;
    timeout(LIMIT, own.pool.close())
        .await
        .unwrap_or_else(|_| panic!("{cell}: close() hangs"));
    let answer = own.run(variant, cell).await;
    let diagnosed = answer.is_refused("database")
        && answer.class() == Some(optilock::Class::Permanent)
        && answer.text().contains("closed");
    assert!(diagnosed, "{cell}: {answer:?}");
    Cell::Passed
}

/// A pool has hooks of the host, and a backend ends while its connection is idle.
pub async fn hooks(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let (pool, hook_calls) = with_hooks(harness.db.database.options()).await;
    let own = harness.through(pool);
    own.expect_done(variant, cell).await;
    terminate_idle_backend(&own.pool, &harness.db.pool).await;
    own.expect_done(variant, cell).await;
    assert!(
        hook_calls.load(SeqCst) > 1,
        "{cell}: the hook was not called"
    );
    own.check_after(cell).await;
    Cell::Passed
}
