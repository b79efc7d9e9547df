//! 0: nothing disturbs the operation. 13: its future is dropped. 14: runtimes and panics. 15: a crowd.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{task::JoinSet, time::timeout};

use super::{Answer, Cell, Ground, Harness, Variant};
use crate::support::{connect::current_thread, polling::panic_text};

pub async fn undisturbed(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let ground = Ground::new(harness, variant, cell).await;
    let answer = ground.attempt(variant, cell).await;
    ground.judge(Some(&answer), cell).await;
    Cell::Passed
}

/// Polls once without a runtime.
fn poll_once(ground: &Ground, variant: &Variant) -> Option<Answer> {
    let shop = ground.shop();
    let mut work = pin!((variant.0.run)(&shop, &ground.fixture));
    match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(Answer::of(answer)),
        Poll::Pending => None,
    }
}

/// The future is dropped before its first poll, and after it.
pub async fn dropped(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let ground = Ground::new(harness, variant, cell).await;
    {
        let shop = ground.shop();
        drop((variant.0.run)(&shop, &ground.fixture));
    }
    ground.judge(None, &format!("{cell} before a poll")).await;
    let answer = poll_once(&ground, variant);
    assert!(answer.is_some(), "{cell}: one poll is not all of it");
    ground.judge(answer.as_ref(), cell).await;
    Cell::Passed
}

/// A timeout of zero, and a `select!` whose other branch is ready.
pub async fn raced(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let ground = Ground::new(harness, variant, cell).await;
    let answer = tokio::select! {
        biased;
        () = std::future::ready(()) => None,
        answer = ground.attempt(variant, cell) => Some(answer),
    };
    assert!(answer.is_none(), "{cell}: it was never late");
    ground.judge(None, cell).await;
    let answer = timeout(Duration::ZERO, ground.attempt(variant, cell)).await;
    ground.judge(answer.ok().as_ref(), cell).await;
    Cell::Passed
}

/// It needs no runtime.
pub async fn no_runtime(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let ground = Ground::new(harness, variant, cell).await;
    let on_thread = || poll_once(&ground, variant);
    let answer = std::thread::scope(|threads| threads.spawn(on_thread).join()).unwrap();
    assert!(answer.is_some(), "{cell}: one poll is not all of it");
    ground.judge(answer.as_ref(), cell).await;
    Cell::Passed
}

/// A thread unwinds between two operations, with a third one in its hands.
pub async fn unwinding(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let ground = Ground::new(harness, variant, cell).await;
    let on_thread = || {
        let shop = ground.shop();
        let _never_polled = (variant.0.run)(&shop, &ground.fixture);
        std::panic::resume_unwind(Box::new(poll_once(&ground, variant)));
    };
    let panic = std::thread::scope(|threads| threads.spawn(on_thread).join()).unwrap_err();
    let answer = match panic.downcast::<Option<Answer>>() {
        Ok(answer) => *answer,
        Err(other) => panic!("{cell}: {}", panic_text(other)),
    };
    ground.judge(answer.as_ref(), cell).await;
    Cell::Passed
}

/// A runtime is dropped with a task that has run and one that has not.
pub async fn runtime_dropped(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let ground = Arc::new(Ground::new(harness, variant, cell).await);
    let (there, variant_there) = (Arc::clone(&ground), *variant);
    let answer = tokio::task::block_in_place(move || {
        let runtime = std::thread::spawn(move || {
            let runtime = current_thread();
            let (first, second) = (Arc::clone(&there), there);
            let first = runtime.spawn(async move { first.attempt(&variant_there, "first").await });
            let answer = runtime.block_on(first).unwrap();
            runtime.spawn(async move { second.attempt(&variant_there, "second").await });
            drop(runtime);
            answer
        });
        runtime.join().unwrap()
    });
    ground.judge(Some(&answer), cell).await;
    Cell::Passed
}

/// 256 callers at once, each with rows of its own, in one inventory.
pub async fn crowd(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    if variant.0.is_cleanup() {
        return Cell::CannotApply("one call does the work of all; 18 runs two of them at once");
    }
    let first = Ground::new(harness, variant, cell).await;
    let mut grounds = vec![first];
    for _ in 1..256 {
        let next = grounds[0].beside(variant).await;
        grounds.push(next);
    }
    let mut work = JoinSet::new();
    for ground in grounds {
        let (variant, cell) = (*variant, cell.to_owned());
        work.spawn(async move {
            let answer = ground.attempt(&variant, &cell).await;
            (ground, answer)
        });
    }
    for (ground, answer) in work.join_all().await {
        assert!(answer.is_done(), "{cell}: {answer:?}");
        ground.judge(Some(&answer), cell).await;
    }
    Cell::Passed
}
