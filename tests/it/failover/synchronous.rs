//! Failovers to a synchronous standby while 64 buyers buy.

use std::sync::atomic::Ordering::SeqCst;

use support::Crash;

use super::{
    buyers::{Answers, Buyers, stock_up},
    pair::Pair,
};
use crate::support::db::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_loses_no_acknowledged_order() {
    fail_over(1, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn twenty_failovers_lose_no_acknowledged_order() {
    fail_over(20, 60).await;
}

/// Fails over `rounds` times, each time to a standby of the server before, while each buyer makes `orders`.
async fn fail_over(rounds: usize, orders: usize) {
    let mut pair = Pair::synchronous().await;
    stock_up(&pair.on_primary).await;
    let mut all = Answers::default();
    for round in 0..rounds {
        let buyers = Buyers::start(&pair.proxy, orders).await;
        let acknowledged = buyers.acknowledged.clone();
        eventually("a part of the orders is acknowledged", async || {
            acknowledged.load(SeqCst) > 200
        })
        .await;
        let crash = if round.is_multiple_of(2) {
            Crash::Kill
        } else {
            Crash::Quit
        };
        pair.fail_over(crash).await;
        let before = acknowledged.load(SeqCst);
        let answers = buyers.finish().await;
        let (of, unknown) = (answers.acknowledged.len(), answers.unknown.len());
        println!("{before} of {of} acknowledged before the standby took over, {unknown} unknown");
        assert!(before < of, "the failover came after the last order");
        assert!(
            unknown > 0,
            "no checkout was running when the primary was killed"
        );
        all.acknowledged.extend(answers.acknowledged);
        all.unknown.extend(answers.unknown);
        all.open.extend(answers.open);
        all.check(&pair.on_standby).await;
        all.acknowledged.extend(all.open.drain().map(|(id, _)| id));
        if round + 1 < rounds {
            pair.replace_standby().await;
        }
    }
}
