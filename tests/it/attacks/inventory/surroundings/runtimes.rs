//! 14: the runtime is not driven, unwinds or is dropped; a hook panics.

use std::{
    pin::{Pin, pin},
    time::Duration,
};

use optilock::{
    inventory::{Accepted, BoxError, OnAccepted},
    sqlx::PgConnection,
};

use super::{Cell, Fixture, Harness, Prepared, Variant, drops::conclusive};
use crate::{
    attacks::runtimes::on_another_runtime,
    support::{
        connect::current_thread,
        db::assert_idle,
        polling::{CatchPanic, PollAtMost},
    },
};

/// `block_on` returns with the operation dropped midway or done, and its runtime is not driven any more.
pub async fn not_driven(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    for polls in [2, 4, 7, 12] {
        let prepared = harness.prepare(variant).await;
        let handle = tokio::runtime::Handle::current();
        let answer = on_another_runtime(harness.db.database.options(), |runtime, pool| {
            let own = harness.through_foreign(pool);
            let answer = runtime.block_on(async {
                PollAtMost(pin!(own.attempt(variant, &prepared.fixture, cell)), polls).await
            });
            // The runtime is not driven here, so what it left is observed from outside.
            handle.block_on(assert_idle(&harness.db.pool));
            answer
        })
        .unwrap();
        let cell = format!("{cell} after {polls} polls");
        harness
            .judge(variant, &prepared, conclusive(&answer), &cell)
            .await;
    }
    Cell::Passed
}

/// A runtime unwinds while the operation runs in several of its tasks.
pub async fn unwinding(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    for polls in [2, 4, 7] {
        let prepared = prepare_three(harness, variant).await;
        let unwound = on_another_runtime(harness.db.database.options(), |runtime, pool| {
            let own = harness.through_foreign(pool);
            runtime.block_on(async {
                let works = prepared
                    .iter()
                    .map(|it| PollAtMost(Box::pin(own.attempt(variant, &it.fixture, cell)), polls));
                let mut works: Vec<_> = works.collect();
                for work in &mut works {
                    let _answer = Pin::new(work).await;
                }
                // The unwinding drops all of them midway.
                std::panic::resume_unwind(Box::new("on purpose"));
            });
        });
        assert!(unwound.is_err());
        for prepared in &prepared {
            harness.judge(variant, prepared, None, cell).await;
        }
    }
    Cell::Passed
}

/// A runtime is dropped while its tasks wait for their answers.
pub async fn runtime_dropped(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    for yields in [1, 3, 6] {
        let prepared = prepare_three(harness, variant).await;
        let fixtures: Vec<Fixture> = prepared.iter().map(|it| it.fixture.clone()).collect();
        let (harness_there, variant_there) = (harness.clone(), *variant);
        tokio::task::block_in_place(move || {
            let runtime = current_thread();
            std::thread::spawn(move || {
                runtime.block_on(async move {
                    let own = harness_there.with_settings(4, &[]).await;
                    let own = own.through_foreign(own.pool.clone());
                    for fixture in fixtures {
                        let own = own.clone();
                        tokio::spawn(async move {
                            own.attempt(&variant_there, &fixture, "dropped").await
                        });
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
        for prepared in &prepared {
            harness.judge(variant, prepared, None, cell).await;
        }
    }
    Cell::Passed
}

async fn prepare_three(harness: &Harness, variant: &Variant) -> Vec<Prepared> {
    let mut prepared = Vec::new();
    for _ in 0..3 {
        prepared.push(harness.prepare(variant).await);
    }
    prepared
}

struct PanickingHook;

#[async_trait::async_trait]
impl OnAccepted for PanickingHook {
    async fn on_accepted(&self, _: &mut PgConnection, _: &Accepted) -> Result<(), BoxError> {
        panic!("the host's hook panics")
    }
}

/// The hook of a checkout panics, and the checkout is rolled back.
pub async fn hook_panics(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    if variant.operation.method != "checkout" {
        return Cell::CannotApply("no code of the host runs in it, so nothing panics");
    }
    let prepared = harness.prepare(variant).await;
    let shop = harness.shop_with_hook(variant, PanickingHook);
    let panicked = CatchPanic((variant.operation.run)(&shop, &prepared.fixture)).await;
    let text = panicked.expect_err("the hook's panic reaches the caller");
    assert!(text.contains("the host's hook panics"), "{cell}: {text}");
    assert_idle(&harness.db.pool).await;
    let stored = prepared.fixture.stored(&harness.db.pool).await;
    assert_eq!(stored, prepared.before, "{cell}");
    harness.expect_done(variant, cell).await;
    shop.audit().await.unwrap();
    Cell::Passed
}
