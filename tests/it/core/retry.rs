//! The retry loop as a program sees it: what it costs, reports and records, and what becomes of its error.

use std::{convert::Infallible, time::Duration};

use optilock::{
    Attempt, Class, Classify, Jitter, RetryError, RetryPolicy, StopReason, with_retry,
    with_retry_mut,
};

mod conversions;
mod costs;
pub mod events;
mod recorders;

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

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Delays that are known in advance: 10, 20, 40 ms and so on.
const PLAIN: RetryPolicy = RetryPolicy::new()
    .with_base_delay(ms(10))
    .with_jitter(Jitter::None)
    .with_locking_after(None);

/// Plays a script, each attempt taking `takes`; once it is over, attempts succeed.
async fn play(
    policy: &RetryPolicy,
    script: &[Class],
    takes: Duration,
) -> Result<u32, RetryError<Scripted>> {
    let played = with_retry(policy, async |attempt| {
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        match script.get(attempt.number() as usize - 1) {
            Some(class) => Err(Scripted(*class)),
            None => Ok(attempt.number()),
        }
    });
    played.await
}

async fn stop(policy: &RetryPolicy, script: &[Class]) -> RetryError<Scripted> {
    play(policy, script, Duration::ZERO).await.unwrap_err()
}

#[tokio::test]
async fn an_infallible_operation_is_accepted() {
    let played = with_retry(&PLAIN, async |_| Ok::<_, Infallible>(1));
    assert_eq!(played.await.unwrap(), 1);
}
