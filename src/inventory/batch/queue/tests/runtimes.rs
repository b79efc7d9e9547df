//! Runtimes that end, unwind or stand still while requests wait.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
    time::timeout,
};

use super::{
    super::Queue,
    OPTIONS,
    job::{self, Do, Made, Scripted, submit, until},
};
use crate::inventory::model::Error;

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Sends a request on a runtime, so that its batch hangs there.
async fn hang(queue: &Arc<Queue<Scripted>>) -> JoinHandle<Result<Made, Error>> {
    let stuck = submit(queue, 1, Do::Hang);
    until(|| queue.job.writing() == 1).await;
    stuck
}

/// Two requests of another runtime wait for a worker that ends as `end` says. They are answered, and the next
/// request starts another worker.
fn outlives(end: impl FnOnce(Runtime, &Arc<Queue<Scripted>>)) -> Arc<Queue<Scripted>> {
    let first = current_thread();
    let other = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let queue = {
        let _context = first.enter();
        job::queue(OPTIONS.always())
    };
    first.block_on(hang(&queue));
    let waiting = other.block_on(async {
        let waiting = [1, 2].map(|key| submit(&queue, key, Do::Answer));
        until(|| queue.depth() == 2).await;
        waiting
    });
    end(first, &queue);
    other.block_on(async {
        for answer in waiting {
            let answer = timeout(Duration::from_secs(10), answer).await.unwrap();
            answer.unwrap().unwrap();
        }
        let next = submit(&queue, 1, Do::Answer);
        let made = timeout(Duration::from_secs(10), next).await.unwrap();
        assert_eq!(made.unwrap().unwrap(), Made::InBatch { size: 1 });
    });
    queue
}

#[test]
fn callers_of_another_runtime_outlive_that_of_the_worker() {
    let queue = outlives(|runtime, _| drop(runtime));
    assert!(queue.shared().machine.is_idle());
}

#[test]
fn callers_of_another_runtime_outlive_one_that_unwinds() {
    let queue = outlives(|runtime, queue| {
        let panics = AssertUnwindSafe(|| {
            // Moved in, so that it is dropped while the thread unwinds.
            let runtime = runtime;
            runtime.block_on(async {
                let _more = [1, 2, 3].map(|key| submit(queue, key, Do::Answer));
                until(|| queue.depth() == 5).await;
                panic!("a test of the host's fails");
            });
        });
        catch_unwind(panics).unwrap_err();
    });
    assert!(queue.shared().machine.is_idle());
}

#[test]
fn callers_of_another_runtime_replace_a_worker_that_stands_still() {
    let mut still = None;
    let queue = outlives(|runtime, _| still = Some(runtime));
    // The request of the lost batch has a slot. Its runtime wakes, and another worker has taken the place of its
    // own.
    assert_eq!(queue.shared().machine.unanswered(), 1);
    queue.close();
    still.unwrap().block_on(queue.idle());
}

/// The task that has the direct slot is never polled again.
#[test]
fn a_direct_request_that_stands_still_loses_its_slot() {
    let (first, other) = (current_thread(), current_thread());
    let queue = {
        let _context = first.enter();
        job::queue(OPTIONS.always())
    };
    // Two requests of one key have all of its slots.
    let still = first.block_on(async {
        let still = [(); 2].map(|()| submit(&queue, 1, Do::Wait));
        until(|| queue.job.direct() == 2).await;
        still
    });
    let made = other.block_on(async {
        let bypasses = submit(&queue, 1, Do::Bypass);
        timeout(Duration::from_secs(12), bypasses).await.unwrap()
    });
    assert_eq!(made.unwrap().unwrap(), Made::Directly { in_doubt: false });
    drop(still);
}
