//! Every setting, with values at the ends of its type.

use std::time::Duration;

use optilock::{
    Class, Classify, Jitter, RetryBudget, RetryPolicy,
    inventory::{BatchOptions, Cleanup, Janitor, Kpi, KpiKind, MemoryInventory},
    postgres::{Isolation, TransactOptions},
    with_retry,
};
use proptest::{
    num, option, prelude::any, prop_assert, sample::select, strategy::Strategy,
    test_runner::TestCaseError,
};

use super::numbers::{durations, numbers};

type Outcome = Result<(), TestCaseError>;

#[derive(Debug, thiserror::Error)]
#[error("failed as planned")]
struct Planned(Class);

impl Classify for Planned {
    fn class(&self) -> Class {
        self.0
    }
}

fn classes() -> impl Strategy<Value = Class> {
    let busy = option::of(durations()).prop_map(|retry_after| Class::Busy { retry_after });
    let others = select(vec![Class::Conflict, Class::Permanent, Class::Unknown]);
    proptest::prop_oneof![busy, others]
}

type Settings = (
    (u32, u32, u64, bool, bool),
    (Duration, Duration, Option<Duration>, Option<u32>),
    Jitter,
);

fn settings() -> impl Strategy<Value = Settings> {
    let number = || numbers().prop_map(|it| u32::try_from(it.unsigned_abs()).unwrap_or(u32::MAX));
    let jitters = vec![
        Jitter::Full,
        Jitter::Equal,
        Jitter::Decorrelated,
        Jitter::None,
    ];
    (
        (
            number(),
            number(),
            num::u64::ANY,
            any::<bool>(),
            any::<bool>(),
        ),
        (
            durations(),
            durations(),
            option::of(durations()),
            option::of(number()),
        ),
        select(jitters),
    )
}

fn policy((numbers, times, jitter): Settings) -> RetryPolicy {
    let (attempts, factor, seed, immediate, unknown) = numbers;
    let (base, most, deadline, locking) = times;
    RetryPolicy::new()
        .with_max_attempts(attempts)
        .with_factor(factor)
        .with_seed(seed)
        .with_immediate_first_retry(immediate)
        .with_unknown_retried(unknown)
        .with_base_delay(base)
        .with_max_delay(most)
        .with_deadline(deadline)
        .with_locking_after(locking)
        .with_jitter(jitter)
}

/// Runs a few planned failures under the policy on a paused clock. It ends after as many attempts as it may make.
fn retries((settings, failures): (Settings, Vec<Class>)) -> Outcome {
    let most = settings.0.0.max(1);
    let policy = policy(settings);
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let mut made = 0_usize;
    let outcome = runtime.block_on(with_retry(&policy, |attempt| {
        let failure = failures.get(made).copied();
        made += 1;
        let is_numbered = attempt.number() as usize == made;
        async move {
            assert!(is_numbered);
            failure.map_or(Ok(()), |class| Err(Planned(class)))
        }
    }));
    prop_assert!(made <= failures.len() + 1 && made as u64 <= u64::from(most));
    prop_assert!(outcome.is_err() || made == failures.len() + 1);
    if let Err(error) = outcome {
        prop_assert!(!error.to_string().is_empty());
    }
    Ok(())
}

fn delays(settings: Settings) -> Outcome {
    let most = settings.1.1;
    for delay in policy(settings).backoff().take(20) {
        prop_assert!(delay <= most, "{:?} above {:?}", delay, most);
    }
    Ok(())
}

fn budget((capacity, cost): (i64, i64)) -> Outcome {
    let number = |it: i64| u32::try_from(it.unsigned_abs()).unwrap_or(u32::MAX);
    let budget = RetryBudget::new()
        .with_retry_cost(number(cost))
        .with_capacity(number(capacity));
    prop_assert!(budget.available() == number(capacity));
    Ok(())
}

/// Settings that have no value to read: they are only built, and printed.
fn others((limit, count, per_second, value): (Duration, i64, Option<u32>, f64)) -> Outcome {
    let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let transaction = TransactOptions::new()
        .with_isolation(Isolation::Serializable)
        .with_lock_timeout(limit)
        .with_statement_timeout(limit)
        .with_idle_timeout(limit);
    let batches = BatchOptions::new()
        .with_batch(size)
        .with_queue(size)
        .with_time_limit(limit);
    let janitor = Janitor::new(MemoryInventory::new())
        .with_interval(limit)
        .with_unpaid_after(limit)
        .with_keys_after(limit);
    let kpi = Kpi::new(KpiKind::ALL[size % KpiKind::ALL.len()], Some(value));
    let cleanup = Cleanup::of_orders(count.unsigned_abs(), u64::from(per_second.unwrap_or(0)));
    let text = format!("{transaction:?} {batches:?} {janitor:?} {kpi:?} {kpi} {cleanup:?}");
    prop_assert!(!text.is_empty());
    Ok(())
}

fuzz! {
    retry_policy: (settings(), proptest::collection::vec(classes(), 0..6)) => retries;
    backoff: settings() => delays;
    retry_budget: (numbers(), numbers()) => budget;
    other_settings: (durations(), numbers(), option::of(num::u32::ANY), num::f64::ANY) => others;
}
