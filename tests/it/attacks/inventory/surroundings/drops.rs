//! 13: the future is dropped at each of its polls.

use std::{pin::pin, time::Duration};

use optilock::sqlx;
use tokio::time::timeout;

use super::{Answer, Cell, Harness, Layer, Variant, balances};
use crate::attacks::ENOUGH_DROPS;
use crate::support::{db::assert_idle, polling::PollAtMost};

/// Asserts that the pool's connection works and is in no transaction that another caller began.
async fn assert_clean(harness: &Harness) {
    sqlx::query("SELECT 1")
        .execute(&harness.pool)
        .await
        .unwrap();
    assert_idle(&harness.db.pool).await;
}

/// Returns the answer unless a clean-up found nothing to do: an earlier, dropped clean-up may have done the work.
pub fn conclusive(answer: &Option<Answer>) -> Option<&Answer> {
    answer
        .as_ref()
        .filter(|it| !matches!(it, Answer::NothingToDo))
}

/// The future is dropped after each of its polls, `times` times or until [`ENOUGH_DROPS`].
pub async fn direct(harness: &Harness, variant: &Variant, cell: &str, times: u32) -> Cell {
    // Through a proxy each round trip takes a poll.
    let (_proxy, own) = harness.proxied(1).await;
    own.expect_done(variant, cell).await; // its statements are prepared
    let (mut drops, mut sweeps) = (0, 0);
    // A fast server may answer within the first poll.
    for _ in 0..3 * times {
        let of_sweep = drop_after_each_poll(&own, variant, cell).await;
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
async fn drop_after_each_poll(own: &Harness, variant: &Variant, cell: &str) -> u32 {
    for polls in 1..200 {
        let cell = format!("{cell} after {polls} polls");
        let prepared = own.prepare(variant).await;
        let answer = PollAtMost(pin!(own.attempt(variant, &prepared.fixture, &cell)), polls).await;
        own.judge(variant, &prepared, conclusive(&answer), &cell)
            .await;
        assert_clean(own).await;
        if answer.is_some() {
            return polls - 1;
        }
    }
    panic!("{cell}: it does not end")
}

/// The future is dropped after each of its polls, in a transaction of the host that then commits.
pub async fn in_transaction(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    if variant.layer != Layer::None {
        return Cell::CannotApply("a layer has no form for a transaction of the host");
    }
    let Some(run_in) = variant.operation.run_in else {
        return Cell::CannotApply("it has no form for a transaction of the host");
    };
    let own = harness.with_settings(1, &[]).await;
    for polls in 1.. {
        assert!(polls < 200, "{cell}: it does not end");
        let cell = format!("{cell} after {polls} polls");
        let prepared = own.prepare(variant).await;
        let shop = own.shop(variant);
        let mut tx = own.pool.begin().await.unwrap();
        let answer = PollAtMost(run_in(&shop.pg, &mut tx, &prepared.fixture), polls).await;
        let committed = tx.commit().await;
        let ended = answer.is_some();
        let answer = answer.map(Answer::of).filter(|_| committed.is_ok());
        own.judge(variant, &prepared, conclusive(&answer), &cell)
            .await;
        balances::assert_balanced(&own.db.pool, &cell).await;
        assert_clean(&own).await;
        if ended {
            assert!(
                answer.is_some_and(|answer| answer.is_done()),
                "{cell}: {committed:?}"
            );
            break;
        }
    }
    Cell::Passed
}

/// A timeout drops the future, and a `select!` whose other branch is ready first.
pub async fn raced(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let own = harness.with_settings(1, &[]).await;
    own.expect_done(variant, cell).await;
    let mut late = 0;
    // A fast server may answer within the first poll.
    for (round, turns) in [0, 0, 1, 2, 4, 8].into_iter().cycle().take(60).enumerate() {
        if round >= 6 && late > 0 {
            break;
        }
        let prepared = own.prepare(variant).await;
        let winner = async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        let answer = tokio::select! {
            biased;
            answer = own.attempt(variant, &prepared.fixture, cell) => Some(answer),
            () = winner => None,
        };
        late += u32::from(answer.is_none());
        own.judge(variant, &prepared, conclusive(&answer), cell)
            .await;
        let prepared = own.prepare(variant).await;
        let limit = Duration::from_millis(turns);
        let answer = timeout(limit, own.attempt(variant, &prepared.fixture, cell))
            .await
            .ok();
        late += u32::from(answer.is_none());
        own.judge(variant, &prepared, conclusive(&answer), cell)
            .await;
        assert_clean(&own).await;
    }
    assert!(late > 0, "{cell}: it was never late");
    Cell::Passed
}
