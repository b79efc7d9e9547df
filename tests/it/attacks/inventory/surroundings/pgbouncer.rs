//! 15: pgbouncer in transaction mode, with fewer connections than clients.

use std::{sync::Arc, time::Duration};

use optilock::RetryPolicy;
use tokio::task::JoinSet;

use super::{
    Answer, Harness, Variant,
    matrix::{Harness as _, Variant as _},
};
use crate::{
    failover::buyers::{Buyers, stock_up},
    support::{
        db::{Db, assert_idle},
        pgbouncer::Pgbouncer,
    },
};

const CLIENTS: u32 = 64;
const CONNECTIONS: u32 = 4;

/// All operations run at once, three times; then 64 buyers buy, a half of them in batches.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pgbouncer 1.21 or newer"]
async fn every_operation_through_pgbouncer() {
    migrations_through_pgbouncer().await;
    let direct = Harness::new().await;
    let pooler = Pgbouncer::start(&direct.db.database.options(), CONNECTIONS).await;
    let harness = Arc::new(Harness {
        policy: RetryPolicy::new(),
        limit: Duration::from_secs(30),
        ..direct.through(pooler.pool(CLIENTS).await)
    });
    let (alone, others): (Vec<Variant>, Vec<Variant>) =
        Variant::with_statements().partition(|variant| variant.operation.changes_other_rows());
    for _ in 0..3 {
        at_once(&harness, &others).await;
        for variant in &alone {
            harness.expect_done(variant, "pgbouncer").await;
        }
    }
    harness.check_after("pgbouncer").await;

    let pool = &direct.db.pool;
    stock_up(pool).await;
    let buyers = Buyers::through(pooler.pool(32).await, pooler.pool(32).await, 40);
    let answers = buyers.finish().await;
    assert!(answers.unknown.is_empty());
    answers.check(pool).await;
}

async fn at_once(harness: &Arc<Harness>, variants: &[Variant]) {
    let mut prepared = Vec::new();
    for variant in variants {
        prepared.push(harness.prepare(variant).await);
    }
    let mut work = JoinSet::new();
    for (at, variant) in variants.iter().enumerate() {
        let (harness, variant) = (Arc::clone(harness), *variant);
        let fixture = prepared[at].fixture.clone();
        work.spawn(async move { (at, harness.attempt(&variant, &fixture, "pgbouncer").await) });
    }
    for (at, answer) in work.join_all().await {
        let cell = format!("{} through pgbouncer", variants[at].name());
        assert!(answer.is_done(), "{cell}: {answer:?}");
        let done = Some(&Answer::Done);
        harness
            .compare(&variants[at], &prepared[at], done, &cell)
            .await;
    }
    assert_idle(&harness.db.pool).await;
}

/// Eight instances start at once.
async fn migrations_through_pgbouncer() {
    let db = Db::empty().await;
    let pooler = Pgbouncer::start(&db.database.options(), CONNECTIONS).await;
    let mut instances = JoinSet::new();
    for _ in 0..8 {
        let pool = pooler.pool(1).await;
        instances.spawn(async move { optilock::migrate(&pool).await });
    }
    for migrated in instances.join_all().await {
        migrated.unwrap();
    }
}
