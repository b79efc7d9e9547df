//! A budget that several retries share.

use super::*;

/// Room for two retries.
macro_rules! budget {
    () => {{
        static BUDGET: RetryBudget = RetryBudget::new().with_capacity(10);
        (&BUDGET, PLAIN.with_budget(&BUDGET))
    }};
}

/// Each caller made 12 attempts at a database that was down.
#[tokio::test(start_paused = true)]
async fn callers_of_a_system_that_is_down_stop_retrying_together() {
    let (budget, policy) = budget!();
    let mut attempts = Vec::new();
    for _ in 0..4 {
        let error = stop(&policy, &[BUSY; 12]).await;
        assert_eq!(error.reason, StopReason::Budget);
        assert_eq!(error.class(), Class::Permanent);
        attempts.push(error.attempts);
    }
    assert_eq!(attempts, [3, 1, 1, 1]);
    assert_eq!(budget.available(), 0);
    let text = stop(&policy, &[BUSY]).await.to_string();
    assert_eq!(
        text,
        "gave up after 1 attempt (retry budget exhausted): scripted"
    );

    // The system is up again: one token for each success, until a retry is possible.
    for _ in 0..5 {
        let (played, _) = play(&policy, &[], Duration::ZERO).await;
        assert_eq!(played.unwrap(), 1);
    }
    assert_eq!(budget.available(), 5);
    let (played, _) = play(&policy, &[BUSY], Duration::ZERO).await;
    assert_eq!(played.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_succeeds_returns_its_cost() {
    let (budget, policy) = budget!();
    let (played, _) = play(&policy, &[BUSY], Duration::ZERO).await;
    assert_eq!((played.unwrap(), budget.available()), (2, 10));
    // The cost of the last retry: the first one failed.
    let (played, _) = play(&policy, &[BUSY; 2], Duration::ZERO).await;
    assert_eq!((played.unwrap(), budget.available()), (3, 5));
    // with_retry behaves in the same way.
    let played = with_retry(&policy, async |_| Ok::<_, Scripted>(()));
    assert!(played.await.is_ok());
    assert_eq!(budget.available(), 6);
    let played = with_retry(&policy, async |attempt| match attempt.number() {
        1 => Err(Scripted(BUSY)),
        number => Ok(number),
    });
    assert_eq!((played.await.unwrap(), budget.available()), (2, 6));
}

#[tokio::test(start_paused = true)]
async fn conflicts_are_never_limited() {
    let (budget, policy) = budget!();
    assert_eq!(stop(&policy, &[CONFLICT; 12]).await.attempts, 12);
    assert_eq!(budget.available(), 10);
    assert_eq!(stop(&policy, &[BUSY; 12]).await.reason, StopReason::Budget);
    let (played, _) = play(&policy, &[CONFLICT; 11], Duration::ZERO).await;
    assert_eq!(played.unwrap(), 12);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_takes_from_the_budget_and_stays_unknown() {
    let (_, policy) = budget!();
    let policy = policy.with_unknown_retried(true);
    let error = stop(&policy, &[Class::Unknown; 12]).await;
    assert_eq!((error.attempts, error.reason), (3, StopReason::Budget));
    assert_eq!(error.class(), Class::Unknown);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_not_retried_costs_nothing() {
    let (budget, policy) = budget!();
    let policy = policy.with_deadline(Some(ms(500)));
    for (script, reason) in [
        (busy_for(501), StopReason::Deadline),
        (Class::Permanent, StopReason::Permanent),
        (Class::Unknown, StopReason::Unknown),
    ] {
        assert_eq!(stop(&policy, &[script]).await.reason, reason);
    }
    let once = policy.with_max_attempts(1);
    assert_eq!(stop(&once, &[BUSY]).await.reason, StopReason::Attempts);
    assert_eq!(budget.available(), 10);
}
