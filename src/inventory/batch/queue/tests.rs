//! The queue with a job that does what its requests say, without a database.

mod job;
mod runtimes;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::*;
use crate::inventory::model::ErrorKind;
use job::{Do, Made, Scripted, submit, until};

const OPTIONS: BatchOptions = BatchOptions::new();

#[tokio::test]
async fn an_uncontended_request_is_direct_and_its_queued_successors_share_a_batch() {
    let queue = job::queue(OPTIONS);
    let first = submit(&queue, 1, Do::Wait);
    until(|| queue.job.direct() == 1).await;
    let waiting: Vec<_> = (0..5).map(|_| submit(&queue, 1, Do::Answer)).collect();
    for answer in waiting {
        let made = answer.await.unwrap().unwrap();
        assert_eq!(made, Made::InBatch { size: 5 });
    }
    queue.job.go_on();
    assert_eq!(
        first.await.unwrap().unwrap(),
        Made::Directly { in_doubt: false }
    );
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_does_not_answer_is_dropped_and_delays_no_other() {
    let queue = job::queue(OPTIONS.always());
    let began = Instant::now();
    let stuck = submit(&queue, 1, Do::Hang);
    until(|| queue.job.writing() == 1).await;
    let behind = submit(&queue, 1, Do::Answer);
    for _ in 0..3 {
        submit(&queue, 2, Do::Answer).await.unwrap().unwrap();
    }
    assert!(began.elapsed() < Duration::from_millis(200));
    let made = stuck.await.unwrap().unwrap();
    assert_eq!(made, Made::Directly { in_doubt: true });
    assert!(began.elapsed() >= Duration::from_secs(5));
    behind.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_millis(5_500));
    assert_eq!(queue.job.lost(), 1);
}

#[tokio::test]
async fn a_panic_of_the_job_costs_its_own_batch_only() {
    let queue = job::queue(OPTIONS.always());
    let panics = submit(&queue, 1, Do::Panic);
    let made = panics.await.unwrap().unwrap();
    assert_eq!(made, Made::Directly { in_doubt: true });
    let made = submit(&queue, 1, Do::Answer).await.unwrap().unwrap();
    assert_eq!(made, Made::InBatch { size: 1 });
    assert_eq!(queue.job.lost(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_is_refused_after_as_many_blocked_batches_as_the_policy_has_time_for() {
    let queue = job::queue(OPTIONS.always());
    let blocked = submit(&queue, 1, Do::Block);
    until(|| queue.job.writing() == 1).await;
    let other = submit(&queue, 2, Do::Answer);
    let refused = blocked.await.unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy);
    assert!(refused.retry_after() >= Some(LOCK_TIMEOUT) && !refused.is_unknown());
    // Three seconds, at half a second for each batch.
    assert_eq!(queue.job.batches_of(1), 6);
    other.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_returns_when_it_will_be_drained() {
    let queue = job::queue(OPTIONS.always().with_queue(2));
    let sent = submit(&queue, 1, Do::Hang);
    until(|| queue.job.writing() == 1).await;
    let waiting = [(); 2].map(|()| submit(&queue, 1, Do::Answer));
    until(|| queue.depth() == 2).await;
    let refused = submit(&queue, 1, Do::Answer).await.unwrap().unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(1)));
    for answer in waiting {
        answer.await.unwrap().unwrap();
    }
    sent.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_dropped_leaves_the_queue() {
    let queue = job::queue(OPTIONS.always());
    let stuck = submit(&queue, 1, Do::Hang);
    until(|| queue.job.writing() == 1).await;
    let waiting = submit(&queue, 1, Do::Answer);
    until(|| queue.depth() == 1).await;
    waiting.abort();
    until(|| queue.depth() == 0).await;
    stuck.abort();
    until(|| queue.shared().machine.is_idle()).await;
    assert!(queue.shared().payloads.is_empty());
    assert_eq!(queue.job.batches_of(1), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_what_is_queued_in_a_batch_and_direct() {
    let queue = job::queue(OPTIONS);
    let direct = submit(&queue, 1, Do::Wait);
    until(|| queue.job.direct() == 1).await;
    let bypassing = submit(&queue, 1, Do::Bypass);
    let hanging = submit(&queue, 1, Do::Hang);
    until(|| queue.job.writing() == 1).await;
    let queued = submit(&queue, 1, Do::Answer);
    until(|| queue.depth() == 1).await;
    queue.close();
    let refused = submit(&queue, 3, Do::Answer).await.unwrap().unwrap_err();
    assert_eq!(
        (refused.kind(), refused.retry_after()),
        (ErrorKind::Busy, None)
    );
    let idle = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.idle().await }
    });
    for answer in [bypassing, hanging, queued] {
        answer.await.unwrap().unwrap();
    }
    sleep(Duration::from_secs(60)).await;
    assert!(!idle.is_finished());
    queue.job.go_on();
    direct.await.unwrap().unwrap();
    idle.await.unwrap();
    assert_eq!(queue.abandon(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_when_a_shutdown_times_out_is_answered() {
    let queue = job::queue(OPTIONS.always());
    let stuck = submit(&queue, 1, Do::Hang);
    until(|| queue.job.writing() == 1).await;
    let queued = submit(&queue, 1, Do::Answer);
    until(|| queue.depth() == 1).await;
    queue.close();
    assert_eq!(queue.abandon(), 2);
    let refused = queued.await.unwrap().unwrap_err();
    assert!(refused.is_busy() && !refused.is_unknown());
    stuck.await.unwrap().unwrap();
    queue.idle().await;
}

#[test]
fn the_lanes_share_the_pool() {
    let shares = [1, 2, 4, 10, 32].map(|pool| connections(pool, 2));
    assert_eq!(shares, [1, 1, 1, 4, 15]);
}

/// A caller that waits costs a task, a channel and a timer.
#[test]
fn a_queued_request_is_small() {
    let size = size_of::<Queued<Scripted>>();
    assert!(size <= 32, "{size}");
}
