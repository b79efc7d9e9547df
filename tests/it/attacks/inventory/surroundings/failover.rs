//! 10: the synchronous standby takes over from a primary that has commits which the standby has not.

use std::time::Duration;

use optilock::{RetryPolicy, sqlx::PgPool};
use support::Crash;
use tokio::{task::JoinSet, time::timeout};

use super::{Answer, Fixture, Shop, Variant, balances, matrix::Variant as _};
use crate::failover::pair::Pair;

const POLICY: RetryPolicy = RetryPolicy::new()
    .with_max_attempts(1_000)
    .with_deadline(Some(Duration::from_secs(20)));

const LIMIT: Duration = Duration::from_secs(30);

/// All operations run at once. Each commits on the primary, where its session is terminated while the commit waits
/// for the standby: the row is visible there, and is lost in the failover. An operation that is done is stored on
/// the standby.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_whose_commit_does_not_reach_the_standby() {
    let mut pair = Pair::synchronous().await;
    let variants: Vec<Variant> = Variant::with_statements()
        .filter(|variant| variant.operation.writes() && !variant.operation.changes_other_rows())
        .collect();
    let mut prepared = Vec::new();
    for variant in &variants {
        let fixture = Fixture::new(variant.operation.setup);
        fixture.store(&pair.on_primary).await;
        let before = fixture.stored(&pair.on_primary).await;
        prepared.push((fixture, before));
    }
    pair.catch_up().await;
    let count = u32::try_from(variants.len()).unwrap();
    let pool = pair.proxy.pool(count).await;
    pair.stop_receiving().await;

    let mut work = JoinSet::new();
    for (at, variant) in variants.iter().enumerate() {
        let (variant, pool, fixture) = (*variant, pool.clone(), prepared[at].0.clone());
        work.spawn(async move { (at, attempt(&variant, &pool, &fixture).await) });
    }
    pair.until_commits_wait(variants.len()).await;
    pair.end_waits("pg_terminate_backend").await;
    pair.until_commits_wait(variants.len()).await;
    pair.fail_over(Crash::Kill).await;

    for (at, answer) in work.join_all().await {
        let (cell, (fixture, before)) = (variants[at].name(), &prepared[at]);
        let stored = fixture.stored(&pair.on_standby).await;
        let after = variants[at].operation.after.unwrap_or(before);
        assert!(answer.is_done(), "{cell}: {answer:?}");
        assert_eq!(stored, after, "{cell}");
    }
    balances::assert_balanced(&pair.on_standby, "10 failover").await;
    println!("{count} operations are stored on the standby that took over");
}

async fn attempt(variant: &Variant, pool: &PgPool, fixture: &Fixture) -> Answer {
    let shop = Shop::of(variant, pool, POLICY);
    let answer = timeout(LIMIT, (variant.operation.run)(&shop, fixture)).await;
    Answer::of(answer.unwrap_or_else(|_| panic!("{}: it does not end", variant.name())))
}
