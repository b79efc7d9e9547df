//! The retry loop under a paused clock, with errors from a script.

use super::*;
use crate::{Conflict, Version};
use std::{error::Error, time::Duration};
use tokio::time::Instant;

mod budget;
mod deadline;
mod spawned;

/// An error of a script.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("scripted")]
struct Scripted(Class);

impl Classify for Scripted {
    fn class(&self) -> Class {
        self.0
    }
}

const CONFLICT: Class = Class::Conflict;
const BUSY: Class = Class::Busy { retry_after: None };

const fn busy_for(millis: u64) -> Class {
    Class::Busy {
        retry_after: Some(ms(millis)),
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Delays that are known in advance: 10, 20, 40 ms and so on.
const PLAIN: RetryPolicy = RetryPolicy::new()
    .with_base_delay(ms(10))
    .with_jitter(Jitter::None)
    .with_locking_after(None);

/// What the operation saw: when each attempt began, and the attempt.
#[derive(Default)]
struct Seen {
    at: Vec<Duration>,
    attempts: Vec<Attempt>,
}

impl Seen {
    fn millis(&self) -> Vec<u128> {
        self.at.iter().map(Duration::as_millis).collect()
    }

    fn locking(&self) -> Vec<bool> {
        self.attempts.iter().map(Attempt::locking).collect()
    }
}

/// Plays a script, each attempt taking `takes`; once it is over, attempts succeed.
async fn play(
    policy: &RetryPolicy,
    script: &[Class],
    takes: Duration,
) -> (Result<u32, RetryError<Scripted>>, Seen) {
    let start = Instant::now();
    let mut seen = Seen::default();
    let played = with_retry_mut(policy, &mut seen, async |seen, attempt| {
        seen.at.push(start.elapsed());
        seen.attempts.push(attempt);
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        match script.get(attempt.number() as usize - 1) {
            Some(class) => Err(Scripted(*class)),
            None => Ok(attempt.number()),
        }
    });
    (played.await, seen)
}

async fn stop(policy: &RetryPolicy, script: &[Class]) -> RetryError<Scripted> {
    play(policy, script, Duration::ZERO).await.0.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn the_first_retry_is_immediate_and_then_delays_grow() {
    let (played, seen) = play(&PLAIN, &[CONFLICT; 4], Duration::ZERO).await;
    assert_eq!(played.unwrap(), 5);
    assert_eq!(seen.millis(), [0, 0, 10, 30, 70]);
    assert!(seen.attempts.iter().map(Attempt::number).eq(1..=5));

    let patient = PLAIN.with_immediate_first_retry(false);
    let (_, seen) = play(&patient, &[CONFLICT; 2], Duration::ZERO).await;
    assert_eq!(seen.millis(), [0, 10, 30]);
}

#[tokio::test(start_paused = true)]
async fn both_forms_have_the_same_delays() {
    let start = Instant::now();
    let mut at = Vec::new();
    let played = with_retry(&PLAIN, |attempt| {
        at.push(start.elapsed());
        async move {
            match attempt.number() {
                1..=3 => Err(Scripted(CONFLICT)),
                number => Ok(number),
            }
        }
    });
    assert_eq!(played.await.unwrap(), 4);
    let (_, seen) = play(&PLAIN, &[CONFLICT; 3], Duration::ZERO).await;
    assert_eq!(at, seen.at);
}

#[tokio::test(start_paused = true)]
async fn zero_delays_do_not_use_the_timer() {
    let start = Instant::now();
    let policy = PLAIN.with_base_delay(Duration::ZERO);
    let (played, _) = play(&policy, &[CONFLICT; 11], Duration::ZERO).await;
    assert_eq!(played.unwrap(), 12);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn attempts_run_out() {
    for (most, made) in [(0, 1), (1, 1), (4, 4), (12, 12)] {
        let policy = PLAIN.with_max_attempts(most).with_deadline(None);
        let (played, seen) = play(&policy, &[CONFLICT; 20], Duration::ZERO).await;
        let error = played.unwrap_err();
        assert_eq!((error.attempts, error.reason), (made, StopReason::Attempts));
        assert_eq!(seen.attempts.len() as u32, made);
        let last: Vec<_> = seen.attempts.iter().map(Attempt::is_last).collect();
        assert_eq!(last.iter().position(|last| *last), Some(made as usize - 1));
    }
}

#[tokio::test(start_paused = true)]
async fn permanent_and_unknown_errors_stop_the_retry() {
    let error = stop(&PLAIN, &[Class::Permanent]).await;
    assert_eq!((error.attempts, error.reason), (1, StopReason::Permanent));
    assert_eq!(error.elapsed, Duration::ZERO);
    let error = stop(&PLAIN, &[CONFLICT, CONFLICT, Class::Permanent]).await;
    assert_eq!((error.attempts, error.reason), (3, StopReason::Permanent));
    assert_eq!(error.elapsed, ms(10));
    let error = stop(&PLAIN, &[CONFLICT, Class::Unknown]).await;
    assert_eq!((error.attempts, error.reason), (2, StopReason::Unknown));
    // The class decides, not that there are no attempts left.
    let error = stop(&PLAIN.with_max_attempts(1), &[Class::Unknown]).await;
    assert_eq!(error.reason, StopReason::Unknown);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_retried_with_a_delay_if_the_policy_says_so() {
    let policy = PLAIN.with_unknown_retried(true);
    let (played, seen) = play(&policy, &[Class::Unknown; 2], Duration::ZERO).await;
    assert_eq!(played.unwrap(), 3);
    assert_eq!(seen.millis(), [0, 10, 30]);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_stays_unknown_until_an_attempt_settles_it() {
    let policy = PLAIN.with_unknown_retried(true).with_max_attempts(3);
    let error = stop(&policy, &[Class::Unknown, BUSY, BUSY]).await;
    assert_eq!(
        (error.reason, error.class()),
        (StopReason::Attempts, Class::Unknown)
    );
    let error = stop(&policy, &[Class::Unknown, Class::Permanent]).await;
    assert_eq!(
        (error.reason, error.class()),
        (StopReason::Permanent, Class::Permanent)
    );
}

#[tokio::test(start_paused = true)]
async fn a_busy_system_is_retried_after_the_time_that_it_asks_for() {
    // Without a hint: the usual delays, and always a delay.
    let (_, seen) = play(&PLAIN, &[BUSY; 2], Duration::ZERO).await;
    assert_eq!(seen.millis(), [0, 10, 30]);
    // The hint prolongs a delay, past the maximum too, and never shortens it.
    let script = [busy_for(700), busy_for(1), busy_for(0)];
    let (_, seen) = play(&PLAIN, &script, Duration::ZERO).await;
    assert_eq!(seen.millis(), [0, 700, 720, 760]);
    // A conflict that follows is not the first retry any more.
    let (_, seen) = play(&PLAIN, &[BUSY, CONFLICT], Duration::ZERO).await;
    assert_eq!(seen.millis(), [0, 10, 30]);
}

#[tokio::test(start_paused = true)]
async fn attempts_lock_after_conflicts_and_the_first_one_has_no_delay() {
    let two = PLAIN.with_locking_after(Some(2));
    let (_, seen) = play(&two, &[CONFLICT; 4], Duration::ZERO).await;
    assert_eq!(seen.locking(), [false, false, true, true, true]);
    assert_eq!(
        seen.millis(),
        [0, 0, 0, 10, 30],
        "only the first locking attempt has no delay"
    );

    // Only conflicts count.
    let (_, seen) = play(&two, &[BUSY, CONFLICT, BUSY, CONFLICT], Duration::ZERO).await;
    assert_eq!(seen.locking(), [false, false, false, false, true]);
    let (_, seen) = play(
        &two.clone().with_locking_after(Some(0)),
        &[],
        Duration::ZERO,
    )
    .await;
    assert_eq!(seen.locking(), [true]);
    let (_, seen) = play(&PLAIN, &[CONFLICT; 4], Duration::ZERO).await;
    assert_eq!(seen.locking(), [false; 5]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_around_a_retry_does_not_multiply() {
    for (inner, reason) in [
        (CONFLICT, StopReason::Permanent),
        (Class::Unknown, StopReason::Unknown),
    ] {
        let mut made = 0;
        let outer = with_retry_mut(&PLAIN, &mut made, async |made, _| {
            with_retry_mut(&PLAIN, made, async |made, _| {
                *made += 1;
                Err::<(), _>(Scripted(inner))
            })
            .await
        });
        let error = outer.await.unwrap_err();
        assert_eq!((error.attempts, error.reason), (1, reason));
        assert_eq!(made, error.error.attempts);
    }
}

#[tokio::test(start_paused = true)]
async fn a_seed_gives_the_same_retry_each_time() {
    let policy = RetryPolicy::new().with_seed(7);
    let (_, one) = play(&policy, &[CONFLICT; 11], Duration::ZERO).await;
    let (_, two) = play(&policy, &[CONFLICT; 11], Duration::ZERO).await;
    assert_eq!(one.at, two.at);
    let (_, other) = play(&policy.with_seed(8), &[CONFLICT; 11], Duration::ZERO).await;
    assert_ne!(one.at, other.at);
}

#[tokio::test]
async fn boxed_errors_are_retried() {
    let found = Version::FIRST.next().unwrap();
    let played = with_retry(&PLAIN, async |attempt| {
        if attempt.number() == 1 {
            Err(Conflict::new("product", "mug-7", Version::FIRST, found))?;
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(attempt.number())
    });
    assert_eq!(played.await.unwrap(), 2);
}
