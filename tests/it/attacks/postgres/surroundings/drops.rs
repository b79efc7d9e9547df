//! 13: the future is dropped at each of its polls.

use std::time::Duration;

use tokio::time::timeout;

use super::{Answer, Cell, Harness, Operation, harness::insert};
use crate::{attacks::ENOUGH_DROPS, support::polling::PollAtMost};

async fn assert_writes(harness: &Harness, operation: &Operation, cell: &str) {
    let next = -harness.prepare(operation).await;
    insert(&harness.pool, next).await;
    assert_eq!(
        harness.stored(next).await,
        Some((1, 100)),
        "{cell}: the pool's connection was left in a transaction"
    );
}

/// The future is dropped after each of its polls, `times` times or until [`ENOUGH_DROPS`], and the pool's only
/// connection writes next.
pub async fn dropped(harness: &Harness, operation: &&Operation, cell: &str, times: u32) -> Cell {
    // Through a proxy each round trip takes a poll.
    let (_proxy, harness) = harness.proxied(1).await;
    let (mut drops, mut sweeps) = (0, 0);
    // A fast server may answer within the first poll.
    for _ in 0..3 * times {
        let of_sweep = drop_after_each_poll(&harness, operation, cell).await;
        drops += of_sweep;
        sweeps += u32::from(of_sweep > 0);
        if sweeps == times || drops >= ENOUGH_DROPS {
            break;
        }
    }
    if times > 1 {
        println!("{cell}: {drops} drops");
        assert!(
            sweeps == times || drops >= ENOUGH_DROPS,
            "{cell}: {drops} drops"
        );
    }
    Cell::Passed
}

/// Returns how often the future was dropped before it ended.
async fn drop_after_each_poll(harness: &Harness, operation: &Operation, cell: &str) -> u32 {
    for polls in 1..200 {
        let id = harness.prepare(operation).await;
        let answer = PollAtMost((operation.run)(harness, id), polls).await;
        let cell = format!("{cell} after {polls} polls");
        harness.judge(operation, id, answer.as_ref(), &cell).await;
        assert_writes(harness, operation, &cell).await;
        if answer.is_some() {
            return polls - 1;
        }
    }
    panic!("{cell}: it does not end")
}

/// The future is dropped after each of its polls, in a transaction of the host that then commits.
pub async fn in_transaction(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let Some(run_in) = operation.run_in else {
        return Cell::CannotApply("it has no form for a transaction of the host");
    };
    let harness = harness.with_pool_of(1).await;
    for polls in 1.. {
        assert!(polls < 200, "{cell}: it does not end");
        let cell = format!("{cell} after {polls} polls");
        let id = harness.prepare(operation).await;
        let mut tx = harness.pool.begin().await.unwrap();
        let answer = PollAtMost(run_in(&harness.accounts, &mut tx, id), polls).await;
        let committed = tx.commit().await;
        let ended = answer.is_some();
        let answer = answer.map(Answer::of).filter(|_| committed.is_ok());
        harness.judge(operation, id, answer.as_ref(), &cell).await;
        assert_writes(&harness, operation, &cell).await;
        if ended {
            let done = answer.as_ref().is_some_and(Answer::is_done);
            assert!(done, "{cell}: {answer:?}, {committed:?}");
            break;
        }
    }
    Cell::Passed
}

/// A timeout drops the future, and a `select!` whose other branch is ready first.
pub async fn raced(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let harness = harness.with_pool_of(1).await;
    harness.expect_done(operation, cell).await;
    let mut late = 0;
    // A fast server may answer within the first poll.
    for (round, turns) in [0, 0, 1, 2, 4].into_iter().cycle().take(100).enumerate() {
        if round >= 5 && late > 0 {
            break;
        }
        let id = harness.prepare(operation).await;
        let winner = async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        let answer = tokio::select! {
            biased;
            answer = harness.attempt(operation, id, cell) => Some(answer),
            () = winner => None,
        };
        late += u32::from(answer.is_none());
        harness.judge(operation, id, answer.as_ref(), cell).await;
        let id = harness.prepare(operation).await;
        let limit = Duration::from_millis(turns);
        let answer = timeout(limit, harness.attempt(operation, id, cell))
            .await
            .ok();
        late += u32::from(answer.is_none());
        harness.judge(operation, id, answer.as_ref(), cell).await;
        assert_writes(&harness, operation, cell).await;
    }
    assert!(late > 0, "{cell}: it was never late");
    Cell::Passed
}
