//! 13: the future is dropped, anywhere. 14: the runtime unwinds, ends or stands still; something panics.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use optilock::{
    inventory::{Accepted, BoxError, Inventory, OnAccepted, PgInventory},
    sqlx::{self, PgConnection},
};
use tokio::time::timeout;

use super::{Answer, Bench, Case, Cell, POLICY, Subject, books};
use crate::{
    attacks::{
        polled::{Caught, Polled},
        runtimes::on_another_runtime,
    },
    support::db::assert_quiet,
};

/// The pool's connection works, and is in no transaction that another caller began.
async fn assert_clean(bench: &Bench) {
    sqlx::query("SELECT 1").execute(&bench.pool).await.unwrap();
    assert_quiet(&bench.db.pool).await;
}

/// A clean-up that was dropped before may still arrive, and leave nothing to the next one.
fn told(answer: &Option<Answer>) -> Option<&Answer> {
    answer.as_ref().filter(|it| !matches!(it, Answer::Nothing))
}

/// After each of its polls.
pub async fn alone(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    let own = bench.with_settings(1, &[]).await;
    own.run_well(subject, cell).await; // its statements are prepared
    for polls in 1.. {
        assert!(polls < 200, "{cell}: it does not end");
        let cell = format!("{cell} after {polls} polls");
        let made = own.case(subject).await;
        let answer = Polled(pin!(own.attempt(subject, &made.0, &cell)), polls).await;
        own.judge(subject, &made, told(&answer), &cell).await;
        assert_clean(&own).await;
        if answer.is_some() {
            break;
        }
    }
    Cell::Held
}

/// After each of its polls, within a transaction of the host's that then commits.
pub async fn in_transaction(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    let Some(run_in) = subject.operation.run_in else {
        return Cell::CannotApply("it has no form within a transaction of the host's");
    };
    let own = bench.with_settings(1, &[]).await;
    for polls in 1.. {
        assert!(polls < 200, "{cell}: it does not end");
        let cell = format!("{cell} after {polls} polls");
        let made = own.case(subject).await;
        let shop = own.shop(subject);
        let mut tx = own.pool.begin().await.unwrap();
        let answer = Polled(run_in(&shop, &mut tx, &made.0), polls).await;
        let committed = tx.commit().await;
        let ended = answer.is_some();
        let answer = answer.map(Answer::of).filter(|_| committed.is_ok());
        own.judge(subject, &made, told(&answer), &cell).await;
        books::assert_balanced(&own.db.pool, &cell).await;
        assert_clean(&own).await;
        if ended {
            assert!(
                answer.is_some_and(|answer| answer.is_done()),
                "{cell}: {committed:?}"
            );
            break;
        }
    }
    Cell::Held
}

/// By a timeout, and by a `select!` that something else wins.
pub async fn raced(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    let own = bench.with_settings(1, &[]).await;
    own.run_well(subject, cell).await;
    let mut late = 0;
    for turns in [0, 0, 1, 2, 4, 8] {
        let made = own.case(subject).await;
        let won = async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        let answer = tokio::select! {
            biased;
            answer = own.attempt(subject, &made.0, cell) => Some(answer),
            () = won => None,
        };
        late += u32::from(answer.is_none());
        own.judge(subject, &made, told(&answer), cell).await;
        let made = own.case(subject).await;
        let limit = Duration::from_millis(turns);
        let answer = timeout(limit, own.attempt(subject, &made.0, cell))
            .await
            .ok();
        late += u32::from(answer.is_none());
        own.judge(subject, &made, told(&answer), cell).await;
        assert_clean(&own).await;
    }
    assert!(late > 0, "{cell}: it was never late");
    Cell::Held
}

/// `block_on` returns with the operation dropped midway or done, and its runtime is not driven any more.
pub async fn standing_still(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    for polls in [2, 4, 7, 12] {
        let made = bench.case(subject).await;
        let handle = tokio::runtime::Handle::current();
        let answer = on_another_runtime(bench.db.database.options(), |runtime, pool| {
            let own = bench.through(pool);
            let answer = runtime
                .block_on(async { Polled(pin!(own.attempt(subject, &made.0, cell)), polls).await });
            // The runtime stands still here; what it left is looked at from outside.
            handle.block_on(assert_quiet(&bench.db.pool));
            answer
        })
        .unwrap();
        let cell = format!("{cell} after {polls} polls");
        bench.judge(subject, &made, told(&answer), &cell).await;
    }
    Cell::Held
}

/// A runtime that unwinds while the operation runs in several of its tasks.
pub async fn unwinding(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    for polls in [2, 4, 7] {
        let made = three(bench, subject).await;
        let unwound = on_another_runtime(bench.db.database.options(), |runtime, pool| {
            let own = bench.through(pool);
            runtime.block_on(async {
                let works = made
                    .iter()
                    .map(|(case, _)| Polled(Box::pin(own.attempt(subject, case, cell)), polls));
                let mut works: Vec<_> = works.collect();
                for work in &mut works {
                    let _answer = Pin::new(work).await;
                }
                // All of them are dropped by this, in the middle of what they do.
                std::panic::resume_unwind(Box::new("on purpose"));
            });
        });
        assert!(unwound.is_err());
        for made in &made {
            bench.judge(subject, made, None, cell).await;
        }
    }
    Cell::Held
}

/// A runtime that is dropped while its tasks wait for their answers.
pub async fn runtime_dropped(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    for yields in [1, 3, 6] {
        let made = three(bench, subject).await;
        let cases: Vec<Case> = made.iter().map(|(case, _)| case.clone()).collect();
        let (bench_there, subject_there) = (bench.clone(), *subject);
        tokio::task::block_in_place(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            std::thread::spawn(move || {
                runtime.block_on(async move {
                    let own = bench_there.with_settings(4, &[]).await;
                    for case in cases {
                        let own = own.clone();
                        tokio::spawn(
                            async move { own.attempt(&subject_there, &case, "dropped").await },
                        );
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
        for made in &made {
            bench.judge(subject, made, None, cell).await;
        }
    }
    Cell::Held
}

async fn three(bench: &Bench, subject: &Subject) -> Vec<(Case, String)> {
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(bench.case(subject).await);
    }
    made
}

struct Panics;

#[async_trait::async_trait]
impl OnAccepted for Panics {
    async fn on_accepted(&self, _: &mut PgConnection, _: &Accepted) -> Result<(), BoxError> {
        panic!("the host's hook panics")
    }
}

/// What the host does with a sale panics: the sale is undone.
pub async fn hook_panics(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    if subject.operation.method != "checkout" {
        return Cell::CannotApply("nothing of the host's runs in it, so that nothing panics");
    }
    let made = bench.case(subject).await;
    let shop = PgInventory::new(bench.pool.clone())
        .with_policy(POLICY)
        .with_strategy(subject.strategy)
        .with_hook(Arc::new(Panics));
    let panicked = Caught((subject.operation.run)(&shop, &bench.pool, &made.0)).await;
    let text = panicked.expect_err("the hook's panic goes on");
    assert!(text.contains("the host's hook panics"), "{cell}: {text}");
    assert_quiet(&bench.db.pool).await;
    let stored = made.0.stored(&bench.db.pool).await;
    assert_eq!(stored, made.1, "{cell}");
    bench.run_well(subject, cell).await;
    shop.audit().await.unwrap();
    Cell::Held
}
