//! What a retry costs: no allocation, a small future.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use tokio::time::Instant;

use super::*;

/// Polls once, outside of any runtime: a touch of the timer would panic.
pub(super) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future is pending"),
    }
}

/// Counts the allocations of the second run: the first one creates thread-locals of tokio, rand and tracing.
pub(super) fn allocations(run: impl Fn()) -> u64 {
    run();
    measure(run).count_total
}

#[test]
fn success_does_not_allocate() {
    let policy = RetryPolicy::new();
    let count = allocations(|| {
        let played = ready(with_retry(&policy, async |_| Ok::<_, Scripted>(1)));
        assert!(matches!(played, Ok(1)));
    });
    assert_eq!(count, 0);
    assert_ne!(allocations(|| drop(Box::new(1))), 0, "the counter counts");
}

#[test]
fn retries_do_not_allocate() {
    let policy = PLAIN.with_base_delay(Duration::ZERO);
    let count = allocations(|| {
        let played = ready(with_retry(&policy, async |attempt| {
            match attempt.number() {
                1..=3 => Err(Scripted(CONFLICT)),
                number => Ok(number),
            }
        }));
        assert!(matches!(played, Ok(4)));
    });
    assert_eq!(count, 0);
}

#[test]
fn giving_up_does_not_allocate() {
    let policy = PLAIN.with_base_delay(Duration::ZERO);
    let count = allocations(|| {
        let played = ready(with_retry_mut(&policy, &mut 0, async |made, _| {
            *made += 1;
            Err::<(), _>(Scripted(CONFLICT))
        }));
        assert!(matches!(played, Err(RetryError { attempts: 12, .. })));
    });
    assert_eq!(count, 0);
}

#[test]
fn waiting_does_not_allocate() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let policy = RetryPolicy::new();
    let run = || {
        runtime.block_on(async {
            let start = Instant::now();
            let played = with_retry(&policy, async |_| Err::<(), _>(Scripted(BUSY)));
            assert_eq!(played.await.unwrap_err().attempts, 12);
            assert!(start.elapsed() > Duration::ZERO);
        });
    };
    assert_eq!(allocations(run), 0);
}

#[test]
fn the_future_is_not_much_larger_than_a_sleep_and_its_span() {
    let policy = RetryPolicy::new();
    let future = with_retry(&policy, async |_| Ok::<_, Scripted>(1));
    let sleep = size_of::<tracing::instrument::Instrumented<tokio::time::Sleep>>();
    let size = size_of_val(&future);
    assert!(size <= sleep + 192, "{size} bytes, a sleep has {sleep}");
}
